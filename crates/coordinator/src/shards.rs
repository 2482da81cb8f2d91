//! Links of the shards: taken, registered, served and closed.

use std::collections::HashSet;
use std::fmt::Display;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use antiphon_coordinator_core::check_registration;
use antiphon_process::metrics::coordinator::REGISTRATIONS_REFUSED;
use antiphon_process::metrics::labels::Registration;
use antiphon_transport::{CloseReason, Endpoint, Limits, Link, LinkReceiver, LinkSender, Server};
use antiphon_wire::{
    Blob, Decode as _, Encode as _, Epoch, IdentityKey, NetworkFile, ToCoordinator, ToShard,
};
use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::driver::LinkEvent;

/// Frames on their way to one shard. A shard that lets more pile up is dropped.
const FRAMES: usize = 64;
/// Time in which a new link has to register.
const REGISTER_WITHIN: Duration = Duration::from_secs(10);
/// Addresses of shards for which places are kept.
const SOURCES: usize = 4096;
/// Interval in which it is said that links were closed.
const TELL_EVERY: Duration = Duration::from_secs(60);
/// Time that the last frames of a link have to arrive.
const FLUSH_WITHIN: Duration = Duration::from_secs(5);

/// State that all links share.
struct Door {
    network: Arc<NetworkFile>,
    events: mpsc::Sender<LinkEvent>,
    endpoint: Endpoint,
    /// The addresses that registered shards dialled from: there is always a place for them.
    sources: Mutex<HashSet<IpAddr>>,
    refusals: Refusals,
}

/// Takes links until told to stop, and closes them once the open rounds have ended.
pub(crate) async fn serve(
    mut server: Server,
    network: Arc<NetworkFile>,
    events: mpsc::Sender<LinkEvent>,
    mut stop: watch::Receiver<bool>,
) {
    let door = Arc::new(Door {
        network,
        events: events.clone(),
        endpoint: server.endpoint(),
        sources: Mutex::default(),
        refusals: Refusals::default(),
    });
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
        links.spawn(Arc::clone(&door).attend(link, number));
    }
    drop(door);
    // The open rounds need the links until nobody decides any more. They close by themselves then.
    events.closed().await;
    let _ = timeout(FLUSH_WITHIN, async { while links.join_next().await.is_some() {} }).await;
    // Shards that are told dial again at once, instead of waiting for a silent link.
    server.shut_down().await;
}

impl Door {
    /// Serves one link as long as it lives. Nothing of it gets further before an operator of the
    /// network vouches for the identity.
    async fn attend(self: Arc<Self>, link: Link, number: u64) {
        let Some(identity) = link.remote_identity() else {
            return link.close(CloseReason::NotWelcome);
        };
        let identity = IdentityKey(identity.0);
        let address = link.remote_addr();
        let (sender, mut receiver) = link.split();
        let Ok(Ok(Some(frame))) = timeout(REGISTER_WITHIN, receiver.recv()).await else {
            self.refusals.count(Registration::Silent, &"no registration came");
            return sender.close(CloseReason::Protocol);
        };
        let Ok(message @ ToCoordinator::Register { .. }) = ToCoordinator::from_bytes(&frame) else {
            self.refusals.count(Registration::Nonsense, &"not a registration");
            return sender.close(CloseReason::Protocol);
        };
        if let ToCoordinator::Register { registration, .. } = &message
            && let Err(error) = check_registration(&identity, registration, &self.network, Epoch(0))
        {
            self.refusals.count(Registration::Unlisted, &error);
            let reason = Blob(error.to_string().into_bytes());
            // Fails only if it does not want to know.
            let _ = sender.send(ToShard::Reject { reason }.to_bytes().into()).await;
            let _ = timeout(FLUSH_WITHIN, sender.finish()).await;
            return sender.close(CloseReason::NotWelcome);
        }
        self.keep_a_place(address.ip());
        receiver.trust(Limits::coordinator().max_frame_bytes);
        let (frames, queue) = mpsc::channel(FRAMES);
        let up = LinkEvent::Up { identity, link: number, address, frames };
        let registered = LinkEvent::Message { identity, link: number, message };
        if self.events.send(up).await.is_err() || self.events.send(registered).await.is_err() {
            return sender.close(CloseReason::ShuttingDown);
        }
        tokio::select! {
            () = write(&sender, queue) => {}
            reason = read(receiver, identity, number, &self.events) => sender.close(reason),
        }
        // Fails only when nobody decides any more.
        let _ = self.events.send(LinkEvent::Down { identity, link: number }).await;
    }

    fn keep_a_place(&self, source: IpAddr) {
        // Nothing panics while holding it.
        let mut sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        if sources.len() < SOURCES && sources.insert(source) {
            self.endpoint.reserve(sources.clone());
        }
    }
}

/// Those who are not let in, each told of at the level for debugging, and now and then how many.
#[derive(Debug, Default)]
struct Refusals {
    held: Mutex<(u64, Option<Instant>)>,
}

impl Refusals {
    fn count(&self, kind: Registration, why: &dyn Display) {
        REGISTRATIONS_REFUSED.add(kind, 1);
        tracing::debug!(%why, "a link is not taken for that of a shard");
        // Nothing panics while holding it.
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, told) = &mut *held;
        *count += 1;
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            tracing::info!(links = *count, last = %why, "links that no operator vouches for were closed");
            (*count, *told) = (0, Some(Instant::now()));
        }
    }
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
    loop {
        let incoming = receiver.recv().await;
        let frame = match incoming {
            Ok(Some(frame)) => frame,
            Ok(None) | Err(_) => return CloseReason::Done,
        };
        let Ok(message) = ToCoordinator::from_bytes(&frame) else {
            tracing::warn!(shard = %identity, "a message that makes no sense: closing the link");
            return CloseReason::Protocol;
        };
        if events.send(LinkEvent::Message { identity, link, message }).await.is_err() {
            return CloseReason::ShuttingDown;
        }
    }
}
