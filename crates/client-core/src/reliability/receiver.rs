//! The receiving half: fragments put in order, messages put together.

use std::collections::BTreeMap;

use super::WINDOW;
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

/// The messages of the other end.
pub(crate) struct Receiver {
    next: u32,
    /// Payloads that came early, each with `true` if a message ends there. All within the window.
    early: BTreeMap<u32, (bool, Vec<u8>)>,
    message: Vec<u8>,
    /// `true` while the rest of the current message is left out.
    skipping: bool,
    message_limit: usize,
}

impl Receiver {
    pub(crate) fn new(message_limit: usize) -> Self {
        let (early, message) = (BTreeMap::new(), Vec::new());
        Self { next: 0, early, message, skipping: false, message_limit }
    }

    /// Acknowledgement for the partner.
    pub(crate) fn acknowledgement(&self) -> Acknowledgement {
        // All that came early lies in the window, after its first number, which is missing.
        let bits = self.early.keys().map(|sequence| 1 << (sequence - self.next - 1));
        Acknowledgement { next: self.next, later: bits.fold(0, |all: u32, bit: u32| all | bit) }
    }

    /// Takes a fragment. One that has come before changes nothing.
    pub(crate) fn accept(&mut self, fragment: Fragment<'_>) -> Delivered {
        let mut delivered = Delivered::default();
        let Some(ahead) = fragment.sequence.checked_sub(self.next) else { return delivered };
        if ahead >= WINDOW || fragment.sequence == u32::MAX {
            delivered.error = Some(ReceiveError::OutsideWindow);
            return delivered;
        }
        if ahead > 0 {
            let entry = self.early.entry(fragment.sequence);
            entry.or_insert_with(|| (fragment.last, fragment.payload.to_vec()));
            return delivered;
        }
        self.append(fragment.last, fragment.payload, &mut delivered);
        while let Some((last, payload)) = self.early.remove(&self.next) {
            self.append(last, &payload, &mut delivered);
        }
        debug_assert!(
            self.early.keys().all(|early| *early > self.next && early - self.next < WINDOW),
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
            delivered.messages.push(std::mem::take(&mut self.message));
        }
    }
}

#[cfg(test)]
impl Receiver {
    /// Bytes held for messages that are not whole yet.
    pub(super) fn held_bytes(&self) -> usize {
        self.message.len() + self.early.values().map(|(_, payload)| payload.len()).sum::<usize>()
    }
}
