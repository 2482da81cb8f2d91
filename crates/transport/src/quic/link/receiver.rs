//! The receiving half of a link.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use tokio::time::timeout_at;

use super::{ByteCounter, Shared};
use crate::close::{CloseReason, LinkLost};
use crate::intake::{Intake, RecvError};
use crate::quic::stream::{Boxed, StreamError};

/// Receives frames from the other side, in the order in which they were sent.
pub struct LinkReceiver {
    intake: Intake,
    pieces: VecDeque<Bytes>,
    closed: Closed,
    shared: Arc<Shared>,
}

impl LinkReceiver {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        let intake = Intake::new(shared.connected.rules.clone());
        let closed = Closed::Waiting(shared.closed());
        Self { intake, pieces: VecDeque::new(), closed, shared }
    }

    /// From the next frame on, takes frames of up to `max_bytes`, however long they take: the other
    /// side has shown who it is.
    pub fn trust(&mut self, max_bytes: usize) {
        self.intake.trust(max_bytes);
    }

    /// A counter of what the link's connection carries.
    pub fn counter(&self) -> ByteCounter {
        ByteCounter(self.shared.connected.conn.clone())
    }

    /// The next frame, in the order sent; `None` once the other side closed the link as
    /// [`CloseReason::Done`]. The future may be dropped and called again without losing anything.
    ///
    /// # Errors
    ///
    /// See [`RecvError`]. All of them mean that the link is of no more use.
    pub async fn recv(&mut self) -> Result<Option<Bytes>, RecvError> {
        let lost = match self.next().await {
            Ok(Some(frame)) => return Ok(Some(frame)),
            Err(ReadFailed::Frame(error)) => {
                self.shared.close(error.reason());
                return Err(error);
            }
            Err(ReadFailed::Stream(StreamError::Ended(reason))) => LinkLost::ByPeer { reason },
            // All is read; what is left is to learn why there is no more.
            Ok(None) | Err(ReadFailed::Stream(StreamError::Lost(_))) => self.closed.wait().await,
        };
        if let LinkLost::ByPeer { reason } = lost {
            self.shared.ended_by_peer(reason);
        }
        match lost {
            LinkLost::ByPeer { reason: CloseReason::Done } => Ok(None),
            lost => Err(lost.into()),
        }
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

    /// Reads on; `false` at the end of the stream.
    async fn more(&mut self) -> Result<bool, ReadFailed> {
        let due = self.intake.due();
        let read = async {
            tokio::select! {
                biased;
                read = self.shared.receiving.read(&mut self.pieces) => read,
                lost = self.closed.wait() => Err(StreamError::Lost(lost)),
            }
        };
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

impl fmt::Debug for LinkReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkReceiver")
            .field("remote", &self.shared.connected.identity)
            .finish_non_exhaustive()
    }
}

/// Reason why the link ended, as soon as that is known.
enum Closed {
    Waiting(Boxed<LinkLost>),
    Known(LinkLost),
}

impl Closed {
    async fn wait(&mut self) -> LinkLost {
        match self {
            Self::Waiting(closed) => {
                let lost = closed.await;
                *self = Self::Known(lost.clone());
                lost
            }
            Self::Known(lost) => lost.clone(),
        }
    }
}

/// Reason why a stream brings no more frames.
enum ReadFailed {
    /// A frame was not acceptable.
    Frame(RecvError),
    /// The stream is gone.
    Stream(StreamError),
}
