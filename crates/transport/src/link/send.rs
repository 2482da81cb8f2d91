//! The sending half of a link.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Mutex;

use super::{Connected, Shared};
use crate::carrier::{Sending, StreamError};
use crate::close::{CloseReason, LinkLost};
use crate::frame::{FrameTooLarge, encode_frames};
use crate::identity::PeerIdentity;

/// Why something could not be sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Nothing was sent; the link is still good.
    #[error(transparent)]
    FrameTooLarge(#[from] FrameTooLarge),
    /// The receiver stopped reading this bulk; the link is still good.
    #[error("the receiver stopped reading this batch")]
    Stopped,
    /// An earlier control frame was dropped half-way, and the link closed for it.
    #[error("an earlier message was abandoned half-way: let each send run to its end")]
    Abandoned,
    /// The link is gone.
    #[error(transparent)]
    Lost(#[from] LinkLost),
}

impl From<StreamError> for SendError {
    /// For a bulk.
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Ended(_) => Self::Stopped,
            StreamError::Lost(lost) => Self::Lost(lost),
        }
    }
}

/// Sends frames and bulks. Clones send over the same link.
#[derive(Clone)]
pub struct LinkSender {
    shared: Arc<Shared>,
    /// Held while writing control frames; whether one was left unfinished.
    unfinished: Arc<Mutex<bool>>,
}

impl LinkSender {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        // Control frames go out before bulks.
        shared.sending.prefer();
        Self { shared, unfinished: Arc::default() }
    }

    pub(super) fn connected(&self) -> &Connected {
        &self.shared.connected
    }

    /// Sends one frame over the control stream, in the order of the calls. Waits while the
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
        *guard.unfinished = true;
        let written = self.shared.sending.write_all(&mut pieces).await;
        *guard.unfinished = false;
        drop(guard);
        written.map_err(|error| match error {
            StreamError::Ended(reason) => SendError::Lost(self.shared.ended_by_peer(reason)),
            StreamError::Lost(lost) => SendError::Lost(self.shared.lost().unwrap_or(lost)),
        })
    }

    /// Sends frames over a fresh stream of their own. Waits while the other side has too many bulks
    /// open or too much unread. Dropping the future half-way makes the receiver see an error, never
    /// a shorter batch.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub async fn send_bulk(&self, frames: Vec<Bytes>) -> Result<(), SendError> {
        let mut bulk = self.open_bulk().await?;
        bulk.send(frames).await?;
        bulk.finish();
        Ok(())
    }

    /// Opens a stream for a batch that is made as it is sent.
    ///
    /// # Errors
    ///
    /// [`SendError::Lost`].
    pub async fn open_bulk(&self) -> Result<BulkSender, SendError> {
        let stream = self.shared.connected.carrier.open_uni().await?;
        Ok(BulkSender { shared: Arc::clone(&self.shared), stream, finished: false })
    }

    /// Ends the control stream and waits until the other side has received all of it.
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
        self.shared.connected.carrier.remote_addr()
    }

    /// Closes the link at once; what has not arrived yet is lost.
    pub fn close(&self, reason: CloseReason) {
        self.shared.close(reason);
    }

    /// Waits until the link is gone and says why.
    pub async fn closed(&self) -> LinkLost {
        self.shared.closed().await
    }

    /// Why the link is gone; `None` while it lives.
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

/// Closes the link if a write on the control stream is dropped before its end.
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

/// Sends one batch over a stream of its own. Dropped before [`BulkSender::finish`], it makes the
/// receiver see an error.
pub struct BulkSender {
    shared: Arc<Shared>,
    stream: Sending,
    finished: bool,
}

impl BulkSender {
    /// Sends more frames. Waits while the receiver has a full window unread.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub async fn send(&mut self, frames: Vec<Bytes>) -> Result<(), SendError> {
        let mut pieces = encode_frames(&frames, self.shared.connected.max_frame_bytes)?;
        // The stream holds the only references from here, so that memory goes as the bytes do.
        drop(frames);
        Ok(self.stream.write_all(&mut pieces).await?)
    }

    /// The batch is complete. Its last bytes are still on their way.
    pub fn finish(mut self) {
        self.mark_finished();
    }

    /// The batch is complete; waits until the other side has received all of it.
    ///
    /// # Errors
    ///
    /// [`SendError::Stopped`] if it did not want all of it, [`SendError::Lost`].
    pub async fn finish_and_wait(self) -> Result<(), SendError> {
        self.finish_for_receipt().wait().await
    }

    /// The batch is complete; what this returns tells when the other side has received all of it.
    pub fn finish_for_receipt(mut self) -> BulkReceipt {
        self.mark_finished();
        BulkReceipt(self)
    }

    fn mark_finished(&mut self) {
        self.stream.finish();
        self.finished = true;
    }
}

impl fmt::Debug for BulkSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkSender").finish_non_exhaustive()
    }
}

impl Drop for BulkSender {
    fn drop(&mut self) {
        if !self.finished {
            // Without this, the stream would end as if the batch were complete.
            self.stream.reset(CloseReason::Abandoned);
        }
    }
}

/// Tells when the other side has received all of a batch. Dropped, nothing happens to the batch.
#[derive(Debug)]
pub struct BulkReceipt(BulkSender);

impl BulkReceipt {
    /// Whether [`BulkReceipt::wait`] would return at once. The other side may take its time to say
    /// so unless somebody waits.
    pub fn is_there(&self) -> bool {
        self.0.stream.is_settled()
    }

    /// Waits until the other side has received all of the batch.
    ///
    /// # Errors
    ///
    /// [`SendError::Stopped`] if it did not want all of it, [`SendError::Lost`].
    pub async fn wait(self) -> Result<(), SendError> {
        match self.0.stream.stopped().await? {
            None => Ok(()),
            Some(_) => Err(SendError::Stopped),
        }
    }
}
