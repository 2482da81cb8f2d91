//! One link: the identity at its other end, and its two halves.

mod receiver;
mod sender;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rustls::pki_types::CertificateDer;
use tokio::sync::watch;

use crate::close::{CloseReason, LinkLost};
use crate::door::Permit;
use crate::identity::PeerIdentity;
use crate::quic::stream::{Boxed, Receiving, Sending};
use crate::rules::Rules;
use crate::tls;

pub use receiver::LinkReceiver;
pub use sender::{LinkSender, SendError};

/// A connection, and the number of its links. It closes with the last of them.
#[derive(Clone)]
pub(crate) struct Connected {
    pub(crate) conn: quinn::Connection,
    pub(crate) identity: Option<PeerIdentity>,
    /// The longest frame sent, in bytes.
    pub(crate) max_frame_bytes: usize,
    /// Rules for frames that are received.
    pub(crate) rules: Rules,
    links: Arc<AtomicUsize>,
}

impl Connected {
    pub(crate) fn new(conn: quinn::Connection, max_frame_bytes: usize, rules: Rules) -> Self {
        let identity = identity_of(&conn);
        Self { conn, identity, max_frame_bytes, rules, links: Arc::default() }
    }

    /// Number of links over the connection.
    pub(crate) fn links(&self) -> usize {
        self.links.load(Ordering::Relaxed)
    }
}

fn identity_of(conn: &quinn::Connection) -> Option<PeerIdentity> {
    let keys = conn.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    tls::identity_of(keys.first()?).ok()
}

/// State that all parts of a link share. The link closes, as [`CloseReason::Done`], when the last part is
/// dropped.
struct Shared {
    connected: Connected,
    sending: Sending,
    receiving: Receiving,
    /// Reason why this link ended, once this side knows or has ended it.
    ended: watch::Sender<Option<LinkLost>>,
    /// A server's place for this link, given back with the last part.
    permit: Option<Permit>,
}

impl Shared {
    fn close(&self, reason: CloseReason) {
        if self.end(LinkLost::ByUs, reason) {
            self.sending.reset(reason);
            self.receiving.stop(reason);
        }
    }

    /// Notes that the other side ended the link. Bytes that have arrived may still be read.
    fn ended_by_peer(&self, reason: CloseReason) -> LinkLost {
        let why = LinkLost::ByPeer { reason };
        if self.end(why.clone(), CloseReason::Done) {
            self.sending.reset(CloseReason::Done);
        }
        why
    }

    /// Ends the link because of `why`. Returns `true` if the connection has other links and this one's
    /// streams have to be ended; otherwise the connection is closed, giving `reason`.
    fn end(&self, why: LinkLost, reason: CloseReason) -> bool {
        let first = self.ended.send_if_modified(|ended| {
            let first = ended.is_none();
            if first {
                *ended = Some(why);
            }
            first
        });
        if !first {
            return false;
        }
        let links = self.connected.links.fetch_sub(1, Ordering::Relaxed);
        debug_assert!(links > 0, "a link ended that was not counted");
        let last = links == 1;
        if last {
            self.connected.conn.close(reason.code(), reason.text().as_bytes());
        }
        !last
    }

    fn lost(&self) -> Option<LinkLost> {
        let lost = || self.connected.conn.close_reason().map(LinkLost::from);
        self.ended.borrow().clone().or_else(lost)
    }

    /// Waits until the link is gone.
    fn closed(&self) -> Boxed<LinkLost> {
        let mut ended = self.ended.subscribe();
        let conn = self.connected.conn.clone();
        let stopped = self.sending.stopped();
        Box::pin(async move {
            let by_us = async {
                // Fails only when the link is dropped, which ends it.
                ended.wait_for(Option::is_some).await.ok().and_then(|ended| ended.clone())
            };
            let by_peer = async {
                match stopped.await {
                    Ok(Some(reason)) => LinkLost::ByPeer { reason },
                    // Finished, or gone with the connection.
                    Ok(None) | Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ended = by_us => ended.unwrap_or(LinkLost::ByUs),
                lost = conn.closed() => lost.into(),
                lost = by_peer => lost,
            }
        })
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.close(CloseReason::Done);
    }
}

/// Counter of what a link's connection has carried. It can be read for as long as it is held, also when the link is gone.
#[derive(Clone)]
pub struct ByteCounter(pub(crate) quinn::Connection);

impl ByteCounter {
    /// Bytes of UDP payload sent and received so far, with all that QUIC adds and sends again.
    pub fn read(&self) -> (u64, u64) {
        let stats = self.0.stats();
        (stats.udp_tx.bytes, stats.udp_rx.bytes)
    }
}

impl PartialEq for ByteCounter {
    /// Returns `true` if both count one connection.
    fn eq(&self, other: &Self) -> bool {
        self.0.stable_id() == other.0.stable_id()
    }
}

impl Eq for ByteCounter {}

impl fmt::Debug for ByteCounter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (sent, received) = self.read();
        write!(f, "ByteCounter({sent} sent, {received} received)")
    }
}

/// An authenticated, encrypted link to another process.
pub struct Link {
    sender: LinkSender,
    receiver: LinkReceiver,
}

impl Link {
    /// One more link of a connection.
    pub(crate) fn new(
        connected: &Connected,
        (sending, receiving): (Sending, Receiving),
        permit: Option<Permit>,
    ) -> Self {
        connected.links.fetch_add(1, Ordering::Relaxed);
        let shared = Arc::new(Shared {
            connected: connected.clone(),
            sending,
            receiving,
            ended: watch::Sender::new(None),
            permit,
        });
        if let Some(permit) = &shared.permit {
            let link = Arc::downgrade(&shared);
            permit.closes_by(move || {
                if let Some(link) = link.upgrade() {
                    link.close(CloseReason::Overloaded);
                }
            });
        }
        Self { sender: LinkSender::new(Arc::clone(&shared)), receiver: LinkReceiver::new(shared) }
    }

    pub(crate) fn connected(&self) -> &Connected {
        self.sender.connected()
    }

    /// The proven identity of the other side; `None` for an anonymous client.
    pub fn remote_identity(&self) -> Option<PeerIdentity> {
        self.sender.remote_identity()
    }

    /// The other side's address. It can change while the link lives.
    pub fn remote_addr(&self) -> SocketAddr {
        self.sender.remote_addr()
    }

    /// Closes at once; what has not arrived yet is lost.
    pub fn close(&self, reason: CloseReason) {
        self.sender.close(reason);
    }

    /// Waits until the link is gone and says why.
    pub async fn closed(&self) -> LinkLost {
        self.sender.closed().await
    }

    /// The two halves, to be used from different tasks.
    pub fn split(self) -> (LinkSender, LinkReceiver) {
        (self.sender, self.receiver)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("remote", &self.remote_identity()).finish_non_exhaustive()
    }
}
