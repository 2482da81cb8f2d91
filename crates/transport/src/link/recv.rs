//! The receiving half of a link.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::Shared;
use super::rules::{Part, Rules};
use crate::carrier::{Boxed, Receiving, StreamError};
use crate::close::{CloseReason, LinkLost};
use crate::frame::{FrameDecoder, FrameTooLarge};

/// Frames of at least this many bytes are not copied out of a buffer that holds little else.
const KEEP_FROM: usize = 32 << 10;

/// Why something could not be received.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecvError {
    /// The other side sent too long a frame; the link is closed for it.
    #[error(transparent)]
    FrameTooLarge(#[from] FrameTooLarge),
    /// A frame took too long; the link is closed for it.
    #[error("the other side did not finish a message in time")]
    Unfinished,
    /// Strangers have too many unfinished frames; the link is closed for it.
    #[error("no room for another unfinished message")]
    NoRoom,
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
    control: FrameReader,
    control_ended: bool,
    closed: Boxed<LinkLost>,
    shared: Arc<Shared>,
}

impl LinkReceiver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let rules = shared.connected.rules.clone();
        let control = FrameReader::new(Arc::clone(&shared.receiving), rules);
        Self { control, control_ended: false, closed: shared.closed(), shared }
    }

    /// From the next control frame on, takes frames of up to `max_bytes`, however long they take: the
    /// other side has shown who it is.
    pub fn trust(&mut self, max_bytes: usize) {
        self.control.trust(max_bytes);
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
                    Ok(None) | Err(ReadFailed::Stream(StreamError::Lost(_))) => {
                        self.control_ended = true;
                    }
                    Err(ReadFailed::Stream(StreamError::Ended(reason))) => {
                        return ended(self.shared.ended_by_peer(reason));
                    }
                    Err(ReadFailed::Frame(error)) => {
                        self.shared.close(reason_for(&error));
                        return Err(error);
                    }
                },
                bulk = self.shared.connected.carrier.accept_uni(), if self.shared.takes_bulks => {
                    match bulk {
                        Ok(stream) => {
                            // Of peers only, who are known.
                            let rules = Rules::trusted(self.shared.connected.rules.max());
                            let frames = FrameReader::new(Arc::new(stream), rules);
                            let shared = Arc::clone(&self.shared);
                            return Ok(Some(Incoming::Bulk(BulkReceiver { shared, frames })));
                        }
                        Err(lost) => return ended(lost),
                    }
                }
                lost = &mut self.closed => {
                    if let LinkLost::ByPeer { reason } = lost {
                        self.shared.ended_by_peer(reason);
                    }
                    return ended(lost);
                }
            }
        }
    }
}

/// What receiving from a link that is gone gives.
fn ended(lost: LinkLost) -> Result<Option<Incoming>, RecvError> {
    match lost {
        LinkLost::ByPeer { reason: CloseReason::Done } => Ok(None),
        lost => Err(lost.into()),
    }
}

impl fmt::Debug for LinkReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkReceiver")
            .field("remote", &self.shared.connected.identity)
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
        self.frames.next().await.map_err(|error| match error {
            ReadFailed::Frame(error) => {
                self.shared.close(reason_for(&error));
                error
            }
            ReadFailed::Stream(StreamError::Ended(_)) => RecvError::Abandoned,
            ReadFailed::Stream(StreamError::Lost(lost)) => lost.into(),
        })
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
        RecvError::NoRoom => CloseReason::Overloaded,
        _ => CloseReason::Protocol,
    }
}

/// Why a stream brings no more frames.
enum ReadFailed {
    /// For what was in it.
    Frame(RecvError),
    /// It is no more.
    Stream(StreamError),
}

/// A stream cut into frames.
struct FrameReader {
    stream: Arc<Receiving>,
    decoder: FrameDecoder,
    pieces: VecDeque<Bytes>,
    rules: Rules,
    part: Part,
    /// When the frame that has begun has to be there.
    due: Option<Instant>,
}

impl FrameReader {
    fn new(stream: Arc<Receiving>, rules: Rules) -> Self {
        let mut decoder = FrameDecoder::new(rules.max());
        if stream.has_whole_pieces() {
            decoder = decoder.keeping_from(KEEP_FROM);
        }
        let part = rules.part();
        Self { stream, decoder, pieces: VecDeque::new(), rules, part, due: None }
    }

    fn trust(&mut self, max_bytes: usize) {
        self.rules = Rules::trusted(max_bytes);
        self.part = self.rules.part();
        self.due = None;
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ReadFailed> {
        loop {
            self.decoder.set_max(self.rules.max());
            while let Some(piece) = self.pieces.front_mut() {
                match self.decoder.decode(piece) {
                    Ok(Some(frame)) => {
                        self.part.set(0);
                        self.due = None;
                        return Ok(Some(frame));
                    }
                    Ok(None) => drop(self.pieces.pop_front()),
                    Err(error) => return Err(ReadFailed::Frame(error.into())),
                }
            }
            if !self.part.set(self.decoder.kept_bytes()) {
                return Err(ReadFailed::Frame(RecvError::NoRoom));
            }
            if !self.more().await? {
                if self.decoder.is_between_frames() {
                    return Ok(None);
                }
                return Err(ReadFailed::Frame(RecvError::Truncated));
            }
        }
    }

    /// Reads on; false at the end of the stream.
    async fn more(&mut self) -> Result<bool, ReadFailed> {
        let read = self.stream.read(&mut self.pieces);
        let within = self.rules.frame_within().filter(|_| !self.decoder.is_between_frames());
        let read = match within {
            None => read.await,
            Some(within) => {
                let due = *self.due.get_or_insert_with(|| Instant::now() + within);
                let late = |_| ReadFailed::Frame(RecvError::Unfinished);
                timeout_at(due, read).await.map_err(late)?
            }
        };
        read.map_err(ReadFailed::Stream)
    }
}
