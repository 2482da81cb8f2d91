//! Onions that are chosen to fill a filter.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::rc::Rc;

use antiphon_verify::{FilterKey, FilterPrecision};
use antiphon_wire::{FilterSalt, Timestamp};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use crate::adversary::{Adversary, Keys, Target};
use crate::party::{Payload, Sent};

/// Onions added for each that is in the batch, more than all that others send.
const ADDED: usize = 24;
/// Bits for each of them, few enough that the filter has more: bits that differ in a filter differ in every
/// larger one, so nobody has to know its size.
const BITS_EACH: usize = 26;

/// Adds garbage to the target's batches of sealed onions: of a few random onions each time the one that
/// sets most bits of the receiver's filter which are not set yet, under a salt of zeros.
#[derive(Clone, Debug)]
pub struct FilterStuffer {
    /// Batches that garbage is added to.
    pub target: Target,
    /// Number of onions added so far.
    pub added: Rc<Cell<usize>>,
}

impl Adversary for FilterStuffer {
    fn on_message(&mut self, _: Timestamp, mut sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
        if self.target.takes(&sent)
            && let Payload::Batch { header, bytes, item_bytes } = &sent.payload
        {
            let claimed = header.claimed();
            let (salt, precision) = (FilterSalt([0; 16]), FilterPrecision::default());
            let key =
                FilterKey::new(claimed.epoch, claimed.round, claimed.receiver, salt, precision);
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let mut set = BTreeSet::new();
            let mut stuffed = bytes.clone();
            let count = ADDED * (bytes.len() / item_bytes);
            let size = (BITS_EACH * count) as u64;
            for _ in 0..count {
                let candidates = (0..32).map(|_| {
                    let mut onion = vec![0; *item_bytes];
                    rng.fill_bytes(&mut onion);
                    let bits: Vec<u64> = key.positions(&key.digest(&onion), size).collect();
                    (bits.iter().filter(|bit| !set.contains(*bit)).count(), onion, bits)
                });
                let Some((_, onion, bits)) = candidates.max_by_key(|(new, ..)| *new) else { break };
                set.extend(bits);
                stuffed.extend(onion);
                self.added.set(self.added.get() + 1);
            }
            sent.payload = keys.other_batch(self.target.from, header, stuffed, *item_bytes);
        }
        vec![(0, sent)]
    }
}
