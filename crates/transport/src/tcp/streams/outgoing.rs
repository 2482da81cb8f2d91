//! Streams towards the other side.

use std::collections::VecDeque;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::{CONTROL, Next, Streams, Violation, Waiting, bytes_of};
use crate::carrier::StreamError;
use crate::close::{CloseReason, LinkLost};
use crate::tcp::record::{RECORD_BYTES, Record};

/// Bytes of a stream sent in one record, about: with the shard's frames, one frame. Others get their
/// turn in between.
pub(super) const TURN_BYTES: usize = 128 << 10;
/// At most this much goes along to end a record with the end of a frame.
const TURN_SLACK: usize = 4 << 10;

/// A stream towards the other side.
#[derive(Default)]
pub(super) struct Outgoing {
    pub(super) pending: VecDeque<Bytes>,
    /// Bytes that the other side takes beyond those pending.
    pub(super) credit: usize,
    pub(super) finish: Finish,
    /// The other side has all of it.
    pub(super) received: bool,
    /// Why it wants no more.
    pub(super) stopped: Option<CloseReason>,
    /// Given up on this side.
    pub(super) reset: bool,
    pub(super) handle_gone: bool,
    pub(super) asking: Asking,
    pub(super) waiting: Waiting,
}

#[derive(Default, PartialEq, Eq)]
pub(super) enum Finish {
    #[default]
    No,
    Wanted,
    Sent,
}

/// Whether the other side has been asked to say at once whether it has all of a stream.
#[derive(Default, PartialEq, Eq)]
pub(super) enum Asking {
    #[default]
    No,
    Wanted,
    Asked,
}

impl Outgoing {
    pub(super) fn is_over(&self) -> bool {
        self.received || self.reset || self.stopped.is_some()
    }
}

impl Streams {
    pub(crate) fn poll_open(&mut self, cx: &Context<'_>) -> Poll<Result<u32, LinkLost>> {
        if let Some(lost) = &self.lost {
            return Poll::Ready(Err(lost.clone()));
        }
        if self.bulks_out >= self.theirs.max_bulks {
            self.opening.add(cx);
            return Poll::Pending;
        }
        let stream = self.next_out;
        // A link would carry a bulk each microsecond for an hour before this.
        let Some(next) = stream.checked_add(1) else {
            return Poll::Ready(Err(LinkLost::Transport("it has had too many bulks".to_owned())));
        };
        self.next_out = next;
        self.bulks_out += 1;
        let credit = bytes_of(self.theirs.window);
        self.outgoing.insert(stream, Outgoing { credit, ..Outgoing::default() });
        self.say(Record::Open { stream });
        Poll::Ready(Ok(stream))
    }

    /// Takes as much off `pieces` as there is credit for; ready when all is taken.
    pub(crate) fn poll_write(
        &mut self,
        stream: u32,
        pieces: &mut VecDeque<Bytes>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), StreamError>> {
        if let Some(lost) = &self.lost {
            return Poll::Ready(Err(StreamError::Lost(lost.clone())));
        }
        let by_us = || StreamError::Lost(LinkLost::ByUs);
        let Some(out) = self.outgoing.get_mut(&stream) else { return Poll::Ready(Err(by_us())) };
        if let Some(reason) = out.stopped {
            return Poll::Ready(Err(StreamError::Ended(reason)));
        }
        if out.reset || out.finish != Finish::No {
            return Poll::Ready(Err(by_us()));
        }
        let idle = out.pending.is_empty();
        while let Some(piece) = pieces.front_mut().filter(|_| out.credit > 0) {
            let taken = piece.split_to(piece.len().min(out.credit));
            if piece.is_empty() {
                pieces.pop_front();
            }
            if !taken.is_empty() {
                out.credit -= taken.len();
                out.pending.push_back(taken);
            }
        }
        if !pieces.is_empty() {
            out.waiting.add(cx);
        }
        if idle && !out.pending.is_empty() {
            self.writing.wake();
        }
        if pieces.is_empty() { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    pub(crate) fn finish(&mut self, stream: u32) {
        if let Some(out) = self.outgoing.get_mut(&stream)
            && out.finish == Finish::No
            && !out.is_over()
        {
            out.finish = Finish::Wanted;
            self.writing.wake();
        }
    }

    pub(crate) fn reset(&mut self, stream: u32, reason: CloseReason) {
        if let Some(out) = self.outgoing.get_mut(&stream)
            && !out.is_over()
        {
            out.reset = true;
            out.pending.clear();
            let code = reason.number();
            self.say(Record::Reset { stream, code });
        }
    }

    pub(crate) fn poll_stopped(
        &mut self,
        stream: u32,
        cx: &Context<'_>,
    ) -> Poll<Result<Option<CloseReason>, LinkLost>> {
        match self.outgoing.get_mut(&stream) {
            None => Poll::Ready(Ok(None)),
            Some(out) if out.received => Poll::Ready(Ok(None)),
            Some(out) if out.stopped.is_some() => Poll::Ready(Ok(out.stopped)),
            Some(out) => match &self.lost {
                Some(lost) => Poll::Ready(Err(lost.clone())),
                None => {
                    out.waiting.add(cx);
                    if out.asking == Asking::No {
                        out.asking = Asking::Wanted;
                        self.ask(stream);
                    }
                    Poll::Pending
                }
            },
        }
    }

    /// Asks whether all of a stream has arrived, if somebody wants to know and all is sent: the
    /// answer to a question is not put off, and what was put off goes out before it.
    fn ask(&mut self, stream: u32) {
        if let Some(out) = self.outgoing.get_mut(&stream)
            && out.asking == Asking::Wanted
            && out.finish == Finish::Sent
        {
            out.asking = Asking::Asked;
            self.say(Record::Ping);
        }
    }

    /// Whether nothing more is to be heard about a finished stream.
    pub(crate) fn is_settled(&self, stream: u32) -> bool {
        let over = |out: &Outgoing| out.received || out.stopped.is_some();
        self.lost.is_some() || self.outgoing.get(&stream).is_none_or(over)
    }

    /// Nobody writes to this stream any more.
    pub(crate) fn drop_outgoing(&mut self, stream: u32) {
        self.finish(stream);
        if let Some(out) = self.outgoing.get_mut(&stream) {
            out.handle_gone = true;
        }
        self.tidy(stream);
    }

    fn tidy(&mut self, stream: u32) {
        let over = self.outgoing.get(&stream).is_some_and(|out| out.handle_gone && out.is_over());
        if over && stream != CONTROL {
            self.outgoing.remove(&stream);
        }
    }

    /// Something about a stream that this side sends, or has sent.
    pub(super) fn outgoing(
        &mut self,
        stream: u32,
        change: impl FnOnce(&mut Outgoing),
    ) -> Result<(), Violation> {
        if stream >= self.next_out {
            return Err(Violation);
        }
        if let Some(out) = self.outgoing.get_mut(&stream) {
            change(out);
            out.waiting.wake();
            self.tidy(stream);
        }
        Ok(())
    }

    /// What to send next: records, then control frames, then bulks in turns. `None` when the link is
    /// over.
    pub(crate) fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Next>> {
        if self.lost.is_some() {
            return Poll::Ready(None);
        }
        if let Some(record) = self.records.pop_front() {
            return Poll::Ready(Some(Next::Record(record)));
        }
        let after = self.turn.saturating_add(1);
        let in_turn = std::iter::once(CONTROL).chain(
            self.outgoing.range(after..).chain(self.outgoing.range(1..after)).map(|(id, _)| *id),
        );
        let ready = |id: &u32| {
            self.outgoing.get(id).is_some_and(|out| {
                !out.is_over() && (!out.pending.is_empty() || out.finish == Finish::Wanted)
            })
        };
        let Some(stream) = in_turn.into_iter().find(ready) else {
            self.writing.add(cx);
            return Poll::Pending;
        };
        if stream != CONTROL {
            self.turn = stream;
        }
        let Some(out) = self.outgoing.get_mut(&stream) else { return Poll::Ready(None) };
        if out.pending.is_empty() {
            out.finish = Finish::Sent;
            self.ask(stream);
            return Poll::Ready(Some(Next::Record(Record::Finish { stream })));
        }
        let mut pieces = Vec::new();
        let mut total = 0;
        while let Some(piece) = out.pending.front_mut().filter(|_| total < TURN_BYTES / 2) {
            let room = TURN_BYTES + TURN_SLACK - total;
            let piece = if piece.len() <= room {
                out.pending.pop_front().unwrap_or_default()
            } else {
                piece.split_to(room)
            };
            total += piece.len();
            pieces.push(piece);
        }
        Poll::Ready(Some(Next::Data { stream, pieces }))
    }

    /// What to send next, up to about so many bytes. Less, or nothing, when the link is over.
    pub(crate) fn poll_several(&mut self, bytes: usize, cx: &Context<'_>) -> Poll<Vec<Next>> {
        let mut several = Vec::new();
        let mut total = 0;
        while total < bytes {
            match self.poll_next(cx) {
                Poll::Ready(Some(next)) => {
                    total += RECORD_BYTES + next.following();
                    several.push(next);
                }
                Poll::Ready(None) => return Poll::Ready(several),
                Poll::Pending if several.is_empty() => return Poll::Pending,
                Poll::Pending => break,
            }
        }
        Poll::Ready(several)
    }
}
