//! The receiving half of a link.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use quinn::{ReadError, RecvStream};

use super::Shared;
use crate::close::{CloseReason, LinkLost};
use crate::frame::{FrameDecoder, FrameTooLarge};

/// Pieces taken from a stream at once.
const PIECES: usize = 16;

/// Why something could not be received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The other side sent too long a frame; the link is closed for it.
    #[error(transparent)]
    FrameTooLarge(#[from] FrameTooLarge),
    /// A stream ended within a frame; the link is closed for it.
    #[error("the other side ended a stream within a message")]
    Truncated,
    /// The sender gave this stream up. A bulk's frames so far are not a whole batch.
    #[error("the sender gave up within a batch")]
    Abandoned,
    /// The link is gone.
    #[error(transparent)]
    Lost(#[from] LinkLost),
}

/// What a link brings.
#[derive(Debug)]
pub enum Incoming {
    /// A control frame.
    Frame(Bytes),
    /// The beginning of a batch.
    Bulk(BulkReceiver),
}

/// Receives control frames and bulks.
pub struct LinkReceiver {
    shared: Arc<Shared>,
    control: FrameReader,
    control_ended: bool,
}

impl LinkReceiver {
    pub(super) fn new(shared: Arc<Shared>, stream: RecvStream) -> Self {
        let control = FrameReader::new(stream, shared.max_frame_bytes);
        Self { shared, control, control_ended: false }
    }

    /// The next control frame or bulk, whichever comes first; control frames in the order they were
    /// sent. `None` once the other side closed the link as [`CloseReason::Done`]. The future may be
    /// dropped and called again without losing anything.
    ///
    /// # Errors
    ///
    /// See [`RecvError`]. All of them mean that the link is of no more use.
    pub async fn recv(&mut self) -> Result<Option<Incoming>, RecvError> {
        loop {
            tokio::select! {
                biased;
                frame = self.control.next(), if !self.control_ended => match frame {
                    Ok(Some(frame)) => return Ok(Some(Incoming::Frame(frame))),
                    // Bulks that have arrived are still there to be taken.
                    Ok(None) | Err(RecvError::Lost(_)) => self.control_ended = true,
                    Err(error) => {
                        self.shared.close(reason_for(&error));
                        return Err(error);
                    }
                },
                bulk = self.shared.conn.accept_uni() => match bulk.map_err(LinkLost::from) {
                    Ok(stream) => {
                        let frames = FrameReader::new(stream, self.shared.max_frame_bytes);
                        let shared = Arc::clone(&self.shared);
                        return Ok(Some(Incoming::Bulk(BulkReceiver { shared, frames })));
                    }
                    Err(LinkLost::ByPeer { reason: CloseReason::Done }) => return Ok(None),
                    Err(lost) => return Err(lost.into()),
                },
            }
        }
    }
}

impl fmt::Debug for LinkReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkReceiver")
            .field("remote", &self.shared.identity)
            .finish_non_exhaustive()
    }
}

/// Receives one batch as it arrives. Dropped early, it tells the sender to stop.
pub struct BulkReceiver {
    shared: Arc<Shared>,
    frames: FrameReader,
}

impl BulkReceiver {
    /// The next frame, in the order sent; `None` at the end of the whole batch. The future may be
    /// dropped and called again without losing anything.
    ///
    /// # Errors
    ///
    /// See [`RecvError`]. The batch is not complete then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, RecvError> {
        let next = self.frames.next().await;
        if let Err(error @ (RecvError::FrameTooLarge(_) | RecvError::Truncated)) = &next {
            self.shared.close(reason_for(error));
        }
        next
    }
}

impl fmt::Debug for BulkReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkReceiver").finish_non_exhaustive()
    }
}

fn reason_for(error: &RecvError) -> CloseReason {
    match error {
        RecvError::FrameTooLarge(_) => CloseReason::FrameTooLarge,
        _ => CloseReason::Protocol,
    }
}

/// A stream cut into frames.
struct FrameReader {
    stream: RecvStream,
    decoder: FrameDecoder,
    pieces: VecDeque<Bytes>,
}

impl FrameReader {
    fn new(stream: RecvStream, max_frame_bytes: usize) -> Self {
        let decoder = FrameDecoder::new(max_frame_bytes);
        Self { stream, decoder, pieces: VecDeque::with_capacity(PIECES) }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, RecvError> {
        loop {
            while let Some(piece) = self.pieces.front_mut() {
                if let Some(frame) = self.decoder.decode(piece)? {
                    return Ok(Some(frame));
                }
                self.pieces.pop_front();
            }
            let mut pieces = [const { Bytes::new() }; PIECES];
            match self.stream.read_chunks(&mut pieces).await {
                Ok(Some(count)) => self.pieces.extend(pieces.into_iter().take(count)),
                Ok(None) if self.decoder.is_between_frames() => return Ok(None),
                Ok(None) => return Err(RecvError::Truncated),
                Err(ReadError::ConnectionLost(lost)) => return Err(LinkLost::from(lost).into()),
                Err(_) => return Err(RecvError::Abandoned),
            }
        }
    }
}
