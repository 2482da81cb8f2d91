//! One link: who is at its other end, and its two halves.

mod recv;
mod send;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use quinn::{Connection, RecvStream, SendStream};
use rustls::pki_types::CertificateDer;

use crate::close::{CloseReason, LinkLost};
use crate::identity::PeerIdentity;
use crate::limits::Limits;
use crate::server::Permit;
use crate::tls;

pub use recv::{BulkReceiver, Incoming, LinkReceiver, RecvError};
pub use send::{BulkSender, LinkSender, SendError};

/// What all parts of a link share. The link closes, as [`CloseReason::Done`], when the last part
/// is dropped.
pub(crate) struct Shared {
    conn: Connection,
    identity: Option<PeerIdentity>,
    max_frame_bytes: usize,
    /// A server's place for this link, given back with the last part.
    _permit: Option<Permit>,
}

impl Shared {
    fn close(&self, reason: CloseReason) {
        self.conn.close(reason.code(), reason.text().as_bytes());
    }
}

/// An authenticated, encrypted link to another process.
pub struct Link {
    sender: LinkSender,
    receiver: LinkReceiver,
}

impl Link {
    pub(crate) fn new(
        conn: Connection,
        control: (SendStream, RecvStream),
        limits: &Limits,
        permit: Option<Permit>,
    ) -> Self {
        let shared = Arc::new(Shared {
            identity: identity_of(&conn),
            conn,
            max_frame_bytes: limits.max_frame_bytes,
            _permit: permit,
        });
        Self {
            sender: LinkSender::new(Arc::clone(&shared), control.0),
            receiver: LinkReceiver::new(shared, control.1),
        }
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

fn identity_of(conn: &Connection) -> Option<PeerIdentity> {
    let keys = conn.peer_identity()?.downcast::<Vec<CertificateDer<'static>>>().ok()?;
    tls::identity_of(keys.first()?).ok()
}
