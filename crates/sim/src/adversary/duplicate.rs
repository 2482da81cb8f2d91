//! Onions that a shard sends twice.

use antiphon_wire::Timestamp;

use crate::adversary::{Adversary, Keys, Target};
use crate::party::{Payload, Sent};

/// Where the copies go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Behind the onions, in the same batch.
    SameBatch,
    /// Into a batch of the same layer for this shard. Works if the target's batch is sent first.
    Shard(usize),
}

/// Repeats all onions of the target's batch.
#[derive(Clone, Debug)]
pub struct Duplicate {
    /// Batch whose onions are copied.
    pub target: Target,
    /// Where the copies go.
    pub place: Place,
    copies: Vec<u8>,
}

impl Duplicate {
    /// Repeats what `target` takes at `place`.
    pub fn new(target: Target, place: Place) -> Self {
        Self { target, place, copies: Vec::new() }
    }
}

impl Adversary for Duplicate {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        let first = self.target.takes(&sent);
        let second = match self.place {
            Place::SameBatch => first,
            Place::Shard(to) => Target { to: Some(to), ..self.target }.takes(&sent),
        };
        if let Payload::Batch { header, bytes, item_bytes } = &sent.payload {
            // Copies from the first batch remain until the second passes.
            if first {
                self.copies.clone_from(bytes);
            }
            if second {
                let both = [bytes.as_slice(), &self.copies].concat();
                sent.payload = keys.other_batch(self.target.from, header, both, *item_bytes);
            }
        }
        vec![(0, sent)]
    }
}
