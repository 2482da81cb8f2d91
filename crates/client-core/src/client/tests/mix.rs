//! Epochs of a network of three operators with a shard each.

use antiphon_mock_mix::{Mix, Plan};
use antiphon_wire::Timestamp;

pub(super) const STARTS_AT: Timestamp = Timestamp(1_000_000_000);
pub(super) const ROUNDS: u64 = 150;

pub(crate) fn mix(epoch: u64, first_round: u64, pairs: u8) -> Mix {
    Mix::new(&Plan { pairs, rounds: ROUNDS, ..Plan::new(epoch, first_round, STARTS_AT) })
}

/// With as many shards for each operator, all operators of one weight.
pub(crate) fn mix_of_operators(shards: &[u8]) -> Mix {
    Mix::new(&Plan::new(1, 0, STARTS_AT).operated(shards))
}

/// With beats after each round, and rounds as far apart as their beats last at least.
pub(crate) fn mix_with_beats(epoch: u64, first_round: u64, pairs: u8) -> Mix {
    let plan = Plan::new(epoch, first_round, STARTS_AT).with_beats();
    Mix::new(&Plan { pairs, rounds: 20, ..plan })
}
