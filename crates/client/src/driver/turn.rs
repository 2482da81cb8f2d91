//! The turn to the gateway of a new epoch, without missing a round.

use std::sync::Arc;
use std::time::Duration;

use antiphon_client_core::GatewayPolicy;
use antiphon_process::clock::SystemClock;
use antiphon_wire::{Round, ToClient};
use tokio::time::Instant;

use super::gateways::{named, round_of};
use super::line::{Line, LineEvent, Target};
use super::{Driver, Moment};
use crate::event::Event;

/// Time for which the gateway of before may go on serving once it is time to turn.
const TURN_WITHIN: Duration = Duration::from_millis(GatewayPolicy::TURN_WITHIN_MS);
/// Pause before another try.
const RETRY: Duration = Duration::from_secs(1);

/// The line to the gateway before, until the rounds that it was given are over.
pub(super) struct Before {
    pub(super) line: Line,
    /// The last of its rounds.
    through: Round,
}

impl Driver {
    /// Fixes the time to turn to the gateway of an epoch that was adopted.
    pub(super) fn plan_turn(&mut self) {
        let newest = self.core().newest_epoch().map(Arc::clone);
        let Some(newest) = newest else { return };
        let (present, now) = (self.line.gateway(), Moment::now());
        let turns_at = GatewayPolicy::turns_at(&newest, present, now.time, &mut self.rng);
        self.turn_at = Some(now.instant_of(turns_at));
    }

    /// Turns to the gateway of the epoch that is due, if another one serves.
    pub(super) fn turn(&mut self) {
        self.turn_at = None;
        let epoch = self.core().epoch_at(SystemClock::now()).map(Arc::clone);
        // Without a link, the next one is dialled as is due.
        let (Some(epoch), Some(present)) = (epoch, self.line.gateway()) else { return };
        let gateway = self.gateways.gateway(&epoch, &mut self.rng);
        let Some(gateway) = gateway.filter(|gateway| *gateway != present && !self.stopping) else {
            (self.next, self.turn_by) = (None, None);
            return;
        };
        if let Some(target) = named(&epoch, &gateway) {
            let mut next = self.line.another();
            next.dial(target);
            self.next = Some(next);
            self.turn_by.get_or_insert(Instant::now() + TURN_WITHIN);
        }
    }

    pub(super) async fn next_event(&mut self, event: LineEvent) {
        let reason = match event {
            LineEvent::Up => return self.turned(),
            LineEvent::Failed(error) => format!("no link to a gateway: {error}"),
            _ => "no link to a gateway".to_owned(),
        };
        self.emit(Event::AttemptFailed { reason });
        self.gateways.lost();
        self.next = None;
        self.turn_at = Some(Instant::now() + RETRY);
    }

    /// Hands rounds in at the next gateway from here on.
    fn turned(&mut self) {
        let Some(next) = self.next.take() else { return };
        let Some(Target::Gateway { identity, .. }) = next.target().cloned() else { return };
        // Onions that wait for their moment are for the one before.
        for onions in self.departures.take_onions() {
            self.line.send(onions);
        }
        self.part(next);
        self.gateway = Some(identity);
        self.greet(identity);
    }

    /// Leaves the gateway before, though no next one could be reached in time.
    pub(super) fn turn_away(&mut self) {
        self.next = None;
        if self.line.gateway().is_some() {
            let line = self.line.another();
            self.part(line);
            // The rounds under way are not given up for another gateway.
            self.gateway = None;
        }
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
