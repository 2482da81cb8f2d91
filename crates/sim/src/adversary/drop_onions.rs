//! Onions that a shard leaves out of a batch.

use antiphon_wire::Timestamp;
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha20Rng;

use crate::adversary::{Adversary, Keys, Target};
use crate::party::{Payload, Sent};

/// Choice of the onions that a batch goes without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Every onion, which leaves an empty batch.
    All,
    /// The first so many.
    First(usize),
    /// So many, at random from this seed.
    Random(usize, u64),
}

/// Leaves onions, or replies, out of the target's batches and signs what remains.
#[derive(Clone, Copy, Debug)]
pub struct DropOnions {
    /// Batches that lose onions.
    pub target: Target,
    /// Choice of the onions that are lost.
    pub which: Which,
}

impl Adversary for DropOnions {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        if self.target.takes(&sent)
            && let Payload::Batch { header, bytes, item_bytes } = &sent.payload
        {
            let kept = match self.which {
                Which::All => Vec::new(),
                Which::First(count) => bytes[bytes.len().min(count * item_bytes)..].to_vec(),
                Which::Random(count, seed) => {
                    let mut items: Vec<&[u8]> = bytes.chunks_exact(*item_bytes).collect();
                    let mut order: Vec<usize> = (0..items.len()).collect();
                    order.shuffle(&mut ChaCha20Rng::seed_from_u64(seed));
                    order.truncate(count);
                    // Emptied in place, because what remains keeps its order.
                    order.iter().for_each(|&left_out| items[left_out] = &[]);
                    items.concat()
                }
            };
            sent.payload = keys.other_batch(self.target.from, header, kept, *item_bytes);
        }
        vec![(0, sent)]
    }
}
