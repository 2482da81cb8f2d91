//! The sending half of a link.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use quinn::{SendStream, StoppedError, WriteError};
use tokio::sync::Mutex;

use super::Shared;
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

impl From<WriteError> for SendError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(lost) => Self::Lost(lost.into()),
            WriteError::Stopped(_) => Self::Stopped,
            // Streams are neither written after their end nor before the handshake's.
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Lost(LinkLost::ByUs),
        }
    }
}

impl From<StoppedError> for SendError {
    fn from(error: StoppedError) -> Self {
        match error {
            StoppedError::ConnectionLost(lost) => Self::Lost(lost.into()),
            StoppedError::ZeroRttRejected => Self::Lost(LinkLost::ByUs),
        }
    }
}

/// The control stream, and whether a frame was left unfinished on it.
struct Control {
    stream: SendStream,
    unfinished: bool,
}

/// Sends frames and bulks. Clones send over the same link.
#[derive(Clone)]
pub struct LinkSender {
    shared: Arc<Shared>,
    control: Arc<Mutex<Control>>,
}

/// Control frames go out before bulks.
const CONTROL_PRIORITY: i32 = 1;

impl LinkSender {
    pub(super) fn new(shared: Arc<Shared>, stream: SendStream) -> Self {
        // Fails only on a stream that is closed already, which the first send reports.
        let _ = stream.set_priority(CONTROL_PRIORITY);
        let control = Arc::new(Mutex::new(Control { stream, unfinished: false }));
        Self { shared, control }
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
        let mut pieces = encode_frames(frames, self.shared.max_frame_bytes)?;
        let mut control = self.control.lock().await;
        if control.unfinished {
            self.shared.close(CloseReason::Abandoned);
            return Err(SendError::Abandoned);
        }
        let guard = Unfinished { shared: &self.shared, control: &mut control };
        guard.control.unfinished = true;
        guard.control.stream.write_all_chunks(&mut pieces).await?;
        guard.control.unfinished = false;
        Ok(())
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
        let stream = self.shared.conn.open_uni().await.map_err(LinkLost::from)?;
        Ok(BulkSender { shared: Arc::clone(&self.shared), stream, finished: false })
    }

    /// Ends the control stream and waits until the other side has received all of it.
    ///
    /// # Errors
    ///
    /// [`SendError::Lost`] if the link went first.
    pub async fn finish(&self) -> Result<(), SendError> {
        let mut control = self.control.lock().await;
        // Fails only if it is finished already.
        let _ = control.stream.finish();
        let stopped = control.stream.stopped();
        drop(control);
        stopped.await?;
        Ok(())
    }

    /// The proven identity of the other side; `None` for an anonymous client.
    pub fn remote_identity(&self) -> Option<PeerIdentity> {
        self.shared.identity
    }

    /// The other side's address.
    pub fn remote_addr(&self) -> SocketAddr {
        self.shared.conn.remote_address()
    }

    /// Closes the link at once; what has not arrived yet is lost.
    pub fn close(&self, reason: CloseReason) {
        self.shared.close(reason);
    }

    /// Waits until the link is gone and says why.
    pub async fn closed(&self) -> LinkLost {
        self.shared.conn.closed().await.into()
    }

    /// Why the link is gone; `None` while it lives.
    pub fn lost(&self) -> Option<LinkLost> {
        self.shared.conn.close_reason().map(LinkLost::from)
    }
}

impl fmt::Debug for LinkSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSender").field("remote", &self.shared.identity).finish_non_exhaustive()
    }
}

/// Closes the link if a write on the control stream is dropped before its end.
struct Unfinished<'a> {
    shared: &'a Shared,
    control: &'a mut Control,
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if self.control.unfinished {
            self.shared.close(CloseReason::Abandoned);
        }
    }
}

/// Sends one batch over a stream of its own. Dropped before [`BulkSender::finish`], it makes the
/// receiver see an error.
pub struct BulkSender {
    shared: Arc<Shared>,
    stream: SendStream,
    finished: bool,
}

impl BulkSender {
    /// Sends more frames. Waits while the receiver has a full window unread.
    ///
    /// # Errors
    ///
    /// See [`SendError`].
    pub async fn send(&mut self, frames: Vec<Bytes>) -> Result<(), SendError> {
        let mut pieces = encode_frames(&frames, self.shared.max_frame_bytes)?;
        // QUIC holds the only references from here, so that memory goes as the bytes do.
        drop(frames);
        Ok(self.stream.write_all_chunks(&mut pieces).await?)
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
    pub async fn finish_and_wait(mut self) -> Result<(), SendError> {
        self.mark_finished();
        match self.stream.stopped().await? {
            None => Ok(()),
            Some(_) => Err(SendError::Stopped),
        }
    }

    fn mark_finished(&mut self) {
        // Fails only if it is finished already.
        let _ = self.stream.finish();
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
            // Without this, quinn would end the stream as if the batch were complete.
            let _ = self.stream.reset(CloseReason::Abandoned.code());
        }
    }
}
