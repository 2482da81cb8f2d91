//! Drawing hops: an operator by weight, then one of its shards uniformly.

mod uniform;

use antiphon_wire::{DEAD_DROP_BYTES, ShardIndex};
use blake3::hazmat::{self, HasherExt as _};
use rand::CryptoRng;

use uniform::Below;

/// The BLAKE3 context under which a dead drop's shard is drawn.
pub const DEAD_DROP_PLACEMENT_CONTEXT: &str = "Antiphon 2026 dead-drop placement";

/// The part of a roster that belongs to one operator.
#[derive(Clone, Copy, Debug)]
pub struct OperatorSlice<'a> {
    /// The operator's path weight.
    pub weight: u32,
    /// Its shards in the epoch document.
    pub shards: &'a [ShardIndex],
}

/// Reason why a roster cannot be drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SamplerError {
    /// There is nobody to draw.
    #[error("the roster has no operators")]
    NoOperators,
    /// An operator that would never be drawn.
    #[error("operator {0} of the roster has no path weight: leave it out")]
    NoWeight(usize),
    /// An operator whose weight would lead nowhere.
    #[error("operator {0} of the roster has no shards: leave it out")]
    NoShards(usize),
    /// A shard that would be drawn more often than its share.
    #[error("shard {0} is listed twice")]
    ListedTwice(ShardIndex),
}

/// Draws mixing hops and dead-drop shards from a roster.
///
/// An operator's share is its weight, however many shards it runs. Placement depends on the order
/// of operators (that of the network file) and of each one's shards (that of the epoch document).
#[derive(Clone, Debug)]
pub struct PathSampler {
    /// Running sums of the weights, one per operator, ending in the total.
    weight_sums: Box<[u64]>,
    total: Below,
    operators: Box<[OperatorRange]>,
    /// All operators' shards, one after the other.
    shards: Box<[ShardIndex]>,
    placement: hazmat::ContextKey,
}

#[derive(Clone, Copy, Debug)]
struct OperatorRange {
    first: usize,
    count: Below,
}

impl PathSampler {
    /// A sampler for `operators`, those present in the epoch, in the network file's order.
    ///
    /// # Errors
    /// If there are none, if one has no weight or no shards, or if a shard is listed twice.
    pub fn new(operators: &[OperatorSlice<'_>]) -> Result<Self, SamplerError> {
        let mut weight_sums = Vec::with_capacity(operators.len());
        let mut ranges = Vec::with_capacity(operators.len());
        let mut shards = Vec::new();
        let mut total = 0u64;
        for (position, operator) in operators.iter().enumerate() {
            if operator.weight == 0 {
                return Err(SamplerError::NoWeight(position));
            }
            let count =
                Below::new(operator.shards.len() as u64).ok_or(SamplerError::NoShards(position))?;
            // Fewer than 2^32 operators of weights below 2^32: no overflow.
            total += u64::from(operator.weight);
            weight_sums.push(total);
            ranges.push(OperatorRange { first: shards.len(), count });
            shards.extend_from_slice(operator.shards);
        }
        let mut sorted = shards.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(SamplerError::ListedTwice(pair[0]));
        }
        Ok(Self {
            weight_sums: weight_sums.into(),
            total: Below::new(total).ok_or(SamplerError::NoOperators)?,
            operators: ranges.into(),
            shards: shards.into(),
            placement: hazmat::hash_derive_key_context(DEAD_DROP_PLACEMENT_CONTEXT),
        })
    }

    /// Draws one mixing hop.
    pub fn draw_hop(&self, rng: &mut impl CryptoRng) -> ShardIndex {
        self.draw(|| rng.next_u64())
    }

    /// Fills `path` with mixing hops, each drawn independently.
    pub fn draw_path(&self, rng: &mut impl CryptoRng, path: &mut [ShardIndex]) {
        for hop in path {
            *hop = self.draw_hop(rng);
        }
    }

    /// The shard where deposits at `dead_drop` meet: the same for everyone with this roster.
    ///
    /// The draw takes 64-bit little-endian words from BLAKE3's extendable output in key
    /// derivation mode, context [`DEAD_DROP_PLACEMENT_CONTEXT`], material the 16 bytes of the
    /// dead drop. To draw below n, multiply the next word by n: the upper 64 bits of the product
    /// are the result, unless the lower 64 are less than 2^64 mod n; then take another word. Draw
    /// below the total weight first and choose the first operator whose running sum of weights is
    /// greater, then below the number of its shards.
    pub fn dead_drop_shard(&self, dead_drop: &[u8; DEAD_DROP_BYTES]) -> ShardIndex {
        let mut stream =
            blake3::Hasher::new_from_context_key(&self.placement).update(dead_drop).finalize_xof();
        self.draw(|| {
            let mut word = [0; 8];
            stream.fill(&mut word);
            u64::from_le_bytes(word)
        })
    }

    fn draw(&self, mut word: impl FnMut() -> u64) -> ShardIndex {
        let mark = self.total.draw(&mut word);
        debug_assert!(self.weight_sums.last().is_some_and(|&total| mark < total));
        let operator = self.operators[self.weight_sums.partition_point(|&sum| sum <= mark)];
        // Below the number of shards, which is the length of a slice.
        self.shards[operator.first + operator.count.draw(&mut word) as usize]
    }
}

#[cfg(test)]
mod tests;
