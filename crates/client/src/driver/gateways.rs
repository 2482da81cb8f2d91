//! The gateway in use: dialling it, losing it, and coming back to one.

use std::sync::Arc;
use std::time::Duration;

use antiphon_client_core::{DocumentRefusal, GatewayFault, Input};
use antiphon_process::backoff::Waits;
use antiphon_process::clock::SystemClock;
use antiphon_routing::VerifiedEpoch;
use antiphon_transport::DialError;
use antiphon_wire::{IdentityKey, Round, Timestamp, ToClient};

use super::Driver;
use super::line::{LineEvent, Target};
use crate::ConnectError;
use crate::event::Event;

/// Waits before a gateway is dialled after failures in a row.
const WAITS: Waits = Waits { first: Duration::from_millis(500), longest: Duration::from_secs(30) };
/// Gateways that fail in a row before the coordinator is asked for newer documents.
const ASK_AFTER: u32 = 3;

impl Driver {
    pub(super) async fn line_event(&mut self, event: LineEvent) {
        match event {
            LineEvent::Due => self.dial().await,
            LineEvent::Up => self.up().await,
            LineEvent::Failed(error) => self.attempt_failed(error),
            LineEvent::Message(message) => self.message(*message).await,
            LineEvent::Lost(reason) => self.lost(reason, false).await,
            LineEvent::Nonsense(what) => {
                self.lost(format!("it broke the protocol: {what}"), true).await;
            }
        }
    }

    /// Dials the next target: the gateway that the policy names, or the coordinator for newer documents.
    async fn dial(&mut self) {
        if self.rest() {
            return;
        }
        let now = SystemClock::now();
        let epoch = self.core().epoch_at(now).map(Arc::clone);
        let usable = epoch.filter(|epoch| now < epoch.document().expires_at);
        let ask = std::mem::take(&mut self.ask);
        let Some(epoch) = usable.filter(|_| !ask) else {
            return self.dial_coordinator();
        };
        let gateway = self.gateways.gateway(&epoch, &mut self.rng);
        let target = gateway.and_then(|gateway| named(&epoch, &gateway));
        let Some(target) = target else {
            if let Some(gateway) = self.gateways.pin() {
                self.emit(Event::GatewayMissing { gateway });
            }
            self.retry("the epoch does not have the gateway asked for".to_owned());
            self.ask = true;
            return;
        };
        if gateway != self.gateway {
            if self.gateway.is_some() {
                // Nobody else has the rounds that the one before was given.
                self.handle(Input::LinkLost).await;
            }
            let last = self.core().last_round();
            self.since = last;
            self.gateway = gateway;
        }
        self.line.dial(target);
    }

    /// Dials the coordinator after the one that was asked last, whatever came of that.
    fn dial_coordinator(&mut self) {
        let coordinators = &self.config.coordinators;
        let Some(next) = coordinators.get(self.turns % coordinators.len().max(1)) else {
            return self.retry("the configuration has no coordinator".to_owned());
        };
        self.turns = self.turns.wrapping_add(1);
        let (address, identity) = (next.address.clone(), next.identity);
        self.line.dial(Target::Coordinator { address, identity });
    }

    async fn up(&mut self) {
        self.line.greet();
        let Some(gateway) = self.line.gateway() else { return };
        tracing::info!("linked to a gateway");
        self.handle(Input::Linked).await;
        self.greet(gateway);
    }

    /// Takes note that a gateway serves this client from here on.
    pub(super) fn greet(&mut self, gateway: IdentityKey) {
        let interval_ms = self.interval_ms();
        self.gateways.linked(gateway, SystemClock::now(), interval_ms);
        self.emit(Event::Connected { gateway });
        self.show_status();
        // It may serve other epochs than the one before, and its epoch may be over by now.
        self.plan_turn();
        if let Some(ready) = self.ready.take() {
            // Fails only if nobody waits any more.
            let _ = ready.send(Ok(()));
        }
    }

    fn attempt_failed(&mut self, error: DialError) {
        let gateway = matches!(self.line.target(), Some(Target::Gateway { .. }));
        let reason = match self.line.target() {
            Some(Target::Gateway { .. }) => {
                self.gateways.lost();
                format!("no link to a gateway: {error}")
            }
            // With several, another may be the right one.
            _ if self.ready.is_some()
                && self.config.coordinators.len() == 1
                && matches!(error, DialError::WrongIdentity { .. }) =>
            {
                return self.give_up(ConnectError::Coordinator(error));
            }
            _ => format!("no link to the coordinator: {error}"),
        };
        self.emit(Event::AttemptFailed { reason: reason.clone() });
        self.retry(reason);
        if gateway && (self.failures.is_multiple_of(ASK_AFTER) || self.is_outdated()) {
            self.ask = true;
        }
    }

    pub(super) async fn message(&mut self, message: ToClient) {
        if self.line.gateway().is_none() {
            return match message {
                ToClient::Document { .. } => {
                    let refusal = self.handle(message.into()).await;
                    self.asked(refusal).await;
                }
                _ => self.lost("it broke the protocol: it is no gateway".to_owned(), true).await,
            };
        }
        if round_of(&message).is_some_and(|round| Some(round) <= self.since) {
            return;
        }
        if let ToClient::Opened { epoch, .. } = message {
            if self.stopping {
                return;
            }
            let interval_ms = self.interval_ms();
            let begins = self.gateways.opened(epoch, SystemClock::now(), interval_ms);
            self.failures = 0;
            self.handle(message.into()).await;
            if begins {
                self.plan_turn();
            }
            return;
        }
        self.handle(message.into()).await;
    }

    /// Goes on after a document of the coordinator.
    async fn asked(&mut self, refusal: Option<DocumentRefusal>) {
        match refusal {
            // The coordinator sends the newest document last, which may be the one that has the gateway asked for.
            None if self.lacks_pinned() => {
                self.last_failure = "the epoch does not have the gateway asked for".to_owned();
            }
            // On to a gateway.
            None => self.dial().await,
            // With several coordinators, another may have a better one.
            Some(error @ DocumentRefusal::Invalid(_)) if self.config.coordinators.len() > 1 => {
                self.lost(error.to_string(), true).await;
            }
            Some(error @ DocumentRefusal::Invalid(_)) if self.ready.is_some() => {
                self.give_up(ConnectError::Document(error));
            }
            // Another document may follow.
            Some(error) => self.last_failure = error.to_string(),
        }
    }

    /// Gives the link up after it broke, or because it has to be given up. A gateway whose link broke is
    /// dialled again at once, and has the rounds under way; a guilty one is left for the epoch's other one.
    pub(super) async fn lost(&mut self, reason: String, guilty: bool) {
        let again = match self.line.gateway() {
            Some(_) if self.turned_at_once().await => return,
            Some(gateway) => {
                tracing::info!(%reason, "the link to the gateway is gone");
                self.departures.clear();
                self.emit(Event::Disconnected { gateway, reason: reason.clone() });
                if guilty {
                    self.gateways.lost();
                }
                !guilty && self.gateways.link_broke()
            }
            None => {
                self.emit(Event::AttemptFailed { reason: reason.clone() });
                false
            }
        };
        let at_once = again && self.failures == 0;
        self.retry(reason);
        if at_once {
            self.line.wait(Duration::ZERO);
        }
        self.ask |= self.is_outdated();
    }

    fn retry(&mut self, reason: String) {
        self.last_failure = reason;
        let wait = WAITS.after(self.failures, &mut self.rng);
        self.failures = self.failures.saturating_add(1);
        self.line.wait(wait);
    }

    /// Leaves a gateway that the policy has had enough of, whether conversations are open or not.
    pub(super) async fn leave_if_at_fault(&mut self) {
        if self.stopping || self.line.gateway().is_none() {
            return;
        }
        if let Some(fault) = self.gateways.fault(SystemClock::now()) {
            self.lost(fault.to_string(), true).await;
            self.ask |= fault == GatewayFault::Quiet;
        }
    }

    /// `true` if the only gateway that may be used is in no epoch at the moment.
    fn lacks_pinned(&self) -> bool {
        let Some(pinned) = self.gateways.pin() else { return false };
        let epoch = self.core().epoch_at(SystemClock::now()).map(Arc::clone);
        let lacks = epoch.is_some_and(|epoch| epoch.index_of(&pinned).is_none());
        if lacks {
            self.emit(Event::GatewayMissing { gateway: pinned });
        }
        lacks
    }

    /// Interval from one round to the next, as far as is known.
    fn interval_ms(&self) -> u32 {
        self.core().newest_epoch().map_or(0, |epoch| epoch.parameters().interval_ms)
    }

    fn is_outdated(&self) -> bool {
        let core = self.core();
        core.newest_epoch().is_none_or(|epoch| is_outdated(epoch, SystemClock::now()))
    }
}

/// Returns `true` if an epoch should be over.
fn is_outdated(epoch: &VerifiedEpoch, now: Timestamp) -> bool {
    let document = epoch.document();
    let nominal_ms = document.rounds().saturating_mul(document.parameters.interval_ms.into());
    now >= document.starts_at.plus_ms(nominal_ms)
}

/// Target for the shard with this identity.
pub(super) fn named(epoch: &VerifiedEpoch, identity: &IdentityKey) -> Option<Target> {
    let index = epoch.index_of(identity)?;
    let shard = &epoch.shards()[index.position()];
    Some(Target::Gateway { addresses: shard.client_addresses.clone(), identity: shard.identity })
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
