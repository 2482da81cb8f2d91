//! Onions on their way in, packed into blocks of a size that is good for peeling.

use antiphon_onion::Peeled;
use antiphon_wire::ShardIndex;

use crate::buffers::{Buffer, BufferPool};

/// Onions that are peeled at once; blocks hold a multiple of it.
const LANES: usize = 128;
/// The same for onions so long that as many are far more than a block. Those of suite 2 take twenty times as long to
/// peel, little of it for what many share, and a core is to be free again soon.
const FEW_LANES: usize = 32;
/// Bytes of a block, about: peeling one stays within a core's cache.
const BLOCK_BYTES: usize = 132 << 10;

/// Number of onions that a block holds.
pub(crate) const fn onions_per_block(onion_bytes: usize) -> usize {
    match BLOCK_BYTES / onion_bytes {
        fitting if fitting >= LANES => fitting / LANES * LANES,
        fitting if fitting >= FEW_LANES => LANES,
        _ => FEW_LANES,
    }
}

/// Onions that follow each other in one sender's batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    pub(crate) sender: ShardIndex,
    /// The position in the sender's batch of the first.
    pub(crate) first: u32,
    pub(crate) count: u32,
}

/// Onions behind each other, whoever sent them.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) onions: Buffer,
    pub(crate) runs: Vec<Run>,
    /// The outcome for each onion, once they have been peeled in place.
    pub(crate) peeled: Peeled,
}

impl Block {
    pub(crate) fn new(pool: &BufferPool, onion_bytes: usize) -> Self {
        let onions = pool.take(onions_per_block(onion_bytes) * onion_bytes);
        Self { onions, runs: Vec::new(), peeled: Peeled::default() }
    }

    /// Takes in as many of `onions` as there is room for, and returns how many; the first of them is
    /// at position `first` of the sender's batch.
    pub(crate) fn fill(
        &mut self,
        sender: ShardIndex,
        first: u32,
        onions: &[u8],
        onion_bytes: usize,
    ) -> u32 {
        let room = onions_per_block(onion_bytes) * onion_bytes - self.onions.len();
        let onions = &onions[..onions.len().min(room)];
        self.onions.extend_from_slice(onions);
        let count = (onions.len() / onion_bytes) as u32;
        if count == 0 {
            return 0;
        }
        // Onions that follow the last ones need no run of their own.
        match self.runs.last_mut() {
            Some(run) if run.sender == sender && run.first + run.count == first => {
                run.count += count;
            }
            _ => self.runs.push(Run { sender, first, count }),
        }
        count
    }

    pub(crate) fn is_full(&self, onion_bytes: usize) -> bool {
        self.onions.len() == onions_per_block(onion_bytes) * onion_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_whole_kernel_batches() {
        for onion_bytes in [82, 320, 1020, 1300, 17_000] {
            let onions = onions_per_block(onion_bytes);
            assert!(onions == FEW_LANES || onions > 0 && onions.is_multiple_of(LANES));
            assert!(onions <= LANES || onions * onion_bytes <= BLOCK_BYTES);
        }
    }

    #[test]
    fn a_block_takes_what_fits_and_knows_where_it_is_from() {
        let mut block = Block::new(&BufferPool::default(), 1000);
        assert_eq!(block.fill(ShardIndex(1), 0, &[1; 5000], 1000), 5);
        assert_eq!(block.fill(ShardIndex(1), 5, &[2; 3000], 1000), 3);
        assert_eq!(block.fill(ShardIndex(2), 0, &vec![3; 200_000], 1000), 120);
        assert!(block.is_full(1000));
        let runs: Vec<_> =
            block.runs.iter().map(|run| (run.sender.0, run.first, run.count)).collect();
        assert_eq!(runs, [(1, 0, 8), (2, 0, 120)]);
        assert_eq!(block.fill(ShardIndex(2), 120, &vec![3; 80_000], 1000), 0);
    }
}
