//! Links of clients: one task reads and one writes for each.

use antiphon_mix::ClientId;
use antiphon_transport::{CloseReason, Link, LinkReceiver, LinkSender, Server};
use antiphon_wire::{Decode as _, FromClient};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use crate::phase::Phase;

/// Event on a client's link.
#[derive(Debug)]
pub(crate) enum ClientEvent {
    /// A client has linked itself to this shard.
    Joined(ClientId, ClientLink),
    /// A client has sent a message.
    Said(ClientId, FromClient),
    /// A client is gone.
    Left(ClientId),
}

/// The sending side of one client's link.
#[derive(Debug)]
pub(crate) struct ClientLink {
    /// Queue of frames for it. Dropped, the link closes when all of them are sent.
    queue: mpsc::Sender<Bytes>,
    link: LinkSender,
}

/// The queue is full: the client does not read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TooSlow;

impl ClientLink {
    /// Queues a frame. Never waits for the client.
    pub(crate) fn send(&self, frame: Bytes) -> Result<(), TooSlow> {
        self.queue.try_send(frame).map_err(|_| TooSlow)
    }

    /// Closes the link at once.
    pub(crate) fn close(&self, reason: CloseReason) {
        self.link.close(reason);
    }
}

/// Takes in clients until the shard stops. At most `queue` frames wait for a client. Each writing task holds
/// a copy of `writing`, so that the shard knows when all have said goodbye.
pub(crate) async fn serve(
    mut server: Server,
    events: mpsc::Sender<ClientEvent>,
    queue: usize,
    writing: mpsc::Sender<()>,
    mut phase: watch::Receiver<Phase>,
) {
    let mut writing = Some(writing);
    let mut last = 0;
    loop {
        let link = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Running) => break,
            link = server.accept() => link,
        };
        let (Some(link), Some(writing)) = (link, &writing) else { break };
        last += 1;
        take_in(ClientId(last), link, queue, &events, writing.clone());
    }
    writing.take();
    // Fails only when the shard is gone without a word.
    let _ = phase.wait_for(|phase| *phase == Phase::Closed).await;
    server.shut_down().await;
}

fn take_in(
    id: ClientId,
    link: Link,
    queue: usize,
    events: &mpsc::Sender<ClientEvent>,
    writing: mpsc::Sender<()>,
) {
    let (sender, mut receiver) = link.split();
    let (queue, queued) = mpsc::channel(queue.max(1));
    tokio::spawn(write(sender.clone(), queued, writing));
    let events = events.clone();
    tokio::spawn(async move {
        let link = ClientLink { queue, link: sender.clone() };
        if events.send(ClientEvent::Joined(id, link)).await.is_ok() {
            if listen(id, &mut receiver, &events).await == Listened::Malformed {
                sender.close(CloseReason::Protocol);
            }
            // Fails only when the shard is gone.
            let _ = events.send(ClientEvent::Left(id)).await;
        }
    });
}

async fn write(sender: LinkSender, mut queued: mpsc::Receiver<Bytes>, writing: mpsc::Sender<()>) {
    let _writing = writing;
    // A client that does not read holds up this task alone.
    while let Some(frame) = queued.recv().await {
        if sender.send(frame).await.is_err() {
            return;
        }
    }
    // If the link is gone instead, there is nothing left to do either.
    let _ = sender.finish().await;
    sender.close(CloseReason::ShuttingDown);
}

#[derive(PartialEq, Eq)]
enum Listened {
    Gone,
    Malformed,
}

/// Hands on a client's messages until it is gone, or sends one that no client sends. A client that sends a
/// lot waits until the shard has dealt with it, and QUIC's flow control slows it down.
async fn listen(
    id: ClientId,
    receiver: &mut LinkReceiver,
    events: &mpsc::Sender<ClientEvent>,
) -> Listened {
    loop {
        match receiver.recv().await {
            Ok(Some(frame)) => {
                let Ok(message) = FromClient::from_bytes(&frame) else {
                    return Listened::Malformed;
                };
                if events.send(ClientEvent::Said(id, message)).await.is_err() {
                    return Listened::Gone;
                }
            }
            Ok(None) | Err(_) => return Listened::Gone,
        }
    }
}
