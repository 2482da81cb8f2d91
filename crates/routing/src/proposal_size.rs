//! The size of a proposal, and the most rounds of an epoch for it to fit into a message.
//!
//! Every shard contributes a seal key and a proof for each round, so a proposal grows with the product of
//! both numbers: at 720 rounds, 16 MiB hold some 240 shards.

use antiphon_wire::MOST_ADDRESSES;

/// The largest message between the coordinator and a shard, in bytes.
pub const MOST_PROPOSAL_BYTES: usize = 16 << 20;

/// A shard's seal key for one round, with the proof that it holds the secret.
const KEY_AND_PROOF: u64 = 32 + 64;
/// Bytes of a round's joint seal key.
const JOINT_KEY: u64 = 32;
/// The longest address as text, an IPv6 one with a scope, behind its length.
const ADDRESS: u64 = 2 + 58;
/// A shard's addresses for others of one kind, behind their count, at most.
const ADDRESSES: u64 = 1 + MOST_ADDRESSES as u64 * ADDRESS;
/// A shard's entry, its place in its operator's list, and the rest of its contribution, at most.
const SHARD: u64 = 74 + 2 * ADDRESSES + 32 + 152;
/// An operator's signed list without its shards.
const OPERATOR: u64 = 160;
/// Bytes of the fields that are there once.
const HEAD: u64 = 512;

/// Bytes of a proposal with so many shards, operators and rounds, at most.
pub const fn proposal_bytes(shards: u64, operators: u64, rounds: u64) -> u64 {
    HEAD + OPERATOR * operators + shards * (SHARD + KEY_AND_PROOF * rounds) + JOINT_KEY * rounds
}

/// The most rounds that an epoch of so many shards can have, for its proposal to fit into a message; 0
/// if not even one fits.
pub const fn most_rounds(shards: u64, operators: u64) -> u64 {
    let fixed = proposal_bytes(shards, operators, 0);
    (MOST_PROPOSAL_BYTES as u64).saturating_sub(fixed) / (shards * KEY_AND_PROOF + JOINT_KEY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_rounds_as_are_promised_fit_and_no_more() {
        for (shards, operators) in [(5, 5), (100, 100), (242, 242), (1000, 1000), (4096, 10)] {
            let rounds = most_rounds(shards, operators);
            assert!(rounds > 30, "{shards} shards: {rounds} rounds");
            assert!(proposal_bytes(shards, operators, rounds) <= MOST_PROPOSAL_BYTES as u64);
            assert!(proposal_bytes(shards, operators, rounds + 1) > MOST_PROPOSAL_BYTES as u64);
        }
        assert!((710..730).contains(&most_rounds(241, 241)));
        assert_eq!(most_rounds(1 << 20, 1), 0);
    }
}
