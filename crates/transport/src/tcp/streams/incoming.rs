//! Streams from the other side.

use std::collections::VecDeque;
use std::mem;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};

use super::{CONTROL, Streams, Violation, Waiting, bytes_of};
use crate::carrier::StreamError;
use crate::close::{CloseReason, LinkLost};
use crate::tcp::record::Record;

/// Pieces are put together up to this size: a window's worth of single bytes must not take many times
/// a window's memory.
const SMALL_BYTES: usize = 4 << 10;

/// A stream from the other side.
#[derive(Default)]
pub(super) struct Incoming {
    pub(super) arrived: VecDeque<BytesMut>,
    /// Bytes that may still arrive.
    pub(super) window: usize,
    /// Bytes read and not yet told.
    pub(super) read: usize,
    pub(super) finished: bool,
    pub(super) reset: Option<CloseReason>,
    pub(super) waiting: Waiting,
}

impl Streams {
    pub(crate) fn poll_accept(&mut self, cx: &Context<'_>) -> Poll<Result<u32, LinkLost>> {
        match (self.opened.pop_front(), &self.lost) {
            (Some(stream), _) => Poll::Ready(Ok(stream)),
            (None, Some(lost)) => Poll::Ready(Err(lost.clone())),
            (None, None) => {
                self.accepting.add(cx);
                Poll::Pending
            }
        }
    }

    /// Appends what has arrived to `pieces`; false at the end of the stream.
    pub(crate) fn poll_read(
        &mut self,
        stream: u32,
        pieces: &mut VecDeque<Bytes>,
        cx: &Context<'_>,
    ) -> Poll<Result<bool, StreamError>> {
        let Some(incoming) = self.incoming.get_mut(&stream) else { return Poll::Ready(Ok(false)) };
        if let Some(reason) = incoming.reset {
            return Poll::Ready(Err(StreamError::Ended(reason)));
        }
        if !incoming.arrived.is_empty() {
            let read: usize = incoming.arrived.iter().map(BytesMut::len).sum();
            pieces.extend(incoming.arrived.drain(..).map(BytesMut::freeze));
            incoming.read += read;
            // Told in large steps: a record each time would be many.
            if incoming.read >= bytes_of(self.ours.window) / 4 && !incoming.finished {
                let bytes = mem::take(&mut incoming.read);
                incoming.window += bytes;
                // Windows are `u32`, and no more than one is ever read at once.
                let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
                self.say(Record::Credit { stream, bytes });
            }
            return Poll::Ready(Ok(true));
        }
        if incoming.finished {
            return Poll::Ready(Ok(false));
        }
        if let Some(lost) = &self.lost {
            return Poll::Ready(Err(StreamError::Lost(lost.clone())));
        }
        incoming.waiting.add(cx);
        Poll::Pending
    }

    /// Nobody reads this bulk any more.
    pub(crate) fn release(&mut self, stream: u32, reason: CloseReason) {
        if stream == CONTROL {
            return;
        }
        let Some(incoming) = self.incoming.remove(&stream) else { return };
        if self.lost.is_some() {
            return;
        }
        if !incoming.finished && incoming.reset.is_none() {
            self.say(Record::Stop { stream, code: reason.number() });
        }
        self.say_later(Record::Released { stream });
    }

    /// Whether bytes of a stream may come.
    pub(crate) fn expect(&mut self, stream: u32, len: u32) -> Result<(), Violation> {
        self.opened_before(stream)?;
        // If it is not there, it is stopped, which the other side may not know yet.
        if let Some(incoming) = self.incoming.get_mut(&stream) {
            if incoming.finished || incoming.reset.is_some() {
                return Err(Violation);
            }
            incoming.window = incoming.window.checked_sub(bytes_of(len)).ok_or(Violation)?;
        }
        Ok(())
    }

    /// Bytes of a stream that were expected.
    pub(crate) fn arrived(&mut self, stream: u32, bytes: BytesMut) {
        if let Some(incoming) = self.incoming.get_mut(&stream) {
            match incoming.arrived.back_mut() {
                Some(last) if last.len() + bytes.len() <= SMALL_BYTES => {
                    last.extend_from_slice(&bytes);
                }
                _ => incoming.arrived.push_back(bytes),
            }
            incoming.waiting.wake();
        }
    }

    pub(super) fn opened_before(&self, stream: u32) -> Result<(), Violation> {
        if stream < self.next_in { Ok(()) } else { Err(Violation) }
    }

    pub(super) fn open_incoming(&mut self, stream: u32) -> Result<(), Violation> {
        let bulks = self.incoming.len() - 1;
        if stream != self.next_in || bulks >= bytes_of(self.ours.max_bulks) {
            return Err(Violation);
        }
        self.next_in = self.next_in.checked_add(1).ok_or(Violation)?;
        let window = bytes_of(self.ours.window);
        self.incoming.insert(stream, Incoming { window, ..Incoming::default() });
        self.opened.push_back(stream);
        self.accepting.wake();
        Ok(())
    }
}
