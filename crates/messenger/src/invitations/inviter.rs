//! Carries invitations into their rounds and out of the boxes.
//!
//! The client hands in one onion in each invitation round, whatever is in it: a dummy, or one of these. Boxes are opened
//! on another thread, with all codes on all items, and nothing that is sent waits for it.

use std::sync::Arc;

use antiphon_client::{
    BoxContent, Client, CoreEvent, Event, Events, Item, Outcome, Posting, Round, RoundKind,
};
use antiphon_contacts::{Invitation, InvitationBox, InvitationRound, Knocks, OwnCodes};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_wire::{Services, box_of_address};
use tokio::sync::{Notify, oneshot};
use tokio::task::spawn_blocking;

use super::requests;
use super::sent::{self, Sent};
use crate::book;
use crate::error::MessengerError;
use crate::shared::Shared;

/// Rounds after which nothing is known any more of an invitation that left.
const DOUBTFUL_ROUNDS: u64 = 16;

/// An invitation that is on its way to a box.
#[derive(Debug)]
struct Posted {
    round: Round,
    number: u16,
    item: Invitation,
    sent: Sent,
}

/// Sends invitations and takes those that come, for as long as the client runs.
pub(crate) struct Inviter {
    shared: Arc<Shared>,
    client: Arc<Client>,
    services: Services,
    /// Somebody is to be invited.
    news: Arc<Notify>,
    events: Events,
    /// Invitations that are not answered, as far as is known here.
    open: Vec<Sent>,
    posted: Option<Posted>,
}

impl Inviter {
    /// An inviter that looks at the store again with each of the `news`.
    pub(crate) fn new(
        shared: Arc<Shared>,
        client: Arc<Client>,
        services: Services,
        news: Arc<Notify>,
    ) -> Self {
        let events = client.events();
        // Those of before this process.
        news.notify_one();
        Self { shared, client, services, news, events, open: Vec::new(), posted: None }
    }

    /// Works until the client is gone.
    pub(crate) async fn run(mut self) {
        loop {
            tokio::select! {
                event = self.events.next() => match event {
                    Some(Event::Core(event)) => self.heed(event).await,
                    Some(_) => {}
                    None => return,
                },
                () = self.news.notified() => {
                    match self.shared.store(|store, _| sent::all(store)).await {
                        Ok(open) => self.open = open,
                        Err(error) => report(&error),
                    }
                    self.post().await;
                }
            }
        }
    }

    async fn heed(&mut self, event: CoreEvent) {
        match event {
            CoreEvent::Box { round, number, content: BoxContent::Invitations(items) } => {
                self.arrived(round, number, &items).await;
                if let Err(error) = self.read(round, items).await {
                    report(&error);
                }
            }
            CoreEvent::BoxMissing { round, .. } => self.lost(round).await,
            CoreEvent::RoundEnded { round, outcome } => {
                if matches!(outcome, Outcome::FreeAbort | Outcome::ChargedAbort) {
                    self.lost(round).await;
                }
                self.post().await;
            }
            _ => {}
        }
    }

    /// Looks for the own invitation in its box.
    async fn arrived(&mut self, round: Round, number: u16, items: &InvitationBox) {
        let is_its = |posted: &&Posted| posted.round == round && posted.number == number;
        let Some(posted) = self.posted.as_ref().filter(is_its) else { return };
        if items.items().contains(posted.item.bytes()) {
            self.posted = None;
        } else {
            self.lost(round).await;
        }
    }

    /// The round's box will not hold the own invitation: it is sent again.
    async fn lost(&mut self, round: Round) {
        let Some(posted) = self.posted.take_if(|posted| posted.round == round) else { return };
        self.keep(posted.sent.lost()).await;
    }

    /// Opens what a box holds for the user.
    async fn read(&self, round: Round, items: InvitationBox) -> Result<(), MessengerError> {
        let codes = OwnCodes::new(self.shared.store(|store, _| book::codes(store)).await?);
        let now = SystemClock::now();
        let open = move || codes.knocks(&items, InvitationRound(round.0), now);
        let opened = spawn_blocking(open).await.map_err(|_| MessengerError::Interrupted)?;
        let Knocks { knocks, flooded } = opened;
        if !flooded.is_empty() {
            tracing::warn!("somebody floods a contact code with invitations");
        }
        self.shared.store(move |store, rng| requests::take(store, now, knocks, rng)).await
    }

    /// Has an invitation leave in the next round that is for them, if one is due.
    async fn post(&mut self) {
        let Some(last) = self.client.status().last_round else { return };
        if self.posted.as_ref().is_some_and(|posted| posted.round.0 + DOUBTFUL_ROUNDS > last.0) {
            return;
        }
        self.posted = None;
        let Some(next) = self.services.next(RoundKind::Invitations, last.next()) else { return };
        let Some(due) = self.open.iter().find(|sent| sent.is_due(next)).cloned() else { return };
        let looked_at = due.clone();
        let now = SystemClock::now();
        let is_open = self.shared.store(move |store, _| sent::is_open(store, &looked_at, now));
        if !is_open.await {
            self.open.retain(|sent| sent.contact != due.contact);
            let forgotten =
                self.shared.store(move |store, rng| sent::forget(store, due.contact, rng));
            forgotten.await.unwrap_or_else(|error| report(&error));
            return;
        }
        // On disk before it leaves: no invitation is sent more often than is counted.
        if self.keep(due.sent_in(next, &self.services)).await {
            self.hand_over(due, next).await;
        }
    }

    async fn hand_over(&mut self, due: Sent, next: Round) {
        let number = box_of_address(due.code.address.0, self.services.invitation_boxes);
        let (tell, told) = oneshot::channel();
        let Sent { code, secret, address, .. } = due.clone();
        let make = move |round: Round| {
            let sealed = InvitationRound(round.0);
            let item = Invitation::seal(&code, (address, &secret), sealed, &mut entropy());
            // Fails only if nobody waits any more.
            let _ = tell.send(item);
            Some(Posting { round, number, item: Item::Invitation(*item.bytes()) })
        };
        let posted = self.client.post(RoundKind::Invitations, make).await;
        match (posted, told.await) {
            (Ok(round), Ok(item)) => {
                let sent = due.sent_in(next, &self.services);
                self.posted = Some(Posted { round, number, item, sent });
            }
            // Nothing has left, so it is due again.
            _ => {
                self.keep(due).await;
            }
        }
    }

    /// Keeps an invitation as it is now. Returns `false` if it cannot be kept.
    async fn keep(&mut self, sent: Sent) -> bool {
        self.open.retain(|other| other.contact != sent.contact);
        self.open.push(sent.clone());
        let kept = self.shared.store(move |store, rng| sent::keep(store, &sent, rng)).await;
        kept.inspect_err(report).is_ok()
    }
}

fn report(error: &MessengerError) {
    // Without its words, which may name a contact.
    tracing::error!(kind = ?error.kind(), "invitations cannot be read or kept");
}
