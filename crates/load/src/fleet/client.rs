//! One simulated client: it links, hands in its prepared onions in every round and its cells in every beat, and
//! checks what comes back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use antiphon_client_core::{Epochs, GatewayPolicy, hold_ms};
use antiphon_process::clock::SystemClock;
use antiphon_process::until;
use antiphon_routing::VerifiedEpoch;
use antiphon_transport::{LinkReceiver, LinkSender};
use antiphon_wire::{
    Decode as _, Encode as _, Epoch, FromClient, IdentityKey, PROTOCOL_VERSION, Round, ToClient,
};
use rand_chacha::ChaCha20Rng;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::cells::Cells;
use super::turn::Next;
use super::{AGAIN, Shared, lock};
use crate::round_book::{Book, Fate, Opening};

/// Reason for which a client has no link any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// It made room for another one.
    Replaced,
    /// The link broke by itself.
    Lost,
}

/// Takes part for as long as it is let.
pub(super) async fn live(shared: Arc<Shared>, client: u32) {
    let mut policy = GatewayPolicy::default();
    let mut epochs = shared.epochs.subscribe();
    for number in 0.. {
        let mut rng = shared.population.gateway(client, number);
        let Some(epoch) = shared.epoch_at(SystemClock::now()) else { return };
        // One that has not begun is still to be turned to.
        if epochs.borrow_and_update().newest().is_some_and(|it| it.epoch() > epoch.epoch()) {
            epochs.mark_changed();
        }
        // Nobody is pinned, so that there is one.
        let Some(gateway) = policy.gateway(&epoch, &mut rng) else { return };
        let Some((sender, receiver)) = link(&shared, &epoch, &gateway).await else {
            policy.lost();
            sleep(AGAIN).await;
            continue;
        };
        policy.linked(gateway, SystemClock::now(), epoch.parameters().interval_ms);
        shared.linked.fetch_add(1, Ordering::Relaxed);
        let mut session = Session {
            shared: Arc::clone(&shared),
            next: None,
            before: None,
            client,
            policy: &mut policy,
            gateway,
            epoch,
            epochs: &mut epochs,
            turn_at: None,
            rng,
            link: (sender, receiver),
            due: VecDeque::new(),
            flying: Vec::new(),
            cells: Cells::new(&shared, client),
        };
        let left = session.run().await;
        drop(session);
        shared.linked.fetch_sub(1, Ordering::Relaxed);
        after(left, &shared, &mut policy).await;
    }
}

/// What a client does once it has left its link, before it has another.
async fn after(left: Left, shared: &Shared, policy: &mut GatewayPolicy) {
    match left {
        // Whoever takes the number is somebody else.
        Left::Replaced => *policy = GatewayPolicy::default(),
        Left::Lost => {
            shared.links_lost.fetch_add(1, Ordering::Relaxed);
            policy.link_broke();
            sleep(AGAIN).await;
        }
    }
}

/// Links to a gateway and greets it.
async fn link(
    shared: &Shared,
    epoch: &VerifiedEpoch,
    gateway: &IdentityKey,
) -> Option<(LinkSender, LinkReceiver)> {
    let (sender, receiver) = shared.open_link(epoch, gateway).await?.split();
    greet(&sender).await?;
    Some((sender, receiver))
}

/// Says hello. `None` if the link is gone.
pub(super) async fn greet(sender: &LinkSender) -> Option<()> {
    let hello = FromClient::Hello { version: PROTOCOL_VERSION };
    sender.send(hello.to_bytes().into()).await.ok()
}

pub(super) struct Session<'a> {
    pub(super) shared: Arc<Shared>,
    client: u32,
    pub(super) policy: &'a mut GatewayPolicy,
    pub(super) gateway: IdentityKey,
    /// The epoch for which the gateway was drawn.
    pub(super) epoch: Arc<VerifiedEpoch>,
    /// Told of when there is a newer one.
    pub(super) epochs: &'a mut watch::Receiver<Epochs>,
    /// When to turn to the gateway of that.
    pub(super) turn_at: Option<Instant>,
    /// The link to that one, until it is turned to.
    pub(super) next: Option<Next>,
    /// The link to the gateway before, until its rounds are over.
    pub(super) before: Option<(LinkSender, LinkReceiver)>,
    pub(super) rng: ChaCha20Rng,
    pub(super) link: (LinkSender, LinkReceiver),
    /// Rounds for which onions are to be handed in, and when.
    due: VecDeque<(Instant, Arc<Book>)>,
    /// Rounds whose onions are handed in.
    flying: Vec<Arc<Book>>,
    pub(super) cells: Cells<'a>,
}

impl Session<'_> {
    async fn run(&mut self) -> Left {
        loop {
            let due = self.due.front().map(|(at, _)| *at);
            let cells = self.cells.next_at();
            let turns = self.turns_between_rounds();
            let left = tokio::select! {
                biased;
                // The fleet outlives its clients.
                _ = self.epochs.changed() => {
                    self.plan_turn();
                    None
                }
                () = until(self.turn_at) => self.turn(),
                () = until(turns) => self.turned().await,
                () = until(cells) => self.send_cells().await,
                () = until(due) => self.submit().await,
                ahead = Next::event_of(self.next.as_mut()) => self.heard_ahead(ahead).await,
                last = heard_of(self.before.as_mut()) => self.heard_before(last),
                incoming = heard(&mut self.link.1) => match incoming {
                    Some(message) => self.message(message),
                    None => self.lost().await,
                },
            };
            if let Some(left) = left {
                if left != Left::Lost {
                    self.cells.withdraw();
                }
                return left;
            }
        }
    }

    pub(super) fn message(&mut self, message: ToClient) -> Option<Left> {
        match message {
            // One of all clients has documents from the coordinator.
            ToClient::Document { .. } | ToClient::Box { .. } | ToClient::Backlog { .. } => None,
            ToClient::Circuits { announcement, .. } => {
                self.cells.announced(announcement);
                None
            }
            ToClient::Cells { epoch, round, beat, cells } => {
                self.cells.back((epoch, round, beat), cells.0);
                None
            }
            ToClient::Clock { now } => {
                self.cells.heed_clock(now);
                None
            }
            ToClient::Opened { epoch, round, closes_in_ms } => {
                self.opened(epoch, round, closes_in_ms);
                None
            }
            ToClient::Replies { epoch, round, replies } => {
                let now = Instant::now();
                let book = self.landed(epoch, round)?;
                book.answer(&self.shared.population, self.client, replies.0, now);
                self.leaves_after(round)
            }
            ToClient::Aborted { epoch, round, .. } => {
                self.cells.give_up(epoch, round);
                self.landed(epoch, round)?.set_fate(self.client, Fate::Aborted);
                self.leaves_after(round)
            }
            ToClient::Refused { epoch, round, reason } => {
                self.cells.give_up(epoch, round);
                self.landed(epoch, round)?.set_fate(self.client, Fate::Refused);
                let reason = String::from_utf8_lossy(&reason.0).into_owned();
                *lock(&self.shared.refusal) = Some(reason);
                self.leaves_after(round)
            }
        }
    }

    /// Plans to turn to another gateway, at a time of this client's own: when there is a newer epoch, and when the
    /// gateway in use is another one.
    pub(super) fn plan_turn(&mut self) {
        let epochs = self.epochs.borrow_and_update().clone();
        // It may have come in place of the one that is about to be turned to.
        self.next.take_if(|next| epochs.of_epoch(next.epoch.epoch()).is_none());
        let now = SystemClock::now();
        let Some(epoch) = epochs.to_plan_for(now, Some(&self.gateway)) else { return };
        let at = GatewayPolicy::turns_at(epoch, Some(self.gateway), now, &mut self.rng);
        self.turn_at = Some(Instant::now() + Duration::from_millis(at.ms_since(now)));
    }

    fn opened(&mut self, epoch: Epoch, round: Round, closes_in_ms: u32) {
        let interval_ms = self.epoch.parameters().interval_ms;
        if self.policy.opened(epoch, SystemClock::now(), interval_ms) {
            self.plan_turn();
        }
        let now = Instant::now();
        let open = Duration::from_millis(closes_in_ms.into());
        let held = Duration::from_millis(hold_ms(closes_in_ms).into());
        self.shared.note_open(round, now + open);
        let Some(book) = self.shared.builder.book(round) else { return };
        book.open(Opening { at: now, held, closes: now + open });
        if book.fate(self.client) != Fate::Absent {
            return;
        }
        if book.epoch.epoch() != epoch {
            return book.set_fate(self.client, Fate::Unprepared);
        }
        let mut rng = self.shared.population.arrival(self.client, round);
        // Who comes later than others has its onions ready, and holds them no longer.
        let at = now + held.max(self.shared.arrivals.draw(open, &mut rng));
        self.due.push_back((at, book));
    }

    /// Hands in the onions that are due.
    pub(super) async fn submit(&mut self) -> Option<Left> {
        let (_, book) = self.due.pop_front()?;
        let Some(frame) = book.frame(self.client) else {
            book.set_fate(self.client, Fate::Unprepared);
            return None;
        };
        book.set_fate(self.client, Fate::Submitted);
        if let Some(keys) = book.take_circuits(self.client) {
            let layers = book.epoch.geometry().layers();
            self.cells.set_up((book.epoch.epoch(), book.round), layers, keys);
        }
        self.flying.push(book);
        self.link.0.send(frame).await.is_err().then_some(Left::Lost)
    }

    /// Makes cells, or sends those that were made.
    async fn send_cells(&mut self) -> Option<Left> {
        let frame = self.cells.step()?;
        self.link.0.send(frame).await.is_err().then_some(Left::Lost)
    }

    /// The round whose outcome has come.
    fn landed(&mut self, epoch: Epoch, round: Round) -> Option<Arc<Book>> {
        let is_it = |book: &Arc<Book>| book.round == round && book.epoch.epoch() == epoch;
        let position = self.flying.iter().position(is_it)?;
        Some(self.flying.swap_remove(position))
    }

    fn leaves_after(&self, round: Round) -> Option<Left> {
        let leaves = self.shared.population.leaves_before(self.client, round.next());
        (self.is_free() && leaves).then_some(Left::Replaced)
    }

    /// Returns `true` if onions wait for their moment.
    pub(super) fn has_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Returns `true` if no round waits for this client's onions or has them.
    pub(super) fn is_free(&self) -> bool {
        self.flying.is_empty() && self.due.is_empty()
    }
}

/// The next message of a link; `None` if the link is gone, or brings what is none.
pub(super) async fn heard(receiver: &mut LinkReceiver) -> Option<ToClient> {
    let frame = receiver.recv().await.ok()??;
    ToClient::from_bytes(&frame).ok()
}

/// The same of a link that is there; never ends on one that is not.
async fn heard_of(link: Option<&mut (LinkSender, LinkReceiver)>) -> Option<ToClient> {
    match link {
        Some((_, receiver)) => heard(receiver).await,
        None => std::future::pending().await,
    }
}
