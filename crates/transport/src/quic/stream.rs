//! The two ends of a link's stream over QUIC, each to be used from several tasks.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use quinn::{ReadError, StoppedError, WriteError};

use crate::close::{CloseReason, LinkLost};

/// Pieces taken from a stream at once.
const PIECES: usize = 16;

/// A future that several places may keep.
pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;

/// Reason why a stream gives or takes no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StreamError {
    /// The other side ended this stream, for this reason.
    Ended(CloseReason),
    /// The connection is gone, or this side ended the stream.
    Lost(LinkLost),
}

/// The sending end of a stream. Dropped, it ends the stream as if all were said.
pub(crate) struct Sending(Mutex<quinn::SendStream>);

impl Sending {
    pub(crate) fn new(stream: quinn::SendStream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Writes `pieces` in order, leaving them empty. One task at a time.
    pub(crate) async fn write_all(&self, mut pieces: &mut [Bytes]) -> Result<(), StreamError> {
        while !pieces.is_empty() {
            // The stream is locked for one step at a time, so that it can be reset while this waits.
            let written = poll_fn(|cx| pin!(lock(&self.0).write_chunks(pieces)).poll(cx));
            let written = written.await?.chunks;
            pieces = &mut pieces[written..];
        }
        Ok(())
    }

    /// Ends the stream. Bytes that were written are still on their way.
    pub(crate) fn finish(&self) {
        // Fails only if it is finished already.
        let _ = lock(&self.0).finish();
    }

    /// Gives the stream up. Does nothing if all of it has arrived already.
    pub(crate) fn reset(&self, reason: CloseReason) {
        // Fails only if it has ended already.
        let _ = lock(&self.0).reset(reason.code());
    }

    /// Waits until the other side has received all of a finished stream (`None`) or wants no more
    /// of it.
    pub(crate) fn stopped(&self) -> Boxed<Result<Option<CloseReason>, LinkLost>> {
        let stopped = lock(&self.0).stopped();
        Box::pin(async move {
            match stopped.await {
                Ok(code) => Ok(code.map(CloseReason::from_code)),
                Err(StoppedError::ConnectionLost(lost)) => Err(lost.into()),
                Err(StoppedError::ZeroRttRejected) => Err(LinkLost::ByUs),
            }
        })
    }
}

/// The receiving end of a stream. Dropped, it tells the other side to stop.
pub(crate) struct Receiving(Mutex<quinn::RecvStream>);

impl Receiving {
    pub(crate) fn new(stream: quinn::RecvStream) -> Self {
        Self(Mutex::new(stream))
    }

    /// Appends what has arrived, at least one piece, to `pieces`; false at the end of the stream.
    pub(crate) async fn read(&self, pieces: &mut VecDeque<Bytes>) -> Result<bool, StreamError> {
        let mut taken = [const { Bytes::new() }; PIECES];
        let count = poll_fn(|cx| pin!(lock(&self.0).read_chunks(&mut taken)).poll(cx));
        let Some(count) = count.await? else { return Ok(false) };
        pieces.extend(taken.into_iter().take(count));
        Ok(true)
    }

    /// Tells the other side that nothing more is wanted.
    pub(crate) fn stop(&self, reason: CloseReason) {
        // Fails only if it has ended already.
        let _ = lock(&self.0).stop(reason.code());
    }
}

fn lock<T>(stream: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding it.
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

impl From<WriteError> for StreamError {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::ConnectionLost(lost) => Self::Lost(lost.into()),
            WriteError::Stopped(code) => Self::Ended(CloseReason::from_code(code)),
            // Streams are not written before the handshake's end.
            WriteError::ClosedStream | WriteError::ZeroRttRejected => Self::Lost(LinkLost::ByUs),
        }
    }
}

impl From<ReadError> for StreamError {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Reset(code) => Self::Ended(CloseReason::from_code(code)),
            ReadError::ConnectionLost(lost) => Self::Lost(lost.into()),
            // Streams are read in order, and not before the handshake's end.
            ReadError::ClosedStream
            | ReadError::IllegalOrderedRead
            | ReadError::ZeroRttRejected => Self::Lost(LinkLost::ByUs),
        }
    }
}
