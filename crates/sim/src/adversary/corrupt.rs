//! Onions with flipped bits.

use antiphon_wire::{EPHEMERAL_BYTES, TAG_BYTES, Timestamp};

use crate::adversary::{Adversary, Keys, Target};
use crate::party::{Payload, Sent};

/// Part of an onion that the flipped bit lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Ephemeral key, at the front.
    Ephemeral,
    /// Authentication tag, behind the key.
    Tag,
    /// Ciphertext, which is the rest.
    Ciphertext,
}

/// Flips a bit in every item of the target's batches and signs the result.
#[derive(Clone, Copy, Debug)]
pub struct Corrupt {
    /// Batches whose items are garbled.
    pub target: Target,
    /// Where the bit is flipped.
    pub part: Part,
    /// True if the real onions follow behind the garbled ones in the same batch.
    pub real_ones_follow: bool,
}

impl Adversary for Corrupt {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        if self.target.takes(&sent)
            && let Payload::Batch { header, bytes, item_bytes } = &sent.payload
        {
            let at = match self.part {
                Part::Ephemeral => 3,
                Part::Tag => EPHEMERAL_BYTES,
                Part::Ciphertext => EPHEMERAL_BYTES + TAG_BYTES,
            };
            let mut garbled = bytes.clone();
            garbled.chunks_exact_mut(*item_bytes).for_each(|item| item[at] ^= 4);
            if self.real_ones_follow {
                garbled.extend_from_slice(bytes);
            }
            sent.payload = keys.other_batch(self.target.from, header, garbled, *item_bytes);
        }
        vec![(0, sent)]
    }
}
