//! The link to the coordinator, which is dialled again when lost.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use antiphon_process::redial::{self, Peer};
use antiphon_transport::{CloseReason, DialError, Dialer, Link, LinkReceiver, PeerIdentity};
use antiphon_wire::{Addresses, Decode as _, IdentityKey, ToShard};
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::SendError;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

use crate::CoordinatorAddress;
use crate::advertised::Advertising;
use crate::redial::WAITS;

/// Interval at which names are looked up again while there is a link.
const LOOK_UP_EVERY: Duration = Duration::from_secs(60);
/// Longest time that looking names up may take.
const LOOK_UP_WITHIN: Duration = Duration::from_secs(3);
/// Messages that wait for the coordinator at most.
const QUEUE: usize = 64;

/// Event on the link to a coordinator, with its identity.
pub(crate) type Event = (IdentityKey, CoordinatorEvent);

/// Events on the link to one coordinator.
struct Events {
    of: IdentityKey,
    queue: mpsc::Sender<Event>,
}

impl Events {
    /// Tells of an event. Fails if nobody listens any more.
    async fn send(&self, event: CoordinatorEvent) -> Result<(), SendError<Event>> {
        self.queue.send((self.of, event)).await
    }
}

/// Event on the link to a coordinator.
#[derive(Debug)]
pub(crate) enum CoordinatorEvent {
    /// The shard is reached at these addresses by now, by shards and by clients.
    Reached(Addresses, Addresses),
    /// There is a link. Messages queued here go over this link or are lost with it, so that nothing ever goes
    /// ahead of the registration. Dropping the queue closes the link, when all is sent.
    Linked(mpsc::Sender<Bytes>),
    /// The coordinator has sent a message.
    Said(Box<ToShard>),
    /// There is no link, for this reason.
    Lost(String),
}

/// Keeps the link up until `events` is closed, or the queue of a link that is up is dropped.
pub(crate) async fn keep_linked(
    dialer: Arc<Dialer>,
    coordinator: CoordinatorAddress,
    advertising: Arc<Advertising>,
    events: mpsc::Sender<Event>,
) {
    let events = Events { of: coordinator.identity, queue: events };
    let coordinator = Coordinator { dialer, address: coordinator, advertising, events };
    redial::keep_linked(coordinator, WAITS).await;
}

struct Coordinator {
    dialer: Arc<Dialer>,
    address: CoordinatorAddress,
    advertising: Arc<Advertising>,
    events: Events,
}

impl Peer for Coordinator {
    type Link = Link;
    type Error = DialError;

    async fn dial(&mut self) -> Result<Link, DialError> {
        let expected = PeerIdentity(self.address.identity.0);
        self.dialer.dial_host(&self.address.address, expected).await
    }

    async fn carry(&mut self, link: Link) -> ControlFlow<()> {
        // The shard registers with what it is reached at by now.
        look_up(&self.advertising, &self.events).await;
        match carry(link, &self.advertising, &self.events).await {
            Some(why) => self.lost(why).await,
            None => ControlFlow::Break(()),
        }
    }

    async fn failed(&mut self, error: DialError) -> ControlFlow<()> {
        self.lost(error.to_string()).await
    }
}

impl Coordinator {
    async fn lost(&self, why: String) -> ControlFlow<()> {
        match self.events.send(CoordinatorEvent::Lost(why)).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }
}

/// Carries messages both ways until the link is gone, and returns why; `None` if it was ended here.
async fn carry(link: Link, advertising: &Arc<Advertising>, events: &Events) -> Option<String> {
    let (sender, mut receiver) = link.split();
    let (queue, mut queued) = mpsc::channel(QUEUE);
    events.send(CoordinatorEvent::Linked(queue)).await.ok()?;
    let send_all = async {
        while let Some(frame) = queued.recv().await {
            if let Err(error) = sender.send(frame).await {
                return Some(error.to_string());
            }
        }
        // If the link is gone instead, there is nothing left to do either.
        let _ = sender.finish().await;
        sender.close(CloseReason::Done);
        None
    };
    tokio::select! {
        ended = send_all => ended,
        why = look_up_again(advertising, events) => why,
        why = listen(&mut receiver, events) => {
            sender.close(CloseReason::Protocol);
            Some(why)
        }
    }
}

/// Looks names up again and again. Never ends.
async fn look_up_again(advertising: &Arc<Advertising>, events: &Events) -> Option<String> {
    loop {
        sleep(LOOK_UP_EVERY).await;
        look_up(advertising, events).await;
    }
}

/// Looks up where the shard is reached, and tells. Where that fails it goes on with what it has.
async fn look_up(advertising: &Arc<Advertising>, events: &Events) {
    if advertising.is_fixed() {
        return;
    }
    let advertising = Arc::clone(advertising);
    let looking = spawn_blocking(move || advertising.resolve());
    match timeout(LOOK_UP_WITHIN, looking).await {
        Ok(Ok(Ok((peers, clients)))) => {
            // Fails only if the shard is stopping.
            let _ = events.send(CoordinatorEvent::Reached(peers, clients)).await;
        }
        Ok(Ok(Err(error))) => tracing::warn!(%error, "advertising the addresses of before"),
        Ok(Err(_)) | Err(_) => {
            tracing::warn!("names cannot be looked up: advertising the addresses of before");
        }
    }
}

async fn listen(receiver: &mut LinkReceiver, events: &Events) -> String {
    loop {
        let frame = match receiver.recv().await {
            Ok(Some(frame)) => frame,
            Ok(None) => return "it closed the link".to_owned(),
            Err(error) => return error.to_string(),
        };
        let message = match ToShard::from_bytes(&frame) {
            Ok(message) => CoordinatorEvent::Said(Box::new(message)),
            Err(error) => return format!("it sent something unreadable: {error}"),
        };
        if events.send(message).await.is_err() {
            // This shard is stopping and listens no more, but what it said last still goes out.
            std::future::pending::<()>().await;
        }
    }
}
