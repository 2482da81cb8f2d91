//! The turn of a client to the gateway of another epoch while beats run: it stands by there, and leaves the one before
//! once its rounds and their circuits are over.
//!
//! What is decided here is decided as around deployed clients: by [`GatewayPolicy`] and the client's machine.

use std::sync::Arc;

use antiphon_client_core::{GatewayPolicy, Input as ClientInput};
use antiphon_mix::{ClientId, Input as ShardInput};
use antiphon_wire::{Epoch, FromClient, PROTOCOL_VERSION, Round, Timestamp, ToClient};

use super::{Happening, Network};
use crate::party::Party;

/// Pause before another try, in milliseconds.
const RETRY_MS: u64 = 1000;
/// Messages of the next gateway that are kept until the turn.
const MOST_KEPT: usize = 16;

/// A client's links beside the one to the gateway in use, and when it turns. Times are by its own clock.
#[derive(Debug, Default)]
pub(super) struct Turn {
    next: Option<Next>,
    before: Option<Before>,
    /// Rounds up to this one were handed in elsewhere: the gateway in use has no say in them.
    since: Option<Round>,
    /// Time to dial the gateway of the epoch that is due.
    turn_at: Option<Timestamp>,
    /// Time to stop handing in at the gateway before, come what may.
    turn_by: Option<Timestamp>,
    /// When the simulation comes back to this client.
    wake: Option<Timestamp>,
}

/// A gateway that is linked to without a hello, so that it waits for this client in no round.
#[derive(Debug)]
struct Next {
    gateway: usize,
    epoch: Epoch,
    starts_at: Timestamp,
    /// What it has said that counts from the turn on.
    said: Vec<(Timestamp, ToClient)>,
}

/// The gateway before, until the rounds that it was given are over.
#[derive(Clone, Copy, Debug)]
struct Before {
    gateway: usize,
    through: Round,
}

/// Which of a client's links leads to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    InUse,
    Before(Round),
    Next,
}

impl Network {
    /// The link of `client` to the shard at `gateway`, if it has one.
    pub(super) fn line_to(&self, client: usize, gateway: usize) -> Option<Line> {
        let turn = &self.turns[client];
        if self.asleep.contains(&client) {
            return None;
        }
        if self.gateways[client] == gateway {
            return Some(Line::InUse);
        }
        if let Some(before) = turn.before.filter(|before| before.gateway == gateway) {
            return Some(Line::Before(before.through));
        }
        let is_next = turn.next.as_ref().is_some_and(|next| next.gateway == gateway);
        is_next.then_some(Line::Next)
    }

    /// The gateway that a message of `client` goes to: the one before has the circuits of the rounds that it was given.
    /// `None` if nobody has them any more.
    pub(super) fn gateway_for(&self, client: usize, message: &FromClient) -> Option<usize> {
        let turn = &self.turns[client];
        match message {
            FromClient::Submit { round, .. }
            | FromClient::Cells { round, .. }
            | FromClient::Leave { round, .. }
                if Some(*round) <= turn.since =>
            {
                turn.before.map(|before| before.gateway)
            }
            FromClient::Resume { round, .. } if Some(*round) <= turn.since => None,
            _ => Some(self.gateways[client]),
        }
    }

    /// Returns `true` if a message of the gateway in use is about a round that is another's.
    pub(super) fn is_of_another(&self, client: usize, message: &ToClient) -> bool {
        round_of(message).is_some_and(|round| Some(round) <= self.turns[client].since)
    }

    /// Takes note that all rounds so far are lost, or another's.
    pub(super) fn has_its_rounds_elsewhere(&mut self, client: usize) {
        let machine = self.clients[client].running.as_ref();
        self.turns[client].since = machine.and_then(antiphon_client_core::Client::last_round);
    }

    /// Fixes the time to turn to another gateway: when an epoch was adopted, when its rounds begin, and when the gateway
    /// in use is another than the time was fixed for. In a classic network a client turns when it has no round under way.
    pub(super) fn plan_turn(&mut self, client: usize) {
        let Some(machine) = &self.clients[client].running else { return };
        let now = self.clock(Party::Client(client));
        let present = self.identity(self.gateways[client]);
        let epoch = machine.epoch_to_plan_for(now, Some(&present)).map(Arc::clone);
        let Some(epoch) = epoch.filter(|epoch| !epoch.parameters().beats.is_classic()) else {
            return;
        };
        if self.policies[client].pin().is_some() {
            return;
        }
        let next = self.turns[client].next.as_ref();
        if next.is_some_and(|next| !machine.knows(next.epoch)) {
            self.hang_up_next(client);
        }
        let at = GatewayPolicy::turns_at(&epoch, Some(present), now, &mut self.choices);
        self.turns[client].turn_at = Some(at);
        self.come_back(client);
    }

    /// Does what is due, as the clock and the client's machine have it.
    pub(super) fn turn_if_due(&mut self, client: usize) {
        let now = self.clock(Party::Client(client));
        let Some(machine) = &self.clients[client].running else { return };
        let oldest = machine.oldest_served();
        let turn = &self.turns[client];
        if turn.before.is_some_and(|before| oldest.is_none_or(|round| round > before.through)) {
            self.hang_up_before(client);
        }
        if self.turns[client].turn_at.is_some_and(|at| at <= now) {
            self.dial_next(client, now);
        }
        let turn = &mut self.turns[client];
        if turn.turn_by.is_some_and(|at| at <= now) {
            turn.turn_by = None;
            // Though its next gateway does not stand by, the rounds under way are not given up for another.
            if turn.next.is_some() {
                self.turned(client);
            }
        }
        if self.turns_between_rounds(client, now).is_some_and(|at| at <= now) {
            self.turned(client);
        }
        self.come_back(client);
    }

    pub(super) fn wake_for_turn(&mut self, client: usize) {
        if self.turns[client].wake == Some(self.now) {
            self.turns[client].wake = None;
            self.turn_if_due(client);
        }
    }

    /// Has the simulation come back to a client when it has to turn.
    fn come_back(&mut self, client: usize) {
        let now = self.clock(Party::Client(client));
        let turn = &self.turns[client];
        let times = [turn.turn_at, turn.turn_by, self.turns_between_rounds(client, now)];
        let Some(at) = times.into_iter().flatten().min() else { return };
        let at = self.by_true_time(Party::Client(client), at).max(self.now.plus_ms(1));
        if self.turns[client].wake != Some(at) {
            self.turns[client].wake = Some(at);
            self.schedule(at, Happening::Turns(client));
        }
    }

    /// When to turn to the next gateway, which stands by, if the one in use serves its epoch as well.
    fn turns_between_rounds(&self, client: usize, now: Timestamp) -> Option<Timestamp> {
        let next = self.turns[client].next.as_ref()?;
        self.serves(client, next.epoch).then_some(())?;
        self.policies[client].turns_between_rounds(next.epoch, now)
    }

    /// Returns `true` if the gateway in use is in an epoch.
    fn serves(&self, client: usize, epoch: Epoch) -> bool {
        let present = self.identity(self.gateways[client]);
        let machine = self.clients[client].running.as_ref();
        let now = self.clock(Party::Client(client));
        // Of those that a client holds documents of, the one at hand or the one to come.
        let known = machine.and_then(|machine| {
            let both = [machine.epoch_at(now), machine.newest_epoch()];
            both.into_iter().flatten().find(|held| held.epoch() == epoch)
        });
        known.is_some_and(|held| held.index_of(&present).is_some())
    }

    /// Links to the gateway of the epoch that is due, or of the next that the one in use does not serve.
    fn dial_next(&mut self, client: usize, now: Timestamp) {
        self.turns[client].turn_at = None;
        let present = self.identity(self.gateways[client]);
        let Some(machine) = self.clients[client].running.as_ref().filter(|it| !it.sleeps()) else {
            return;
        };
        let Some(epoch) = machine.epoch_to_turn_to(now, &present).map(Arc::clone) else { return };
        let policy = &mut self.policies[client];
        let stands_by = self.turns[client].next.as_ref().map(|next| next.epoch);
        if stands_by == Some(epoch.epoch()) || !policy.may_dial_for(&epoch, &present) {
            return;
        }
        let starts_at = epoch.document().starts_at;
        let gateway = policy.following(&epoch, &mut self.choices);
        if gateway == Some(present) && starts_at <= now {
            policy.turned(epoch.epoch());
        }
        self.hang_up_next(client);
        let gateway = gateway.filter(|gateway| *gateway != present);
        let Some(gateway) = gateway.and_then(|gateway| self.position(&gateway)) else {
            self.turns[client].turn_by = None;
            return;
        };
        let before = self.turns[client].before.map(|before| before.gateway);
        let is_up = self.shards[gateway].running.is_some();
        if before == Some(gateway) || !is_up {
            // A client has one link to a shard here: it has to be over before there is another.
            if !is_up {
                self.policies[client].lost_in(epoch.epoch());
            }
            self.turns[client].turn_at = Some(now.plus_ms(RETRY_MS));
            return;
        }
        let next = Next { gateway, epoch: epoch.epoch(), starts_at, said: Vec::new() };
        let turn = &mut self.turns[client];
        turn.next = Some(next);
        turn.turn_by.get_or_insert(starts_at.plus_ms(GatewayPolicy::TURN_WITHIN_MS));
        self.tell_shard(gateway, ShardInput::ClientJoined(ClientId(client as u64)));
    }

    /// Takes a message of a gateway that stands by: with the first round of its epoch it is turned to, if the one in use
    /// has none.
    pub(super) fn heard_ahead(&mut self, client: usize, message: ToClient) {
        let Some(of) = self.turns[client].next.as_ref().map(|next| next.epoch) else { return };
        let stays = self.serves(client, of);
        match message {
            ToClient::Opened { epoch, .. } if epoch >= of && !stays => {
                self.turned(client);
                self.tell_client(client, message.into());
            }
            ToClient::Document { .. } | ToClient::Circuits { .. } | ToClient::Clock { .. } => {
                self.keep_ahead(client, message);
            }
            // The gateway in use says the same of rounds before.
            _ => {}
        }
    }

    fn keep_ahead(&mut self, client: usize, message: ToClient) {
        let now = self.clock(Party::Client(client));
        let next = self.turns[client].next.as_mut();
        if let Some(next) = next.filter(|next| next.said.len() < MOST_KEPT) {
            next.said.push((now, message));
        }
    }

    /// Hands rounds in at the next gateway from here on.
    fn turned(&mut self, client: usize) {
        let Some(Next { gateway, epoch, said, .. }) = self.turns[client].next.take() else {
            return;
        };
        self.hang_up_before(client);
        let left = std::mem::replace(&mut self.gateways[client], gateway);
        self.has_its_rounds_elsewhere(client);
        let turn = &mut self.turns[client];
        turn.turn_by = None;
        turn.before = turn.since.map(|through| Before { gateway: left, through });
        if turn.before.is_none() {
            self.tell_shard(left, ShardInput::ClientLeft(ClientId(client as u64)));
        }
        self.policies[client].turned(epoch);
        let message = FromClient::Hello { version: PROTOCOL_VERSION };
        self.tell_shard(gateway, ShardInput::Client { from: ClientId(client as u64), message });
        self.note_link(client);
        self.plan_turn(client);
        let now = self.clock(Party::Client(client));
        for (at, message) in said {
            if !self.is_of_another(client, &message) {
                self.tell_client(client, brought_up(message, at, now));
            }
        }
    }

    /// Turns to the next gateway if that stands by and its epoch has begun, since the one in use is gone. Returns whether
    /// it did.
    pub(super) fn turned_at_once(&mut self, client: usize) -> bool {
        let now = self.clock(Party::Client(client));
        let next = self.turns[client].next.as_ref();
        let turns = next.is_some_and(|next| next.starts_at <= now);
        if turns {
            self.turned(client);
            self.hang_up_before(client);
        }
        turns
    }

    /// A client has no link but the one in use from here on.
    pub(super) fn hang_up_others(&mut self, client: usize) {
        self.hang_up_before(client);
        self.hang_up_next(client);
        self.turns[client].turn_by = None;
    }

    pub(super) fn hang_up_next(&mut self, client: usize) {
        if let Some(next) = self.turns[client].next.take() {
            self.tell_shard(next.gateway, ShardInput::ClientLeft(ClientId(client as u64)));
        }
    }

    fn hang_up_before(&mut self, client: usize) {
        if let Some(before) = self.turns[client].before.take() {
            self.tell_shard(before.gateway, ShardInput::ClientLeft(ClientId(client as u64)));
        }
    }

    /// A link beside the one in use is gone, as its gateway is.
    pub(super) fn line_lost(&mut self, client: usize, gateway: usize) {
        match self.line_to(client, gateway) {
            Some(Line::Before(_)) => self.turns[client].before = None,
            Some(Line::Next) => {
                let now = self.clock(Party::Client(client));
                let turn = &mut self.turns[client];
                if let Some(next) = turn.next.take() {
                    self.policies[client].lost_in(next.epoch);
                }
                turn.turn_at = Some(now.plus_ms(RETRY_MS));
                self.come_back(client);
            }
            Some(Line::InUse) | None => {}
        }
    }
}

/// What a gateway would say at `now`, of what it said at `at`: its clock has gone on.
fn brought_up(message: ToClient, at: Timestamp, now: Timestamp) -> ClientInput {
    match message {
        ToClient::Clock { now: theirs } => {
            ToClient::Clock { now: theirs.plus_ms(now.ms_since(at)) }.into()
        }
        message => message.into(),
    }
}

/// Round of a gateway's message.
pub(super) fn round_of(message: &ToClient) -> Option<Round> {
    match message {
        ToClient::Document { .. } | ToClient::Clock { .. } => None,
        ToClient::Opened { round, .. }
        | ToClient::Replies { round, .. }
        | ToClient::Aborted { round, .. }
        | ToClient::Refused { round, .. }
        | ToClient::Cells { round, .. }
        | ToClient::Backlog { round, .. } => Some(*round),
        ToClient::Circuits { announcement, .. } => Some(announcement.round),
        ToClient::Box { published } => Some(published.claimed().round),
    }
}
