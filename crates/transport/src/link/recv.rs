//! The receiving half of a link.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use tokio::time::timeout_at;

use super::Shared;
use crate::carrier::{Boxed, Receiving, StreamError};
use crate::close::{CloseReason, LinkLost};
use crate::intake::{Intake, RecvError};
use crate::rules::Rules;

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
        self.control.intake.trust(max_bytes);
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
                        self.shared.close(error.reason());
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
                self.shared.close(error.reason());
                error
            }
            ReadFailed::Stream(StreamError::Ended(reason)) => LinkLost::ByPeer { reason }.into(),
            ReadFailed::Stream(StreamError::Lost(lost)) => lost.into(),
        })
    }
}

impl fmt::Debug for BulkReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BulkReceiver").finish_non_exhaustive()
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
    intake: Intake,
    pieces: VecDeque<Bytes>,
}

impl FrameReader {
    fn new(stream: Arc<Receiving>, rules: Rules) -> Self {
        Self { stream, intake: Intake::new(rules), pieces: VecDeque::new() }
    }

    async fn next(&mut self) -> Result<Option<Bytes>, ReadFailed> {
        loop {
            while let Some(piece) = self.pieces.front_mut() {
                let mut rest = &piece[..];
                let frame = self.intake.take(&mut rest).map_err(ReadFailed::Frame)?;
                let taken = piece.len() - rest.len();
                piece.advance(taken);
                match frame {
                    Some(frame) => return Ok(Some(frame)),
                    None => drop(self.pieces.pop_front()),
                }
            }
            if !self.more().await? {
                self.intake.end().map_err(ReadFailed::Frame)?;
                return Ok(None);
            }
        }
    }

    /// Reads on; false at the end of the stream.
    async fn more(&mut self) -> Result<bool, ReadFailed> {
        let due = self.intake.due();
        let read = self.stream.read(&mut self.pieces);
        let read = match due {
            None => read.await,
            Some(due) => {
                let late = |_| ReadFailed::Frame(RecvError::Unfinished);
                timeout_at(due, read).await.map_err(late)?
            }
        };
        read.map_err(ReadFailed::Stream)
    }
}
