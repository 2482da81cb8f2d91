//! The sending half: a bounded queue, and the fragments under way.

use std::collections::VecDeque;

use antiphon_wire::{Blob, Decode, DecodeError, Encode, Reader};

use super::{Carrier, MOST_FRAGMENTS, WINDOW};
use crate::conversation::{Acknowledgement, Fragment};

/// A message's number among those sent in its conversation, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageId(pub u64);

/// Reason why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queue is too full for it.
    #[error(
        "{needed} bytes do not fit beside the {queued} queued of at most {limit}; wait until messages are acknowledged"
    )]
    QueueFull {
        /// Bytes the message takes up in the queue.
        needed: usize,
        /// Bytes taken up by messages not acknowledged yet.
        queued: usize,
        /// Bytes the queue holds.
        limit: usize,
    },
    /// The partner would not take it.
    #[error("{length} bytes are too long for one message; at most {limit} are taken")]
    TooLong {
        /// The message's length in bytes.
        length: usize,
        /// The longest message in bytes.
        limit: usize,
    },
    /// There is no such conversation.
    #[error("no such conversation is open")]
    NoConversation,
    /// One of the ends is closing the conversation.
    #[error("the conversation is closing")]
    Closing,
}

/// Bytes of the queue that a message takes up besides its own, so that empty ones are bounded too.
const MESSAGE_BYTES: usize = 64;

struct Outgoing {
    id: MessageId,
    bytes: Vec<u8>,
    sent: usize,
}

struct Flight {
    payload: Vec<u8>,
    /// The message that ends here, and the bytes it takes up in the queue.
    ends: Option<(MessageId, usize)>,
    /// Its state with each carrier.
    ways: [Way; 2],
    arrived: bool,
}

/// A fragment's state with one carrier.
#[derive(Clone, Copy)]
struct Way {
    /// `true` if it may be sent, for the first time or again.
    due: bool,
    /// The meeting in which it was last sent.
    sent: u64,
}

impl Flight {
    fn way(&mut self, carrier: Carrier) -> &mut Way {
        &mut self.ways[carrier as usize]
    }

    fn is_due(&self, carrier: Carrier) -> bool {
        !self.arrived && self.ways[carrier as usize].due
    }
}

/// An acknowledgement of something that was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AcknowledgeError;

/// The messages of one end on their way to the other.
pub(crate) struct Sender {
    waiting: VecDeque<Outgoing>,
    flight: VecDeque<Flight>,
    /// The sequence number of the first in flight.
    base: u32,
    next_id: u64,
    queued: usize,
    queue_limit: usize,
    message_limit: usize,
}

impl Sender {
    pub(crate) fn new(queue_limit: usize, message_limit: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            flight: VecDeque::new(),
            base: 0,
            next_id: 0,
            queued: 0,
            queue_limit,
            message_limit,
        }
    }

    pub(crate) fn queue(&mut self, bytes: Vec<u8>) -> Result<MessageId, SendError> {
        let (length, limit) = (bytes.len(), self.message_limit);
        if length > limit {
            return Err(SendError::TooLong { length, limit });
        }
        let needed = length.saturating_add(MESSAGE_BYTES);
        if needed > self.queue_limit.saturating_sub(self.queued) {
            let (queued, limit) = (self.queued, self.queue_limit);
            return Err(SendError::QueueFull { needed, queued, limit });
        }
        let id = MessageId(self.next_id);
        self.next_id += 1;
        self.queued += needed;
        self.waiting.push_back(Outgoing { id, bytes, sent: 0 });
        debug_assert!(self.queued <= self.queue_limit, "more is queued than the queue holds");
        Ok(id)
    }

    /// Chooses the fragment for one body or cell of the carrier's meeting number `meeting`, with at most
    /// `capacity` bytes of payload: one that is due first, then something new.
    pub(crate) fn next(
        &mut self,
        carrier: Carrier,
        meeting: u64,
        capacity: usize,
    ) -> Option<Fragment<'_>> {
        let again = self
            .flight
            .iter()
            .position(|flight| flight.is_due(carrier) && flight.payload.len() <= capacity);
        let position = match again {
            Some(position) => position,
            None => self.split_off(capacity)?,
        };
        let flight = &mut self.flight[position];
        *flight.way(carrier) = Way { due: false, sent: meeting };
        Some(Fragment {
            // `split_off` keeps all of the flight below 2^31.
            sequence: self.base + position as u32,
            last: flight.ends.is_some(),
            payload: &flight.payload,
        })
    }

    /// Puts the next fragment of the queue in flight, and returns its position there.
    fn split_off(&mut self, capacity: usize) -> Option<usize> {
        let position = self.flight.len();
        // WINDOW is 33, so the flight's length is far below 2^32.
        if position >= WINDOW as usize || self.base > MOST_FRAGMENTS - WINDOW {
            return None;
        }
        let message = self.waiting.front_mut()?;
        let rest = &message.bytes[message.sent..];
        if capacity == 0 && !rest.is_empty() {
            return None;
        }
        let payload = rest[..rest.len().min(capacity)].to_vec();
        message.sent += payload.len();
        let done = message.sent == message.bytes.len();
        let ends = done.then(|| (message.id, message.bytes.len() + MESSAGE_BYTES));
        if done {
            self.waiting.pop_front();
        }
        debug_assert!(self.flight.len() < WINDOW as usize);
        let ways = [Way { due: true, sent: 0 }; 2];
        self.flight.push_back(Flight { payload, ends, ways, arrived: false });
        Some(position)
    }

    /// Takes note of what arrived. Returns the messages that have arrived whole, in order.
    pub(crate) fn acknowledge(
        &mut self,
        acknowledgement: Acknowledgement,
    ) -> Result<Vec<MessageId>, AcknowledgeError> {
        let Acknowledgement { next, later } = acknowledgement;
        let known = self.flight.len();
        // One that is older than what is known already says nothing new.
        let Some(arrived) = next.checked_sub(self.base) else { return Ok(Vec::new()) };
        let arrived = arrived as usize;
        let farthest = match later {
            0 => arrived,
            bits => arrived + 1 + (u32::BITS - bits.leading_zeros()) as usize,
        };
        if farthest > known {
            return Err(AcknowledgeError);
        }
        for bit in (0..u32::BITS).filter(|bit| later >> bit & 1 == 1) {
            self.flight[arrived + 1 + bit as usize].arrived = true;
        }
        let ended: Vec<_> = self.flight.drain(..arrived).filter_map(|flight| flight.ends).collect();
        self.base = next;
        self.queued -= ended.iter().map(|(_, bytes)| bytes).sum::<usize>();
        debug_assert!(
            self.queued > 0 || (self.waiting.is_empty() && self.flight.is_empty()),
            "a message is under way that is not counted"
        );
        Ok(ended.into_iter().map(|(id, _)| id).collect())
    }

    /// Takes note that the carrier's meeting number `meeting` failed: fragments sent in it may be sent again
    /// at once.
    pub(crate) fn lost(&mut self, carrier: Carrier, meeting: u64) {
        let ways = self.flight.iter_mut().map(|flight| flight.way(carrier));
        ways.filter(|way| way.sent == meeting).for_each(|way| way.due = true);
    }

    /// Takes note that a carrier's meeting went well that was planned when all meetings before `settled` were over, so
    /// that the partner's bodies in it told what had arrived in them. Fragments that were sent in one of them
    /// and are still not acknowledged may be sent again.
    pub(crate) fn heard(&mut self, carrier: Carrier, settled: u64) {
        let ways = self.flight.iter_mut().map(|flight| flight.way(carrier));
        ways.filter(|way| way.sent < settled).for_each(|way| way.due = true);
    }
}

/// What an end that starts again needs to go on. What was under way then is sent again.
impl Sender {
    /// Number that the next message gets.
    pub(crate) fn next_message(&self) -> MessageId {
        MessageId(self.next_id)
    }

    /// Messages that are not acknowledged, and the bytes that each takes up in the queue.
    pub(crate) fn unacknowledged(&self) -> impl Iterator<Item = (MessageId, usize)> {
        let under_way = self.flight.iter().filter_map(|flight| flight.ends);
        let waiting = self.waiting.iter().map(|message| {
            let bytes = message.bytes.len() + MESSAGE_BYTES;
            (message.id, bytes)
        });
        under_way.chain(waiting)
    }

    /// Bytes of messages that are not acknowledged.
    pub(crate) fn bytes(&self) -> usize {
        self.queued
    }

    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        self.base.encode(out);
        self.next_id.encode(out);
        // A window's.
        out.push(self.flight.len() as u8);
        for Flight { payload, ends, arrived, .. } in &self.flight {
            append(payload, out);
            out.push(u8::from(*arrived) | u8::from(ends.is_some()) << 1);
            if let Some((id, bytes)) = ends {
                id.0.encode(out);
                // Queues are shorter than 2^32 bytes.
                (*bytes as u32).encode(out);
            }
        }
        // Messages take up 64 bytes and more of a queue of bytes.
        (self.waiting.len() as u32).encode(out);
        for Outgoing { id, bytes, sent } in &self.waiting {
            id.0.encode(out);
            append(bytes, out);
            (*sent as u32).encode(out);
        }
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is nothing that was.
    pub(crate) fn decode(
        input: &mut Reader<'_>,
        queue_limit: usize,
        message_limit: usize,
    ) -> Result<Self, DecodeError> {
        let mut sender = Self::new(queue_limit, message_limit);
        sender.base = Decode::decode(input)?;
        sender.next_id = Decode::decode(input)?;
        let flight = u8::decode(input)?;
        if u32::from(flight) > WINDOW || sender.base > MOST_FRAGMENTS - WINDOW {
            return Err(DecodeError::OutOfRange("number of fragments under way"));
        }
        for _ in 0..flight {
            let Blob(payload) = Decode::decode(input)?;
            let bits = u8::decode(input)?;
            let ends = match bits & 2 {
                0 => None,
                _ => Some((MessageId(Decode::decode(input)?), u32::decode(input)? as usize)),
            };
            // Nobody knows what arrived of what was under way.
            let ways = [Way { due: true, sent: 0 }; 2];
            sender.flight.push_back(Flight { payload, ends, ways, arrived: bits & 1 == 1 });
        }
        for _ in 0..u32::decode(input)? {
            let (id, Blob(bytes)) = (MessageId(Decode::decode(input)?), Decode::decode(input)?);
            let sent = u32::decode(input)? as usize;
            if sent > bytes.len() {
                return Err(DecodeError::OutOfRange("bytes sent of a message"));
            }
            sender.waiting.push_back(Outgoing { id, bytes, sent });
        }
        let all = sender.unacknowledged().map(|(_, bytes)| bytes);
        sender.queued = all.fold(0, usize::saturating_add);
        Ok(sender)
    }
}

/// Bytes behind their 32-bit length.
pub(super) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    // Queues are shorter than 2^32 bytes.
    (bytes.len() as u32).encode(out);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
impl Sender {
    /// Bytes taken up by messages not acknowledged yet.
    pub(super) fn queued_bytes(&self) -> usize {
        self.queued
    }
}
