//! The turn to the gateway of a new epoch, without missing a round.

use std::sync::Arc;
use std::time::Duration;

use antiphon_client_core::GatewayPolicy;
use antiphon_process::clock::SystemClock;
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{IdentityKey, Round, Timestamp, ToClient};
use tokio::time::Instant;

use super::gateways::{named, round_of};
use super::line::{Line, LineEvent, Target};
use super::{Driver, Moment};
use crate::event::Event;

/// Time for which the gateway of before may go on serving once it is time to turn.
const TURN_WITHIN: Duration = Duration::from_millis(GatewayPolicy::TURN_WITHIN_MS);
/// Pause before another try.
const RETRY: Duration = Duration::from_secs(1);
/// Messages of the next gateway that are kept until the turn: the documents and the evidence that a gateway shows to
/// whoever links.
const MOST_KEPT: usize = 16;

/// The line to the gateway of an epoch that is to be turned to.
///
/// The line stands by without a hello: nobody is to wait for this client in rounds that it hands in for elsewhere. Where the
/// gateway in use serves that epoch as well, it is turned to between two of its rounds; where it does not, with the first
/// that opens at the next one.
pub(super) struct Next {
    pub(super) line: Line,
    epoch: Arc<VerifiedEpoch>,
    /// What the gateway has said that counts from the turn on, and when.
    said: Vec<(Timestamp, ToClient)>,
}

/// The line to the gateway before, until the rounds that it was given are over.
pub(super) struct Before {
    pub(super) line: Line,
    /// The last of its rounds.
    through: Round,
}

impl Next {
    /// Next event of a line that is there; never ends on one that is not.
    pub(super) async fn event_of(next: Option<&mut Self>) -> LineEvent {
        Line::next_of(next.map(|next| &mut next.line)).await
    }

    /// Keeps a message for the turn: of clocks the last.
    fn keep(&mut self, message: ToClient) {
        let is_clock = |message: &ToClient| matches!(message, ToClient::Clock { .. });
        if is_clock(&message) {
            self.said.retain(|(_, said)| !is_clock(said));
        }
        if self.said.len() == MOST_KEPT {
            self.said.remove(0);
        }
        self.said.push((SystemClock::now(), message));
    }

    /// `true` if the gateway is there to be turned to.
    fn stands_by(&self) -> bool {
        self.line.gateway().is_some()
    }

    fn has_begun(&self) -> bool {
        self.epoch.document().starts_at <= SystemClock::now()
    }

    /// `true` if `gateway` serves the epoch as well.
    fn is_served_by(&self, gateway: &IdentityKey) -> bool {
        self.epoch.index_of(gateway).is_some()
    }
}

/// What a gateway would say at `now`, of what it said at `at`: its clock has gone on.
fn brought_up(message: ToClient, at: Timestamp, now: Timestamp) -> ToClient {
    match message {
        ToClient::Clock { now: theirs } => {
            ToClient::Clock { now: theirs.plus_ms(now.ms_since(at)) }
        }
        message => message,
    }
}

impl Driver {
    /// Fixes the time to turn to another gateway: when an epoch was adopted, when its rounds begin, and when the gateway in
    /// use is another than the time was fixed for.
    pub(super) fn plan_turn(&mut self) {
        let (present, now) = (self.line.gateway(), Moment::now());
        let epoch = self.core().epoch_to_plan_for(now.time, present.as_ref()).map(Arc::clone);
        let Some(epoch) = epoch else { return };
        // It may have come in place of the one that is about to be turned to.
        if self.next.as_ref().is_some_and(|next| !self.core().knows(next.epoch.epoch())) {
            self.next = None;
        }
        let turns_at = GatewayPolicy::turns_at(&epoch, present, now.time, &mut self.rng);
        self.turn_at = Some(now.instant_of(turns_at));
    }

    /// Dials the gateway of the epoch that is due, or of the next that the one in use does not serve, if another one
    /// serves it.
    pub(super) fn turn(&mut self) {
        self.turn_at = None;
        let now = Moment::now();
        // Once it is back, the turn is planned anew.
        if self.core().sleeps() {
            return;
        }
        // Without a link, the next one is dialled as is due.
        let Some(present) = self.line.gateway() else { return };
        let epoch = self.core().epoch_to_turn_to(now.time, &present).map(Arc::clone);
        let Some(epoch) = epoch else { return };
        if self.next.as_ref().is_some_and(|next| next.epoch.epoch() == epoch.epoch()) {
            return;
        }
        let starts_at = epoch.document().starts_at;
        // It is planned for anew with the first of its rounds.
        if !self.gateways.may_dial_for(&epoch, &present) {
            return;
        }
        let gateway = self.gateways.following(&epoch, &mut self.rng);
        if gateway == Some(present) && starts_at <= now.time {
            self.gateways.turned(epoch.epoch());
        }
        let Some(gateway) = gateway.filter(|gateway| *gateway != present && !self.stopping) else {
            (self.next, self.turn_by) = (None, None);
            return;
        };
        if let Some(target) = named(&epoch, &gateway) {
            let mut line = self.line.another();
            line.dial(target);
            self.next = Some(Next { line, epoch, said: Vec::new() });
            self.turn_by.get_or_insert(now.instant_of(starts_at) + TURN_WITHIN);
        }
    }

    pub(super) async fn next_event(&mut self, event: LineEvent) {
        let Some(next) = &mut self.next else { return };
        let reason = match event {
            LineEvent::Up => return,
            LineEvent::Message(message) => return self.heard_ahead(*message).await,
            LineEvent::Failed(error) => format!("no link to a gateway: {error}"),
            LineEvent::Due | LineEvent::Lost(_) | LineEvent::Nonsense(_) => {
                "no link to a gateway".to_owned()
            }
        };
        let epoch = next.epoch.epoch();
        self.emit(Event::AttemptFailed { reason });
        self.gateways.lost_in(epoch);
        self.next = None;
        self.turn_at = Some(Instant::now() + RETRY);
    }

    /// When to turn to the next gateway, which stands by, if the one in use serves its epoch as well and rounds open there.
    pub(super) fn turns_between_rounds(&self) -> Option<Instant> {
        let present = self.line.gateway().filter(|_| !self.stopping)?;
        let both = |next: &&Next| next.stands_by() && next.is_served_by(&present);
        let next = self.next.as_ref().filter(both)?;
        let now = Moment::now();
        let at = self.gateways.turns_between_rounds(next.epoch.epoch(), now.time)?;
        Some(now.instant_of(at))
    }

    /// Takes a message of a gateway that stands by: with the first round of its epoch, it is turned to, if the one in use
    /// has none.
    async fn heard_ahead(&mut self, message: ToClient) {
        let present = self.line.gateway();
        let Some(next) = &mut self.next else { return };
        let stays = present.is_some_and(|present| next.is_served_by(&present));
        match message {
            ToClient::Opened { epoch, .. }
                if epoch >= next.epoch.epoch() && !stays && !self.stopping =>
            {
                self.turned().await;
                self.message(message).await;
            }
            ToClient::Document { .. } | ToClient::Circuits { .. } | ToClient::Clock { .. } => {
                next.keep(message);
            }
            // The gateway in use says the same of rounds before.
            _ => {}
        }
    }

    /// Hands rounds in at the next gateway from here on.
    pub(super) async fn turned(&mut self) {
        let Some(Next { mut line, epoch, said, .. }) = self.next.take() else { return };
        let Some(Target::Gateway { identity, .. }) = line.target().cloned() else { return };
        line.greet();
        self.gateways.turned(epoch.epoch());
        // Onions that wait for their moment are for the one before.
        for onions in self.departures.take_onions() {
            self.line.send(onions);
        }
        self.part(line);
        self.gateway = Some(identity);
        self.greet(identity);
        let now = SystemClock::now();
        for (at, message) in said {
            if round_of(&message).is_none_or(|round| Some(round) > self.since) {
                self.handle(brought_up(message, at, now).into()).await;
            }
        }
    }

    /// Leaves the gateway before, for the next one if that stands by, and though none could be reached in time.
    pub(super) async fn turn_away(&mut self) {
        if self.next.as_ref().is_some_and(Next::stands_by) {
            return self.turned().await;
        }
        (self.next, self.turn_by) = (None, None);
        if self.line.gateway().is_some() {
            let line = self.line.another();
            self.part(line);
            // The rounds under way are not given up for another gateway.
            self.gateway = None;
        }
    }

    /// Turns to the next gateway if that stands by and its epoch has begun, since the one in use is gone. Returns
    /// whether it did.
    pub(super) async fn turned_at_once(&mut self) -> bool {
        let turns = self.next.as_ref().is_some_and(|next| next.stands_by() && next.has_begun());
        if turns {
            self.turned().await;
        }
        turns
    }

    /// Leaves the gateway, but for the rounds that it was given.
    fn part(&mut self, line: Line) {
        let gateway = self.line.gateway();
        let line = std::mem::replace(&mut self.line, line);
        let last = self.core().last_round();
        self.since = last;
        self.before = self.since.map(|through| Before { line, through });
        self.turn_by = None;
        if let Some(gateway) = gateway {
            let reason = "another one serves the next epoch".to_owned();
            self.emit(Event::Disconnected { gateway, reason });
        }
    }

    pub(super) async fn before_event(&mut self, event: LineEvent) {
        let Some(before) = &self.before else { return };
        match event {
            LineEvent::Message(message) => {
                let its = round_of(&message).is_some_and(|round| round <= before.through);
                if its && !matches!(*message, ToClient::Opened { .. }) {
                    self.handle((*message).into()).await;
                }
            }
            // What has not come by its deadline is disturbed.
            _ => self.before = None,
        }
    }

    /// Lets the gateway before go once its rounds are over, and their beats.
    pub(super) fn let_go(&mut self) {
        let oldest = self.core().oldest_served();
        self.before.take_if(|before| oldest.is_none_or(|round| round > before.through));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_of_a_gateway_that_stood_by_has_gone_on_when_it_is_turned_to() {
        let shown = ToClient::Clock { now: Timestamp(700) };
        let now = brought_up(shown, Timestamp(1000), Timestamp(3500));
        assert_eq!(now, ToClient::Clock { now: Timestamp(3200) });
    }
}
