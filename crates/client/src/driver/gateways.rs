//! Which gateway to use, and how to come back to one.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use antiphon_client_core::{DocumentRefusal, Input};
use antiphon_routing::VerifiedEpoch;
use antiphon_transport::DialError;
use antiphon_transport::clock::SystemClock;
use antiphon_wire::{IdentityKey, Timestamp, ToClient};
use rand::{Rng, RngExt as _};
use tokio::time::Instant;

use super::Driver;
use super::line::{LineEvent, Target};
use crate::backoff;
use crate::event::Event;
use crate::{ConnectError, Gateway};

/// How long to wait for a moment between two rounds before making one to leave a gateway: where
/// rounds overlap, it takes no part in new ones until those in flight are over.
const MOVE_WITHIN: Duration = Duration::from_secs(60);
/// A gateway that opens no round for this long, and for this many intervals, is left.
const QUIET: Duration = Duration::from_secs(60);
const QUIET_INTERVALS: u32 = 12;
/// Documents refused from one gateway before it is left: checking them costs time.
const MOST_REFUSALS: u32 = 8;
/// Rounds in a row for which a gateway may bring nothing before it is left. Only what anyone on the
/// link sees as well counts: a client that left for what replies hold would show that it talks.
const MOST_UNANSWERED: u32 = 3;
/// Gateways that fail in a row before the coordinator is asked for newer documents.
const ASK_AFTER: u32 = 3;

impl Driver {
    pub(super) async fn line_event(&mut self, event: LineEvent) {
        match event {
            LineEvent::Due => self.dial(),
            LineEvent::Up => self.up(),
            LineEvent::Failed(error) => self.attempt_failed(error),
            LineEvent::Message(message) => self.message(*message).await,
            LineEvent::Lost(reason) => self.lost(reason, false).await,
            LineEvent::Nonsense(what) => {
                self.lost(format!("it broke the protocol: {what}"), true).await;
            }
        }
    }

    /// Dials whoever is next.
    fn dial(&mut self) {
        let now = SystemClock::now();
        let newest = self.core().newest_epoch().map(Arc::clone);
        let usable = newest.filter(|epoch| now < epoch.document().expires_at);
        let ask = std::mem::take(&mut self.ask);
        let Some(epoch) = usable.filter(|_| !ask) else {
            let coordinator = &self.config.coordinator;
            let (address, identity) = (coordinator.address.clone(), coordinator.identity);
            return self.line.dial(Target::Coordinator { address, identity });
        };
        let prefer = self.prefer.take();
        let target = match (self.config.gateway, prefer) {
            (Gateway::Shard(pinned), _) => named(&epoch, &pinned),
            (Gateway::Auto, Some(before)) if named(&epoch, &before).is_some() => {
                named(&epoch, &before)
            }
            (Gateway::Auto, _) => any(&epoch, self.serving.as_deref(), &self.failed, &mut self.rng),
        };
        match (target, self.config.gateway) {
            (Some(target), _) => self.line.dial(target),
            (None, gateway) => {
                if let Gateway::Shard(gateway) = gateway {
                    self.emit(Event::GatewayMissing { gateway });
                }
                self.retry("the epoch does not have the gateway asked for".to_owned());
                self.ask = true;
            }
        }
    }

    fn up(&mut self) {
        let Some(gateway) = self.line.gateway() else { return };
        tracing::info!("linked to a gateway");
        self.refusals = 0;
        self.heard();
        self.emit(Event::Connected { gateway });
        self.show_status();
        if let Some(ready) = self.ready.take() {
            // Fails only if nobody waits any more.
            let _ = ready.send(Ok(()));
        }
    }

    fn attempt_failed(&mut self, error: DialError) {
        let reason = match self.line.target() {
            Some(Target::Gateway { identity, .. }) => {
                self.failed.insert(*identity);
                format!("no link to a gateway: {error}")
            }
            _ if self.ready.is_some() && matches!(error, DialError::WrongIdentity { .. }) => {
                return self.give_up(ConnectError::Coordinator(error));
            }
            _ => format!("no link to the coordinator: {error}"),
        };
        let gateway = matches!(self.line.target(), Some(Target::Gateway { .. }));
        self.emit(Event::AttemptFailed { reason: reason.clone() });
        self.retry(reason);
        if gateway && (self.failures.is_multiple_of(ASK_AFTER) || self.is_outdated()) {
            self.ask = true;
        }
    }

    async fn message(&mut self, message: ToClient) {
        if self.line.gateway().is_none() {
            return match message {
                ToClient::Document { document } => {
                    let refusal = self.handle(Input::Document(Box::new(document))).await;
                    self.asked(refusal);
                }
                _ => self.lost("it broke the protocol: it is no gateway".to_owned(), true).await,
            };
        }
        let opened = match &message {
            ToClient::Opened { epoch, .. } => Some(*epoch),
            _ => None,
        };
        if opened.is_some() {
            if self.stopping || self.is_leaving() {
                return;
            }
            self.heard();
            self.failures = 0;
            self.failed.clear();
        }
        if self.handle(message.into()).await.is_some() {
            self.refusals += 1;
            if self.refusals >= MOST_REFUSALS {
                self.lost("it sends documents of no use".to_owned(), true).await;
            }
        }
        if let Some(epoch) = opened {
            let newest = self.core().newest_epoch().map(Arc::clone);
            // The epoch of the round, as long as the newest is not it.
            if let Some(newest) = newest.filter(|newest| newest.epoch() == epoch) {
                self.serving = Some(newest);
            }
        }
    }

    /// The coordinator sent a document.
    fn asked(&mut self, refusal: Option<DocumentRefusal>) {
        match refusal {
            // On to a gateway.
            None => self.dial(),
            Some(error @ DocumentRefusal::Invalid(_)) if self.ready.is_some() => {
                self.give_up(ConnectError::Document(error));
            }
            // Another document may follow.
            Some(error) => self.last_failure = error.to_string(),
        }
    }

    /// The link broke, or has to be given up. A guilty gateway is not tried again soon.
    async fn lost(&mut self, reason: String, guilty: bool) {
        if let Some(gateway) = self.line.gateway() {
            tracing::info!(%reason, "the link to the gateway is gone");
            if guilty {
                self.failed.insert(gateway);
            } else if self.failures == 0 {
                self.prefer = Some(gateway);
            }
            let cut_short = self.core().next_deadline().is_some();
            let unanswered = self.unanswered + u32::from(cut_short);
            self.leave(gateway, reason.clone()).await;
            self.unanswered = unanswered;
            if unanswered >= MOST_UNANSWERED {
                self.failed.insert(gateway);
                self.prefer = None;
                self.unanswered = 0;
            }
        } else {
            self.emit(Event::AttemptFailed { reason: reason.clone() });
        }
        self.retry(reason);
        self.ask |= self.is_outdated();
    }

    async fn leave(&mut self, gateway: IdentityKey, reason: String) {
        self.submissions.clear();
        self.move_by = None;
        self.line.wait(Duration::ZERO);
        self.handle(Input::LinkLost).await;
        self.emit(Event::Disconnected { gateway, reason });
    }

    fn retry(&mut self, reason: String) {
        self.last_failure = reason;
        let wait = backoff::wait(self.failures, &mut self.rng);
        self.failures = self.failures.saturating_add(1);
        self.line.wait(wait);
    }

    /// A new epoch was adopted: is the gateway in it?
    pub(super) fn check_gateway(&mut self) {
        let newest = self.core().newest_epoch().map(Arc::clone);
        let (Some(gateway), Some(newest)) = (self.line.gateway(), newest) else { return };
        let stays = newest.index_of(&gateway).is_some();
        // A pinned gateway serves the rest of its epoch.
        let move_on = !stays && self.config.gateway == Gateway::Auto;
        self.move_by = move_on.then(|| Instant::now() + MOVE_WITHIN);
    }

    /// Moves to another gateway between two rounds: one in flight would be charged.
    pub(super) async fn move_if_due(&mut self) {
        let between = self.core().next_deadline().is_none();
        if self.move_by.is_some()
            && between
            && let Some(gateway) = self.line.gateway()
        {
            self.leave(gateway, "it leaves with the next epoch".to_owned()).await;
        }
    }

    /// Whether no moment between two rounds came in time.
    fn is_leaving(&self) -> bool {
        self.move_by.is_some_and(|by| by <= Instant::now())
    }

    /// Leaves a gateway that brings nothing, for another one, whether conversations are open or not.
    pub(super) async fn leave_if_silent(&mut self) {
        let elsewhere = self.config.gateway == Gateway::Auto && !self.stopping;
        if elsewhere && self.unanswered >= MOST_UNANSWERED && self.line.gateway().is_some() {
            self.lost("it brought nothing for several rounds".to_owned(), true).await;
        }
    }

    pub(super) async fn leave_quiet_gateway(&mut self) {
        self.lost("it opened no round for a long time".to_owned(), true).await;
        self.ask = true;
    }

    /// The gateway shows that it works.
    fn heard(&mut self) {
        let interval_ms =
            self.core().newest_epoch().map_or(0, |epoch| epoch.parameters().interval_ms);
        let intervals = Duration::from_millis(interval_ms.into()) * QUIET_INTERVALS;
        self.quiet_until = Instant::now() + intervals.max(QUIET);
    }

    fn is_outdated(&self) -> bool {
        let core = self.core();
        core.newest_epoch().is_none_or(|epoch| is_outdated(epoch, SystemClock::now()))
    }
}

/// Whether an epoch should be over.
fn is_outdated(epoch: &VerifiedEpoch, now: Timestamp) -> bool {
    let document = epoch.document();
    let nominal_ms = document.rounds().saturating_mul(document.parameters.interval_ms.into());
    now >= document.starts_at.plus_ms(nominal_ms)
}

/// The shard with this identity.
fn named(epoch: &VerifiedEpoch, identity: &IdentityKey) -> Option<Target> {
    let index = epoch.index_of(identity)?;
    let shard = &epoch.shards()[index.position()];
    Some(Target::Gateway { address: shard.client_address, identity: shard.identity })
}

/// Any shard of `epoch`, evenly; if possible one that is also `serving` and has not `failed`.
fn any(
    epoch: &VerifiedEpoch,
    serving: Option<&VerifiedEpoch>,
    failed: &BTreeSet<IdentityKey>,
    rng: &mut impl Rng,
) -> Option<Target> {
    let serves = |id: &IdentityKey| serving.is_none_or(|serving| serving.index_of(id).is_some());
    let works = |id: &IdentityKey| !failed.contains(id);
    let all: Vec<_> = epoch.shards().iter().map(|shard| shard.identity).collect();
    let of = |wanted: &dyn Fn(&IdentityKey) -> bool| {
        all.iter().copied().filter(|id| wanted(id)).collect::<Vec<_>>()
    };
    let choice = [of(&|id| serves(id) && works(id)), of(&works), of(&|_| true)]
        .into_iter()
        .find(|choice| !choice.is_empty())?;
    named(epoch, &choice[rng.random_range(0..choice.len())])
}
