//! The link to the coordinator, which is dialled again when lost.

use std::ops::ControlFlow;
use std::sync::Arc;

use antiphon_process::redial::{self, Peer};
use antiphon_transport::{CloseReason, DialError, Dialer, Link, LinkReceiver, PeerIdentity};
use antiphon_wire::{Decode as _, ToShard};
use bytes::Bytes;
use tokio::sync::mpsc;

use crate::CoordinatorAddress;
use crate::redial::WAITS;

/// Messages that wait for the coordinator at most.
const QUEUE: usize = 64;

/// Event on the link to the coordinator.
#[derive(Debug)]
pub(crate) enum CoordinatorEvent {
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
    events: mpsc::Sender<CoordinatorEvent>,
) {
    redial::keep_linked(Coordinator { dialer, address: coordinator, events }, WAITS).await;
}

struct Coordinator {
    dialer: Arc<Dialer>,
    address: CoordinatorAddress,
    events: mpsc::Sender<CoordinatorEvent>,
}

impl Peer for Coordinator {
    type Link = Link;
    type Error = DialError;

    async fn dial(&mut self) -> Result<Link, DialError> {
        let expected = PeerIdentity(self.address.identity.0);
        self.dialer.dial_host(&self.address.address, expected).await
    }

    async fn carry(&mut self, link: Link) -> ControlFlow<()> {
        match carry(link, &self.events).await {
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
async fn carry(link: Link, events: &mpsc::Sender<CoordinatorEvent>) -> Option<String> {
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
        why = listen(&mut receiver, events) => {
            sender.close(CloseReason::Protocol);
            Some(why)
        }
    }
}

async fn listen(receiver: &mut LinkReceiver, events: &mpsc::Sender<CoordinatorEvent>) -> String {
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
