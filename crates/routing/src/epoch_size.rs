//! The most rounds of an epoch, by the number of its shards.
//!
//! Before it signs, a shard fetches, checks and keeps the seal keys of all shards for all rounds. What it does for
//! an epoch is bounded by their number.

use crate::{MAX_ROUNDS, MAX_SHARDS};

/// The most seal keys of an epoch, of all shards and rounds together. A shard keeps 32 MiB of them, and checks
/// them in ten to twenty seconds of one core.
pub const MOST_SEAL_KEYS: u64 = 1 << 20;

/// The most rounds that an epoch of so many shards can have; 0 if it cannot have so many shards.
pub const fn most_rounds(shards: u64) -> u64 {
    if shards > MAX_SHARDS as u64 {
        return 0;
    }
    let rounds = MOST_SEAL_KEYS / if shards == 0 { 1 } else { shards };
    if rounds < MAX_ROUNDS { rounds } else { MAX_ROUNDS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_shards_can_have_an_hour_of_rounds() {
        assert_eq!((most_rounds(1), most_rounds(16), most_rounds(17)), (65_536, 65_536, 61_680));
        assert_eq!((most_rounds(100), most_rounds(1000), most_rounds(4096)), (10_485, 1048, 256));
        assert_eq!(most_rounds(4097), 0);
    }
}
