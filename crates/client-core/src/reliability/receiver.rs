//! The receiving half: fragments put in order, messages put together.

use std::collections::{BTreeMap, VecDeque};

use antiphon_wire::{Blob, Decode, DecodeError, Encode, Reader};

use super::sender::append;
use super::{MOST_FRAGMENTS, WINDOW};
use crate::conversation::{Acknowledgement, Fragment};

/// Faults of a partner that no honest partner has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiveError {
    /// A fragment beyond what may be under way.
    #[error("the partner sent more at once than was agreed; it was dropped")]
    OutsideWindow,
    /// A message of more bytes than are taken. It is left out.
    #[error("the partner sent a message of more than {limit} bytes; it was left out")]
    MessageTooLong {
        /// The longest message taken, in bytes.
        limit: usize,
    },
}

/// Messages that a fragment completed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Delivered {
    /// Whole messages, in order.
    pub(crate) messages: Vec<Vec<u8>>,
    /// Fault that was found on the way.
    pub(crate) error: Option<ReceiveError>,
}

/// Bytes that a message takes up besides its own, so that empty ones are bounded too.
const MESSAGE_BYTES: usize = 64;
/// The most messages that are kept for an application.
const MOST_KEPT: usize = 4096;

/// Whole messages that the application has not taken yet, of a client that keeps them over a restart.
#[derive(Default)]
struct Kept {
    messages: VecDeque<Vec<u8>>,
    bytes: usize,
    /// The most bytes; 0 if messages are not kept.
    limit: usize,
}

impl Kept {
    /// Returns `true` if there is no room for a message of `bytes` bytes. For a single one there always is.
    fn is_full(&self, bytes: usize) -> bool {
        let room = self.limit.saturating_sub(self.bytes);
        !self.messages.is_empty()
            && (bytes.saturating_add(MESSAGE_BYTES) > room || self.messages.len() >= MOST_KEPT)
    }

    fn push(&mut self, message: Vec<u8>) {
        self.bytes += message.len() + MESSAGE_BYTES;
        self.messages.push_back(message);
    }

    fn take(&mut self) {
        if let Some(taken) = self.messages.pop_front() {
            self.bytes -= taken.len() + MESSAGE_BYTES;
        }
    }
}

/// The messages of the other end.
pub(crate) struct Receiver {
    next: u32,
    /// Messages that the application has taken, of a client that keeps them.
    taken: u64,
    kept: Kept,
    /// Payloads that came early, each with `true` if a message ends there. All within the window.
    early: BTreeMap<u32, (bool, Vec<u8>)>,
    message: Vec<u8>,
    /// `true` while the rest of the current message is left out.
    skipping: bool,
    message_limit: usize,
}

impl Receiver {
    pub(crate) fn new(message_limit: usize) -> Self {
        let (early, message, kept) = (BTreeMap::new(), Vec::new(), Kept::default());
        Self { next: 0, taken: 0, kept, early, message, skipping: false, message_limit }
    }

    /// Keeps whole messages until the application has taken them, of up to `limit` bytes together. What there is no
    /// room for is not acknowledged.
    pub(crate) fn keep(&mut self, limit: usize) {
        self.kept.limit = limit;
    }

    /// Acknowledgement for the partner.
    pub(crate) fn acknowledgement(&self) -> Acknowledgement {
        // All that came early lies in the window, after its first number, which is missing or waits for room.
        let later = self.early.keys().filter(|sequence| **sequence > self.next);
        let bits = later.map(|sequence| 1 << (sequence - self.next - 1));
        Acknowledgement { next: self.next, later: bits.fold(0, |all: u32, bit: u32| all | bit) }
    }

    /// Takes a fragment. One that has come before changes nothing.
    pub(crate) fn accept(&mut self, fragment: Fragment<'_>) -> Delivered {
        let mut delivered = Delivered::default();
        let Some(ahead) = fragment.sequence.checked_sub(self.next) else { return delivered };
        if ahead >= WINDOW || fragment.sequence >= MOST_FRAGMENTS - 1 {
            delivered.error = Some(ReceiveError::OutsideWindow);
            return delivered;
        }
        if ahead > 0 {
            let entry = self.early.entry(fragment.sequence);
            entry.or_insert_with(|| (fragment.last, fragment.payload.to_vec()));
            return delivered;
        }
        if self.kept.is_full(self.message.len() + fragment.payload.len()) {
            return delivered;
        }
        // It may have come before, when there was no room.
        self.early.remove(&fragment.sequence);
        self.append(fragment.last, fragment.payload, &mut delivered);
        while let Some((_, payload)) = self.early.get(&self.next)
            && !self.kept.is_full(self.message.len() + payload.len())
            && let Some((last, payload)) = self.early.remove(&self.next)
        {
            self.append(last, &payload, &mut delivered);
        }
        debug_assert!(
            self.early.keys().all(|early| *early >= self.next && early - self.next < WINDOW),
            "a fragment is kept from outside the window"
        );
        delivered
    }

    fn append(&mut self, last: bool, payload: &[u8], delivered: &mut Delivered) {
        // `accept` refuses the highest number.
        self.next += 1;
        if self.message.len() + payload.len() > self.message_limit {
            // Frees the bytes: the partner decides how long a message is.
            self.message = Vec::new();
            self.skipping = true;
        }
        if !self.skipping {
            self.message.extend_from_slice(payload);
        }
        if !last {
            return;
        }
        if std::mem::take(&mut self.skipping) {
            let limit = self.message_limit;
            delivered.error = Some(ReceiveError::MessageTooLong { limit });
        } else {
            let message = std::mem::take(&mut self.message);
            if self.kept.limit > 0 {
                self.kept.push(message.clone());
            }
            delivered.messages.push(message);
        }
    }
}

/// What an end that starts again needs to go on.
impl Receiver {
    /// Takes note that the application has taken `count` messages since the conversation began, each for good.
    pub(crate) fn take(&mut self, count: u64) {
        while self.taken < count && !self.kept.messages.is_empty() {
            self.taken += 1;
            self.kept.take();
        }
    }

    /// Number of the first message that the application has not taken, and those from there on.
    pub(crate) fn untaken(&self) -> (u64, impl Iterator<Item = &[u8]>) {
        (self.taken, self.kept.messages.iter().map(Vec::as_slice))
    }

    /// Bytes of messages that are not whole or not taken.
    pub(crate) fn bytes(&self) -> usize {
        self.kept.bytes + self.message.len()
    }

    pub(crate) fn encode_to(&self, out: &mut Vec<u8>) {
        self.next.encode(out);
        self.taken.encode(out);
        (self.kept.messages.len() as u32).encode(out);
        self.kept.messages.iter().for_each(|message| append(message, out));
        // A window's.
        out.push(self.early.len() as u8);
        for (sequence, (last, payload)) in &self.early {
            sequence.encode(out);
            out.push(u8::from(*last));
            append(payload, out);
        }
        append(&self.message, out);
        out.push(u8::from(self.skipping));
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// If it is nothing that was.
    pub(crate) fn decode(
        input: &mut Reader<'_>,
        message_limit: usize,
        keep_limit: usize,
    ) -> Result<Self, DecodeError> {
        let mut receiver = Self::new(message_limit);
        receiver.keep(keep_limit);
        receiver.next = Decode::decode(input)?;
        receiver.taken = Decode::decode(input)?;
        for _ in 0..u32::decode(input)? {
            let Blob(message) = Decode::decode(input)?;
            receiver.kept.push(message);
        }
        for _ in 0..u8::decode(input)? {
            let (sequence, last) = (u32::decode(input)?, u8::decode(input)? != 0);
            let ahead = sequence.checked_sub(receiver.next).filter(|ahead| *ahead < WINDOW);
            if ahead.is_none() {
                return Err(DecodeError::OutOfRange("a fragment that came early"));
            }
            let Blob(payload) = Decode::decode(input)?;
            receiver.early.insert(sequence, (last, payload));
        }
        receiver.message = Blob::decode(input)?.0;
        receiver.skipping = u8::decode(input)? != 0;
        Ok(receiver)
    }
}

#[cfg(test)]
impl Receiver {
    /// Bytes held for messages that are not whole yet.
    pub(super) fn held_bytes(&self) -> usize {
        self.message.len() + self.early.values().map(|(_, payload)| payload.len()).sum::<usize>()
    }
}
