//! Links that other shards dialled to this one, to receive from.

mod incoming;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_mix::Input;
use antiphon_transport::{CloseReason, Lane, Limits, PeerHandle, PeerReceiver, PeerServer};
use antiphon_wire::IdentityKey;
use tokio::sync::{mpsc, watch};

use crate::phase::Phase;

/// Peers that may link to this shard, and the links of those that have.
#[derive(Debug, Default)]
pub(crate) struct PeerLinks {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    listed: BTreeSet<IdentityKey>,
    /// At most one link of each lane of a peer, numbered.
    links: BTreeMap<(IdentityKey, Lane), (u64, PeerHandle)>,
    last: u64,
}

impl PeerLinks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while holding it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns `true` if an epoch that is not over lists this shard.
    pub(crate) fn is_listed(&self, peer: &IdentityKey) -> bool {
        self.lock().listed.contains(peer)
    }

    /// Number of peers that have a link for messages.
    pub(crate) fn peers(&self) -> usize {
        self.lock().links.keys().filter(|(_, lane)| *lane == Lane::Control).count()
    }

    /// Sets the peers that are listed, and closes the links of all others.
    pub(crate) fn list(&self, listed: BTreeSet<IdentityKey>) {
        let mut inner = self.lock();
        inner.listed = listed;
        let Inner { listed, links, .. } = &mut *inner;
        links.retain(|(peer, _), (_, link)| {
            let stays = listed.contains(peer);
            if !stays {
                link.close(CloseReason::NotWelcome);
            }
            stays
        });
    }

    /// Takes in a link. It replaces one of that lane that the peer had: the peer dialled again because
    /// that one is lost. `None` if the peer left the list since the handshake.
    fn join(&self, peer: IdentityKey, lane: Lane, link: PeerHandle) -> Option<u64> {
        let mut inner = self.lock();
        if !inner.listed.contains(&peer) {
            return None;
        }
        inner.last += 1;
        let number = inner.last;
        if let Some((_, old)) = inner.links.insert((peer, lane), (number, link)) {
            old.close(CloseReason::Done);
        }
        Some(number)
    }

    fn leave(&self, peer: IdentityKey, lane: Lane, number: u64) {
        let mut inner = self.lock();
        if inner.links.get(&(peer, lane)).is_some_and(|(current, _)| *current == number) {
            inner.links.remove(&(peer, lane));
        }
    }
}

/// Queues for the inputs of peers. Messages do not wait for batches.
#[derive(Clone, Debug)]
pub(crate) struct PeerInputs {
    pub(crate) messages: mpsc::Sender<Input>,
    pub(crate) batches: mpsc::Sender<Input>,
}

/// Takes in peers until the shard stops. All their inputs go to `inputs`, and when that is full, nothing more
/// is read, so that TCP slows them down.
pub(crate) async fn serve(
    mut server: PeerServer,
    links: Arc<PeerLinks>,
    inputs: PeerInputs,
    most_items: u32,
    mut phase: watch::Receiver<Phase>,
) {
    loop {
        let link = tokio::select! {
            link = server.accept() => link,
            _ = phase.wait_for(|phase| *phase == Phase::Closed) => break,
        };
        let Some(link) = link else { break };
        let peer = IdentityKey(link.remote_identity().0);
        let (lane, handle) = (link.lane(), link.handle());
        let Some(number) = links.join(peer, lane, handle.clone()) else {
            handle.close(CloseReason::NotWelcome);
            continue;
        };
        let (links, inputs) = (Arc::clone(&links), inputs.clone());
        tokio::spawn(async move {
            receive(peer, link, &inputs, most_items).await;
            links.leave(peer, lane, number);
        });
    }
    server.shut_down().await;
}

async fn receive(peer: IdentityKey, mut link: PeerReceiver, inputs: &PeerInputs, most_items: u32) {
    let received = match link.lane() {
        Lane::Control => {
            link.trust(Limits::shards().max_frame_bytes);
            incoming::messages(peer, &mut link, &inputs.messages).await
        }
        Lane::Batches => {
            link.trust(incoming::MOST_FRAME_BYTES);
            incoming::batches(peer, &mut link, &inputs.batches, most_items).await
        }
    };
    if let Err(error) = received {
        tracing::warn!(%peer, %error, "closing the link of a peer");
        link.handle().close(CloseReason::Protocol);
    }
}
