//! Links that other shards dialled to this one, to receive from.

mod incoming;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use antiphon_mix::Input;
use antiphon_transport::{CloseReason, Limits, LinkSender, Server};
use antiphon_wire::IdentityKey;
use tokio::sync::{mpsc, watch};

use crate::server::Phase;

/// Whom to let in, and who is.
#[derive(Debug, Default)]
pub(crate) struct PeerLinks {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    listed: BTreeSet<IdentityKey>,
    /// At most one link of each peer, numbered.
    links: BTreeMap<IdentityKey, (u64, LinkSender)>,
    last: u64,
}

impl PeerLinks {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing panics while holding it.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an epoch that is not over lists this shard.
    pub(crate) fn is_listed(&self, peer: &IdentityKey) -> bool {
        self.lock().listed.contains(peer)
    }

    /// Sets who is listed, and closes the links of those who are not.
    pub(crate) fn list(&self, listed: BTreeSet<IdentityKey>) {
        let mut inner = self.lock();
        inner.listed = listed;
        let Inner { listed, links, .. } = &mut *inner;
        links.retain(|peer, (_, link)| {
            let stays = listed.contains(peer);
            if !stays {
                link.close(CloseReason::NotWelcome);
            }
            stays
        });
        crate::metrics::peer_links(links.len());
    }

    /// Takes in a link. It replaces one that the peer had: the peer dialled again because that one
    /// is lost. `None` if the peer left the list since the handshake.
    fn join(&self, peer: IdentityKey, link: &LinkSender) -> Option<u64> {
        let mut inner = self.lock();
        if !inner.listed.contains(&peer) {
            return None;
        }
        inner.last += 1;
        let number = inner.last;
        if let Some((_, old)) = inner.links.insert(peer, (number, link.clone())) {
            old.close(CloseReason::Done);
        }
        crate::metrics::peer_links(inner.links.len());
        Some(number)
    }

    fn leave(&self, peer: &IdentityKey, number: u64) {
        let mut inner = self.lock();
        if inner.links.get(peer).is_some_and(|(current, _)| *current == number) {
            inner.links.remove(peer);
        }
        crate::metrics::peer_links(inner.links.len());
    }
}

/// Takes in peers until the shard stops. Everything they send goes to `inputs`, and when that is
/// full, the links' flow control slows them down.
pub(crate) async fn serve(
    mut server: Server,
    links: Arc<PeerLinks>,
    inputs: mpsc::Sender<Input>,
    most_items: u32,
    mut phase: watch::Receiver<Phase>,
) {
    loop {
        let link = tokio::select! {
            link = server.accept() => link,
            _ = phase.wait_for(|phase| *phase == Phase::Closed) => break,
        };
        let Some(link) = link else { break };
        // The server lets only those in who prove an identity.
        let Some(identity) = link.remote_identity() else { continue };
        let peer = IdentityKey(identity.0);
        let (sender, mut receiver) = link.split();
        let Some(number) = links.join(peer, &sender) else {
            sender.close(CloseReason::NotWelcome);
            continue;
        };
        receiver.trust(Limits::shards().max_frame_bytes);
        let (links, inputs) = (Arc::clone(&links), inputs.clone());
        tokio::spawn(async move {
            incoming::receive(peer, &sender, receiver, inputs, most_items).await;
            links.leave(&peer, number);
        });
    }
    server.shut_down().await;
}
