//! The turn to the gateway of a new epoch, without missing a round.

use std::sync::Arc;
use std::time::Duration;

use antiphon_client_core::GatewayPolicy;
use antiphon_process::clock::SystemClock;
use antiphon_wire::{Epoch, Round, Timestamp, ToClient};
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
/// Where the gateway in use does not serve that epoch, the line stands by until the first of its rounds opens there,
/// without a hello: nobody is to wait for this client in the rounds before.
pub(super) struct Next {
    pub(super) line: Line,
    epoch: Epoch,
    starts_at: Timestamp,
    /// `true` if the gateway in use serves the epoch as well.
    stays: bool,
    /// What the gateway has said that counts from the turn on.
    said: Vec<ToClient>,
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
            self.said.retain(|said| !is_clock(said));
        }
        if self.said.len() == MOST_KEPT {
            self.said.remove(0);
        }
        self.said.push(message);
    }
}

impl Driver {
    /// Fixes the time to turn to another gateway: when an epoch was adopted, and when the gateway in use is another than
    /// the time was fixed for.
    pub(super) fn plan_turn(&mut self) {
        let (present, now) = (self.line.gateway(), Moment::now());
        let epoch = self.core().epoch_to_plan_for(now.time, present.as_ref()).map(Arc::clone);
        let Some(epoch) = epoch else { return };
        // It may have come in place of the one that is about to be turned to.
        if self.next.as_ref().is_some_and(|next| !self.core().knows(next.epoch)) {
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
        // Without a link, the next one is dialled as is due.
        let Some(present) = self.line.gateway() else { return };
        let epoch = self.core().epoch_to_turn_to(now.time, &present).map(Arc::clone);
        let Some(epoch) = epoch else { return };
        let document = epoch.document();
        if self.next.as_ref().is_some_and(|next| next.epoch == document.epoch) {
            return;
        }
        let starts_at = document.starts_at;
        let gateway = match starts_at <= now.time {
            true => self.gateways.gateway(&epoch, &mut self.rng),
            false => self.gateways.following(&epoch, &mut self.rng),
        };
        let Some(gateway) = gateway.filter(|gateway| *gateway != present && !self.stopping) else {
            (self.next, self.turn_by) = (None, None);
            return;
        };
        if let Some(target) = named(&epoch, &gateway) {
            let mut line = self.line.another();
            line.dial(target);
            let stays = epoch.index_of(&present).is_some();
            let epoch = document.epoch;
            self.next = Some(Next { line, epoch, starts_at, stays, said: Vec::new() });
            self.turn_by.get_or_insert(now.instant_of(starts_at) + TURN_WITHIN);
        }
    }

    pub(super) async fn next_event(&mut self, event: LineEvent) {
        let Some(next) = &mut self.next else { return };
        let reason = match event {
            LineEvent::Up if next.stays || next.starts_at <= SystemClock::now() => {
                return self.turned();
            }
            LineEvent::Up => return,
            LineEvent::Message(message) => return self.heard_ahead(*message).await,
            LineEvent::Failed(error) => format!("no link to a gateway: {error}"),
            LineEvent::Due | LineEvent::Lost(_) | LineEvent::Nonsense(_) => {
                "no link to a gateway".to_owned()
            }
        };
        let epoch = next.epoch;
        self.emit(Event::AttemptFailed { reason });
        self.gateways.lost_in(epoch);
        self.next = None;
        self.turn_at = Some(Instant::now() + RETRY);
    }

    /// Takes a message of a gateway that stands by: with the first round of its epoch, it is turned to.
    async fn heard_ahead(&mut self, message: ToClient) {
        let Some(next) = &mut self.next else { return };
        match message {
            ToClient::Opened { epoch, .. } if epoch >= next.epoch && !self.stopping => {
                let said = std::mem::take(&mut next.said);
                self.turned();
                for message in said {
                    self.message(message).await;
                }
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
    pub(super) fn turned(&mut self) {
        let Some(Next { mut line, epoch, .. }) = self.next.take() else { return };
        let Some(Target::Gateway { identity, .. }) = line.target().cloned() else { return };
        line.greet();
        self.gateways.turned(epoch);
        // Onions that wait for their moment are for the one before.
        for onions in self.departures.take_onions() {
            self.line.send(onions);
        }
        self.part(line);
        self.gateway = Some(identity);
        self.greet(identity);
    }

    /// Leaves the gateway before, for the next one if that stands by, and though none could be reached in time.
    pub(super) fn turn_away(&mut self) {
        if self.next.as_ref().is_some_and(|next| next.line.gateway().is_some()) {
            return self.turned();
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
    pub(super) fn turned_at_once(&mut self) -> bool {
        let now = SystemClock::now();
        let stands_by = |next: &Next| next.line.gateway().is_some() && next.starts_at <= now;
        let turns = self.next.as_ref().is_some_and(stands_by);
        if turns {
            self.turned();
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
