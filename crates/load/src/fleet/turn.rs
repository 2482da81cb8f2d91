//! The turn of a simulated client to the gateway of a new epoch, as clients of their own turn.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use antiphon_process::clock::SystemClock;
use antiphon_routing::VerifiedEpoch;
use antiphon_transport::{Link, LinkReceiver, LinkSender};
use antiphon_wire::{IdentityKey, Timestamp, ToClient};
use tokio::time::Instant;

use super::AGAIN;
use super::client::{Left, Session, greet, heard};

type Dialling = Pin<Box<dyn Future<Output = Option<Link>> + Send>>;

/// The gateway of an epoch that is to be turned to: between two rounds where the one in use serves that epoch as well, and
/// with the first of its rounds that opens there otherwise.
pub(super) struct Next {
    pub(super) epoch: Arc<VerifiedEpoch>,
    gateway: IdentityKey,
    /// What its clock showed last, and when.
    clock: Option<(Timestamp, Timestamp)>,
    link: Ahead,
}

enum Ahead {
    Dialling(Dialling),
    Up(LinkSender, LinkReceiver),
}

/// Event on the link to the next gateway.
pub(super) enum AheadEvent {
    Up,
    Message(Box<ToClient>),
    Gone,
}

impl Next {
    /// Next event of a link that is there; never ends on one that is not.
    pub(super) async fn event_of(next: Option<&mut Self>) -> AheadEvent {
        let Some(next) = next else { return std::future::pending().await };
        match &mut next.link {
            Ahead::Dialling(dialling) => match dialling.await {
                Some(link) => {
                    let (sender, receiver) = link.split();
                    next.link = Ahead::Up(sender, receiver);
                    AheadEvent::Up
                }
                None => AheadEvent::Gone,
            },
            Ahead::Up(_, receiver) => {
                let message = heard(receiver).await.map(Box::new);
                message.map_or(AheadEvent::Gone, AheadEvent::Message)
            }
        }
    }

    /// Returns `true` if a round of its epoch opens, or of a later one.
    fn opens(&self, message: &ToClient) -> bool {
        matches!(message, ToClient::Opened { epoch, .. } if *epoch >= self.epoch.epoch())
    }

    fn has_begun(&self) -> bool {
        self.epoch.document().starts_at <= SystemClock::now()
    }

    fn stands_by(&self) -> bool {
        matches!(self.link, Ahead::Up(..))
    }

    /// `true` if `gateway` serves the epoch as well.
    fn is_served_by(&self, gateway: &IdentityKey) -> bool {
        self.epoch.index_of(gateway).is_some()
    }
}

impl Session<'_> {
    /// Dials the gateway of the epoch that is due, or of the next that the one in use does not serve, unless it is the
    /// one in use.
    pub(super) fn turn(&mut self) -> Option<Left> {
        self.turn_at = None;
        let now = SystemClock::now();
        let epoch = self.epochs.borrow().to_turn_to(now, &self.gateway).map(Arc::clone)?;
        // It is planned for anew with the first of its rounds.
        if !self.policy.may_dial_for(&epoch, &self.gateway) {
            return None;
        }
        let gateway = self.policy.following(&epoch, &mut self.rng)?;
        if gateway == self.gateway && epoch.document().starts_at <= now {
            self.policy.turned(epoch.epoch());
        }
        if gateway == self.gateway
            || self.next.as_ref().is_some_and(|it| it.epoch.epoch() == epoch.epoch())
        {
            return None;
        }
        let (shared, of) = (Arc::clone(&self.shared), Arc::clone(&epoch));
        let dialling = Box::pin(async move { shared.open_link(&of, &gateway).await });
        let link = Ahead::Dialling(dialling);
        self.next = Some(Next { epoch, gateway, clock: None, link });
        None
    }

    /// When to turn to the next gateway, which stands by, if the one in use serves its epoch as well and rounds open there.
    pub(super) fn turns_between_rounds(&self) -> Option<Instant> {
        let both = |next: &&Next| next.stands_by() && next.is_served_by(&self.gateway);
        let next = self.next.as_ref().filter(both)?;
        let now = SystemClock::now();
        let at = self.policy.turns_between_rounds(next.epoch.epoch(), now)?;
        Some(Instant::now() + Duration::from_millis(at.ms_since(now)))
    }

    pub(super) async fn heard_ahead(&mut self, event: AheadEvent) -> Option<Left> {
        let next = self.next.as_mut()?;
        if let AheadEvent::Message(message) = &event
            && let ToClient::Clock { now } = **message
        {
            next.clock = Some((SystemClock::now(), now));
        }
        match event {
            AheadEvent::Message(message)
                if next.opens(&message) && !next.is_served_by(&self.gateway) =>
            {
                let left = self.turned().await;
                left.or_else(|| self.message(*message))
            }
            AheadEvent::Up | AheadEvent::Message(_) => None,
            AheadEvent::Gone => {
                self.policy.lost_in(next.epoch.epoch());
                self.next = None;
                self.turn_at = Some(Instant::now() + AGAIN);
                None
            }
        }
    }

    /// Hands rounds in at the next gateway from here on.
    pub(super) async fn turned(&mut self) -> Option<Left> {
        // Onions that wait for their moment are for the one before.
        while self.has_due() {
            self.submit().await;
        }
        let Next { epoch, gateway, clock, link, .. } = self.next.take()?;
        let Ahead::Up(sender, receiver) = link else { return Some(Left::Lost) };
        let interval_ms = epoch.parameters().interval_ms;
        let greeted = greet(&sender).await;
        let before = std::mem::replace(&mut self.link, (sender, receiver));
        self.before = (!self.is_free()).then_some(before);
        (self.gateway, self.epoch) = (gateway, epoch);
        self.cells.begin_anew();
        if let Some((at, clock)) = clock {
            // It has gone on meanwhile.
            self.cells.heed_clock(clock.plus_ms(SystemClock::now().ms_since(at)));
        }
        self.policy.turned(self.epoch.epoch());
        self.policy.linked(gateway, SystemClock::now(), interval_ms);
        self.shared.turns.fetch_add(1, Ordering::Relaxed);
        // It may not serve an epoch that the one before serves.
        self.plan_turn();
        greeted.is_none().then_some(Left::Lost)
    }

    /// Takes what the gateway before has to say of its rounds, and leaves it when they are over.
    pub(super) fn heard_before(&mut self, message: Option<ToClient>) -> Option<Left> {
        let left = match message {
            // Cells go over the link in use alone.
            Some(ToClient::Opened { .. } | ToClient::Clock { .. } | ToClient::Circuits { .. }) => {
                None
            }
            Some(message) => self.message(message),
            None => {
                self.before = None;
                None
            }
        };
        if self.is_free() {
            self.before = None;
        }
        left
    }

    /// The link in use is gone: the next gateway is turned to, if it stands by and its epoch has begun.
    pub(super) async fn lost(&mut self) -> Option<Left> {
        if self.next.as_ref().is_some_and(|next| next.stands_by() && next.has_begun()) {
            return self.turned().await;
        }
        Some(Left::Lost)
    }
}
