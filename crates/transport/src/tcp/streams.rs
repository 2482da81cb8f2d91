//! The streams of one TCP link and what holds them back. Does no input or output of its own.

mod incoming;
mod outgoing;

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::record::{RECORD_BYTES, Record};
use crate::close::{CloseReason, LinkLost};
use incoming::Incoming;
use outgoing::Outgoing;

/// The control stream.
pub(crate) const CONTROL: u32 = 0;

/// Records that may wait to be sent. A side that keeps to the rules never needs as many.
const MAX_OUT: usize = 4096;

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

impl Next {
    /// The record, without the bytes that follow it.
    pub(crate) fn head(&self) -> [u8; RECORD_BYTES] {
        match self {
            Self::Record(record) => record.encode(),
            Self::Data { stream, .. } => {
                // Pieces are cut so that it fits.
                let len = u32::try_from(self.following()).unwrap_or(u32::MAX);
                Record::Data { stream: *stream, len }.encode()
            }
        }
    }

    /// What follows the record.
    pub(crate) fn pieces(&self) -> &[Bytes] {
        match self {
            Self::Record(_) => &[],
            Self::Data { pieces, .. } => pieces,
        }
    }

    /// How many bytes follow the record.
    fn following(&self) -> usize {
        self.pieces().iter().map(Bytes::len).sum()
    }
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

    /// Says something that may wait until there is more to say: acknowledgements of whole bulks
    /// would be as many packets as the bulks themselves. Enough of them go out by themselves, so
    /// that a sender never waits for room that there is, and a sender that waits for one asks.
    fn say_later(&mut self, record: Record) {
        self.records.push_back(record);
        // A bulk has two, and the other side may open `max_bulks` before it has heard of any.
        if self.records.len() >= bytes_of(self.ours.max_bulks) / 2 {
            self.writing.wake();
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
                self.say_later(Record::Received { stream });
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
}

#[cfg(test)]
#[path = "streams_tests.rs"]
mod tests;
