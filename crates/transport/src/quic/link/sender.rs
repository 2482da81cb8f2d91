//! The sending half of a link.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::{Connected, Shared};
use crate::close::{CloseReason, LinkLost};
use crate::frame::{FrameTooLarge, encode_frames};
use crate::identity::PeerIdentity;
use crate::quic::stream::StreamError;

/// Reason why something could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent; the link is still good.
    #[error(transparent)]
    FrameTooLarge(#[from] FrameTooLarge),
    /// An earlier frame was dropped half-way, and the link closed for it.
    #[error("an earlier message was abandoned half-way: let each send run to its end")]
    Abandoned,
    /// The link is gone.
    #[error(transparent)]
    Lost(#[from] LinkLost),
}

/// Sends frames. Clones send over the same link.
#[derive(Clone)]
pub struct LinkSender {
    shared: Arc<Shared>,
    /// Held while writing frames; `true` if one was left unfinished.
    unfinished: Arc<Mutex<bool>>,
}

impl LinkSender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, unfinished: Arc::default() }
    }

    pub(super) fn connected(&self) -> &Connected {
        &self.shared.connected
    }

    /// Sends one frame, in the order of the calls. Waits while the
    /// receiver has a full window unread.
    ///
    /// Dropping the future half-way closes the link, since the rest of the stream would be
    /// unreadable.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub async fn send(&self, frame: Bytes) -> Result<(), SendError> {
        self.send_all(std::slice::from_ref(&frame)).await
    }

    /// Like [`LinkSender::send`], for several frames in a row.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub async fn send_all(&self, frames: &[Bytes]) -> Result<(), SendError> {
        let mut pieces = encode_frames(frames, self.shared.connected.max_frame_bytes)?;
        let mut unfinished = self.unfinished.lock().await;
        if *unfinished {
            self.shared.close(CloseReason::Abandoned);
            return Err(SendError::Abandoned);
        }
        let guard = Unfinished { shared: &self.shared, unfinished: &mut unfinished };
        // Set for as long as a frame is half-way, which is when a drop must not go unnoticed.
        *guard.unfinished = true;
        let written = self.shared.sending.write_all(&mut pieces).await;
        *guard.unfinished = false;
        drop(guard);
        written.map_err(|error| match error {
            StreamError::Ended(reason) => SendError::Lost(self.shared.ended_by_peer(reason)),
            StreamError::Lost(lost) => SendError::Lost(self.shared.lost().unwrap_or(lost)),
        })
    }

    /// Ends the sending half, and waits until the other side has received all of it.
    ///
    /// # Errors
    ///
    /// [`SendError::Lost`] if the link went first.
    pub async fn finish(&self) -> Result<(), SendError> {
        let unfinished = self.unfinished.lock().await;
        self.shared.sending.finish();
        let received = self.shared.sending.stopped();
        drop(unfinished);
        match received.await? {
            None => Ok(()),
            Some(reason) => Err(SendError::Lost(self.shared.ended_by_peer(reason))),
        }
    }

    /// The proven identity of the other side; `None` for an anonymous client.
    pub fn remote_identity(&self) -> Option<PeerIdentity> {
        self.shared.connected.identity
    }

    /// The other side's address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.shared.connected.conn.remote_address()
    }

    /// Closes the link at once; what has not arrived yet is lost.
    pub fn close(&self, reason: CloseReason) {
        self.shared.close(reason);
    }

    /// Waits until the link is gone and says why.
    pub async fn closed(&self) -> LinkLost {
        self.shared.closed().await
    }

    /// Reason why the link is gone; `None` while it lives.
    pub fn lost(&self) -> Option<LinkLost> {
        self.shared.lost()
    }
}

impl fmt::Debug for LinkSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSender")
            .field("remote", &self.remote_identity())
            .finish_non_exhaustive()
    }
}

/// Closes the link if a write is dropped before its end.
struct Unfinished<'a> {
    shared: &'a Shared,
    unfinished: &'a mut bool,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if *self.unfinished {
            self.shared.close(CloseReason::Abandoned);
        }
    }
}
