//! The shards that carry the beats of rounds that were delivered: until a later round's beats take over, or all are over.

use antiphon_wire::{IdentityKey, Timestamp};

/// The beats of a round: its shards, when they begin, and when the last one is back at the latest.
#[derive(Clone, Debug)]
pub(super) struct Carried {
    pub(super) shards: Vec<IdentityKey>,
    pub(super) begins: Timestamp,
    pub(super) ends: Timestamp,
    /// Time that one beat takes at most, in milliseconds.
    pub(super) passage_ms: u64,
}

/// Circuits that are in use.
#[derive(Debug, Default)]
pub(super) struct Circuits(Vec<Carried>);

impl Circuits {
    /// A round was delivered: its circuits take over from those before it at its first beat.
    pub(super) fn follow(&mut self, next: Carried) {
        for before in &mut self.0 {
            let last_back = next.begins.plus_ms(before.passage_ms);
            before.ends = before.ends.min(last_back);
        }
        self.0.push(next);
    }

    /// Forgets circuits that nobody uses any more at `now`.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.0.retain(|carried| now < carried.ends);
    }

    /// Returns `true` if circuits go through the shard.
    pub(super) fn need(&self, shard: &IdentityKey) -> bool {
        self.0.iter().any(|carried| carried.shards.contains(shard))
    }

    /// When the next of them are over.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.0.iter().map(|carried| carried.ends).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn carried(shard: u8, begins: u64) -> Carried {
        let begins = Timestamp(begins);
        let shards = vec![IdentityKey([shard; 32])];
        Carried { shards, begins, ends: begins.plus_ms(600_000), passage_ms: 8000 }
    }

    #[test]
    fn a_shard_carries_beats_until_those_of_a_later_round_have_taken_over() {
        let mut circuits = Circuits::default();
        circuits.follow(carried(1, 20_000));
        circuits.follow(carried(2, 320_000));
        let needed =
            |circuits: &Circuits| [1, 2].map(|shard| circuits.need(&IdentityKey([shard; 32])));
        circuits.expire(Timestamp(327_999));
        assert_eq!(
            (needed(&circuits), circuits.deadline()),
            ([true, true], Some(Timestamp(328_000)))
        );
        circuits.expire(Timestamp(328_000));
        assert_eq!(needed(&circuits), [false, true]);
        circuits.expire(Timestamp(920_000));
        assert_eq!((needed(&circuits), circuits.deadline()), ([false, false], None));
    }
}
