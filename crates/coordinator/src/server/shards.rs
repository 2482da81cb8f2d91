//! The shards' links.

use std::time::Duration;

use antiphon_transport::{CloseReason, Incoming, Link, LinkReceiver, LinkSender, Server};
use antiphon_wire::{Decode, IdentityKey, ToCoordinator};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::driver::LinkEvent;

/// Frames on their way to one shard. A shard that lets more pile up is dropped.
const FRAMES: usize = 64;
/// How long a new link has to register.
const REGISTER_WITHIN: Duration = Duration::from_secs(10);
/// How long the last frames of a link have to arrive.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// Takes links until told to stop, and closes them once the open rounds have ended.
pub(super) async fn serve(
    mut server: Server,
    events: mpsc::Sender<LinkEvent>,
    mut stop: watch::Receiver<bool>,
) {
    let mut number = 0;
    let mut links = JoinSet::new();
    loop {
        let link = tokio::select! {
            link = server.accept() => link,
            Some(_) = links.join_next() => continue,
            _ = stop.wait_for(|stop| *stop) => None,
        };
        let Some(link) = link else { break };
        number += 1;
        links.spawn(attend(link, number, events.clone()));
    }
    // The open rounds need the links until nobody decides any more. They close by themselves then.
    events.closed().await;
    let _ = timeout(FLUSH_WITHIN, async { while links.join_next().await.is_some() {} }).await;
    // Shards that are told dial again at once, instead of waiting for a silent link.
    server.shut_down().await;
}

/// Serves one link as long as it lives.
async fn attend(link: Link, number: u64, events: mpsc::Sender<LinkEvent>) {
    let Some(identity) = link.remote_identity() else {
        return link.close(CloseReason::NotWelcome);
    };
    let (identity, address) = (IdentityKey(identity.0), link.remote_addr());
    let (sender, receiver) = link.split();
    let (frames, queue) = mpsc::channel(FRAMES);
    if events.send(LinkEvent::Up { identity, link: number, address, frames }).await.is_err() {
        return sender.close(CloseReason::ShuttingDown);
    }
    tokio::select! {
        () = write(&sender, queue) => {}
        reason = read(receiver, identity, number, &events) => sender.close(reason),
    }
    // Fails only when nobody decides any more.
    let _ = events.send(LinkEvent::Down { identity, link: number }).await;
}

/// Sends what is queued until the queue is given up, and sees that it arrives.
async fn write(sender: &LinkSender, mut queue: mpsc::Receiver<Bytes>) {
    while let Some(frame) = queue.recv().await {
        if sender.send(frame).await.is_err() {
            return;
        }
    }
    // Whoever does not take it in time goes without.
    let _ = timeout(FLUSH_WITHIN, sender.finish()).await;
    sender.close(CloseReason::Done);
}

/// Passes messages on until the link ends or the other side makes a mistake.
async fn read(
    mut receiver: LinkReceiver,
    identity: IdentityKey,
    link: u64,
    events: &mpsc::Sender<LinkEvent>,
) -> CloseReason {
    let mut registered = false;
    loop {
        let incoming = if registered {
            receiver.recv().await
        } else {
            match timeout(REGISTER_WITHIN, receiver.recv()).await {
                Ok(incoming) => incoming,
                Err(_) => return CloseReason::Protocol,
            }
        };
        let frame = match incoming {
            Ok(Some(Incoming::Frame(frame))) => frame,
            Ok(Some(Incoming::Bulk(_))) => return CloseReason::Protocol,
            Ok(None) | Err(_) => return CloseReason::Done,
        };
        let Ok(message) = ToCoordinator::from_bytes(&frame) else {
            tracing::warn!(shard = %identity, "a message that makes no sense: closing the link");
            return CloseReason::Protocol;
        };
        registered |= matches!(message, ToCoordinator::Register { .. });
        if !registered {
            return CloseReason::Protocol;
        }
        if events.send(LinkEvent::Message { identity, link, message }).await.is_err() {
            return CloseReason::ShuttingDown;
        }
    }
}
