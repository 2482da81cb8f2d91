//! One simulated client: it links, hands in its prepared onions in every round, and checks what comes
//! back.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use antiphon_client_core::{GatewayPolicy, hold_ms};
use antiphon_process::clock::SystemClock;
use antiphon_process::until;
use antiphon_transport::{LinkReceiver, LinkSender};
use antiphon_wire::{
    Decode as _, Encode as _, Epoch, FromClient, IdentityKey, PROTOCOL_VERSION, Round, ToClient,
};
use tokio::time::{Instant, sleep};

use super::{AGAIN, Shared, lock};
use crate::round_book::{Book, Fate, Opening};

/// Reason for which a client has no link any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It made room for another one.
    Replaced,
    /// The link broke by itself.
    Lost,
}

/// Takes part for as long as it is let.
pub(super) async fn live(shared: Arc<Shared>, client: u32) {
    let epoch = Arc::clone(&shared.epoch);
    let interval_ms = epoch.parameters().interval_ms;
    let mut policy = GatewayPolicy::default();
    for number in 0.. {
        let mut rng = shared.population.gateway(client, number);
        // Nobody is pinned, so that there is one.
        let Some(gateway) = policy.gateway(&epoch, &mut rng) else { return };
        let Some((sender, receiver)) = link(&shared, &gateway).await else {
            policy.lost();
            sleep(AGAIN).await;
            continue;
        };
        policy.linked(gateway, SystemClock::now(), interval_ms);
        shared.linked.fetch_add(1, Ordering::Relaxed);
        let mut session = Session {
            shared: &shared,
            client,
            policy: &mut policy,
            sender,
            receiver,
            due: VecDeque::new(),
            flying: Vec::new(),
        };
        let left = session.run().await;
        drop(session);
        shared.linked.fetch_sub(1, Ordering::Relaxed);
        match left {
            // Whoever takes the number is somebody else.
            Left::Replaced => policy = GatewayPolicy::default(),
            Left::Lost => {
                shared.links_lost.fetch_add(1, Ordering::Relaxed);
                policy.link_broke();
                sleep(AGAIN).await;
            }
        }
    }
}

/// Links to a gateway and greets it.
async fn link(shared: &Shared, gateway: &IdentityKey) -> Option<(LinkSender, LinkReceiver)> {
    let (sender, receiver) = shared.open_link(gateway).await?.split();
    let hello = FromClient::Hello { version: PROTOCOL_VERSION };
    sender.send(hello.to_bytes().into()).await.ok()?;
    Some((sender, receiver))
}

struct Session<'a> {
    shared: &'a Shared,
    client: u32,
    policy: &'a mut GatewayPolicy,
    sender: LinkSender,
    receiver: LinkReceiver,
    /// Rounds for which onions are to be handed in, and when.
    due: VecDeque<(Instant, Arc<Book>)>,
    /// Rounds whose onions are handed in.
    flying: Vec<Arc<Book>>,
}

impl Session<'_> {
    async fn run(&mut self) -> Left {
        loop {
            let next = self.due.front().map(|(at, _)| *at);
            let left = tokio::select! {
                biased;
                () = until(next) => self.submit().await,
                incoming = self.receiver.recv() => match incoming {
                    Ok(Some(frame)) => match ToClient::from_bytes(&frame) {
                        Ok(message) => self.message(message),
                        Err(_) => Some(Left::Lost),
                    },
                    _ => Some(Left::Lost),
                },
            };
            if let Some(left) = left {
                return left;
            }
        }
    }

    fn message(&mut self, message: ToClient) -> Option<Left> {
        match message {
            // One of all clients has them from the coordinator.
            ToClient::Document { .. } => None,
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
                self.landed(epoch, round)?.set_fate(self.client, Fate::Aborted);
                self.leaves_after(round)
            }
            ToClient::Refused { epoch, round, reason } => {
                self.landed(epoch, round)?.set_fate(self.client, Fate::Refused);
                let reason = String::from_utf8_lossy(&reason.0).into_owned();
                *lock(&self.shared.refusal) = Some(reason);
                self.leaves_after(round)
            }
        }
    }

    fn opened(&mut self, epoch: Epoch, round: Round, closes_in_ms: u32) {
        let interval_ms = self.shared.epoch.parameters().interval_ms;
        self.policy.opened(SystemClock::now(), interval_ms);
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
    async fn submit(&mut self) -> Option<Left> {
        let (_, book) = self.due.pop_front()?;
        let Some(frame) = book.frame(self.client) else {
            book.set_fate(self.client, Fate::Unprepared);
            return None;
        };
        book.set_fate(self.client, Fate::Submitted);
        self.flying.push(book);
        self.sender.send(frame).await.is_err().then_some(Left::Lost)
    }

    /// The round whose outcome has come.
    fn landed(&mut self, epoch: Epoch, round: Round) -> Option<Arc<Book>> {
        let is_it = |book: &Arc<Book>| book.round == round && book.epoch.epoch() == epoch;
        let position = self.flying.iter().position(is_it)?;
        Some(self.flying.swap_remove(position))
    }

    fn leaves_after(&self, round: Round) -> Option<Left> {
        let free = self.flying.is_empty() && self.due.is_empty();
        let leaves = self.shared.population.leaves_before(self.client, round.next());
        (free && leaves).then_some(Left::Replaced)
    }
}
