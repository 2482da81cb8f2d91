//! The streams of one TCP link and what holds them back. Does no input or output of its own.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::record::Record;
use crate::carrier::StreamError;
use crate::close::{CloseReason, LinkLost};

/// The control stream.
pub(crate) const CONTROL: u32 = 0;

/// Records that may wait to be sent. A side that keeps to the rules never needs as many.
const MAX_OUT: usize = 4096;

/// Bytes of a stream sent in one record, about: with the shard's frames, one frame. Others get their
/// turn in between.
const TURN_BYTES: usize = 128 << 10;
/// At most this much goes along to end a record with the end of a frame.
const TURN_SLACK: usize = 4 << 10;

/// Pieces are put together up to this size: a window's worth of single bytes must not take many times
/// a window's memory.
const SMALL_BYTES: usize = 4 << 10;

/// The other side broke the rules of this link.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Violation;

/// Tasks waiting for something.
#[derive(Default)]
struct Waiting(Vec<Waker>);

impl Waiting {
    fn add(&mut self, cx: &Context<'_>) {
        if !self.0.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.0.push(cx.waker().clone());
        }
    }

    fn wake(&mut self) {
        for waker in mem::take(&mut self.0) {
            waker.wake();
        }
    }
}

/// A stream towards the other side.
#[derive(Default)]
struct Outgoing {
    pending: VecDeque<Bytes>,
    /// Bytes that the other side takes beyond those pending.
    credit: usize,
    finish: Finish,
    /// The other side has all of it.
    received: bool,
    /// Why it wants no more.
    stopped: Option<CloseReason>,
    /// Given up on this side.
    reset: bool,
    handle_gone: bool,
    waiting: Waiting,
}

#[derive(Default, PartialEq, Eq)]
enum Finish {
    #[default]
    No,
    Wanted,
    Sent,
}

impl Outgoing {
    fn is_over(&self) -> bool {
        self.received || self.reset || self.stopped.is_some()
    }
}

/// A stream from the other side.
#[derive(Default)]
struct Incoming {
    arrived: VecDeque<BytesMut>,
    /// Bytes that may still arrive.
    window: usize,
    /// Bytes read and not yet told.
    read: usize,
    finished: bool,
    reset: Option<CloseReason>,
    waiting: Waiting,
}

/// What one side can take: its window for each stream, and bulks at once.
#[derive(Clone, Copy)]
pub(crate) struct Capacity {
    pub(crate) window: u32,
    pub(crate) max_bulks: u32,
}

/// Something to send.
pub(crate) enum Next {
    Record(Record),
    Data { stream: u32, pieces: Vec<Bytes> },
}

/// All streams of a link.
pub(crate) struct Streams {
    ours: Capacity,
    theirs: Capacity,
    outgoing: BTreeMap<u32, Outgoing>,
    /// Bulks that the other side still holds.
    bulks_out: u32,
    next_out: u32,
    /// The bulk that had its turn last.
    turn: u32,
    incoming: BTreeMap<u32, Incoming>,
    next_in: u32,
    opened: VecDeque<u32>,
    records: VecDeque<Record>,
    lost: Option<LinkLost>,
    /// What to tell the other side about the end.
    farewell: Option<CloseReason>,
    accepting: Waiting,
    opening: Waiting,
    closing: Waiting,
    writing: Waiting,
}

fn bytes_of(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Streams {
    pub(crate) fn new(ours: Capacity, theirs: Capacity) -> Self {
        let control_out = Outgoing { credit: bytes_of(theirs.window), ..Outgoing::default() };
        let control_in = Incoming { window: bytes_of(ours.window), ..Incoming::default() };
        Self {
            ours,
            theirs,
            outgoing: BTreeMap::from([(CONTROL, control_out)]),
            bulks_out: 0,
            next_out: 1,
            turn: CONTROL,
            incoming: BTreeMap::from([(CONTROL, control_in)]),
            next_in: 1,
            opened: VecDeque::new(),
            records: VecDeque::new(),
            lost: None,
            farewell: None,
            accepting: Waiting::default(),
            opening: Waiting::default(),
            closing: Waiting::default(),
            writing: Waiting::default(),
        }
    }

    fn say(&mut self, record: Record) {
        self.records.push_back(record);
        self.writing.wake();
    }

    // What the two halves of a link ask for.

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

    pub(crate) fn poll_closed(&mut self, cx: &Context<'_>) -> Poll<LinkLost> {
        match &self.lost {
            Some(lost) => Poll::Ready(lost.clone()),
            None => {
                self.closing.add(cx);
                Poll::Pending
            }
        }
    }

    pub(crate) fn lost(&self) -> Option<LinkLost> {
        self.lost.clone()
    }

    /// The link is over, unless it was before; the other side is to be told `farewell`. What has
    /// arrived may still be read.
    pub(crate) fn end(&mut self, why: LinkLost, farewell: Option<CloseReason>) {
        if self.lost.is_some() {
            return;
        }
        self.lost = Some(why);
        self.farewell = farewell;
        for stream in self.outgoing.values_mut() {
            stream.pending.clear();
            stream.waiting.wake();
        }
        for stream in self.incoming.values_mut() {
            stream.waiting.wake();
        }
        for waiting in
            [&mut self.accepting, &mut self.opening, &mut self.closing, &mut self.writing]
        {
            waiting.wake();
        }
    }

    pub(crate) fn farewell(&self) -> Option<CloseReason> {
        self.farewell
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
                    Poll::Pending
                }
            },
        }
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
        self.say(Record::Released { stream });
    }

    // What arrives.

    /// Takes in a record other than [`Record::Data`], whose bytes go to [`Streams::arrived`].
    pub(crate) fn take(&mut self, record: Record) -> Result<(), Violation> {
        if self.records.len() > MAX_OUT {
            return Err(Violation);
        }
        match record {
            Record::Hello { .. } | Record::Data { .. } => return Err(Violation),
            Record::Open { stream } => self.open_incoming(stream)?,
            Record::Finish { stream } => {
                self.opened_before(stream)?;
                if let Some(incoming) = self.incoming.get_mut(&stream) {
                    incoming.finished = true;
                    incoming.waiting.wake();
                }
                self.say(Record::Received { stream });
            }
            Record::Reset { stream, code } => {
                self.opened_before(stream)?;
                if let Some(incoming) = self.incoming.get_mut(&stream)
                    && !incoming.finished
                {
                    incoming.arrived.clear();
                    incoming.reset = Some(CloseReason::from_number(code));
                    incoming.waiting.wake();
                }
            }
            Record::Stop { stream, code } => {
                self.outgoing(stream, |out| {
                    out.stopped = Some(CloseReason::from_number(code));
                    out.pending.clear();
                })?;
            }
            Record::Credit { stream, bytes } => {
                self.outgoing(stream, |out| {
                    out.credit = out.credit.saturating_add(bytes_of(bytes));
                })?;
            }
            Record::Received { stream } => self.outgoing(stream, |out| out.received = true)?,
            Record::Released { stream } => {
                if stream == CONTROL || stream >= self.next_out {
                    return Err(Violation);
                }
                self.bulks_out = self.bulks_out.checked_sub(1).ok_or(Violation)?;
                self.opening.wake();
            }
            Record::Ping => self.say(Record::Pong),
            Record::Pong => {}
            Record::Close { code } => {
                self.end(LinkLost::ByPeer { reason: CloseReason::from_number(code) }, None);
            }
        }
        Ok(())
    }

    /// Something about a stream that this side sends, or has sent.
    fn outgoing(
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

    fn opened_before(&self, stream: u32) -> Result<(), Violation> {
        if stream < self.next_in { Ok(()) } else { Err(Violation) }
    }

    fn open_incoming(&mut self, stream: u32) -> Result<(), Violation> {
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

    // What goes out.

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
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
