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
pub(super) struct Circuits {
    known: Vec<Carried>,
    /// Until when circuits of rounds that another process opened may be in use. Which shards they go through, nobody says.
    unknown: Option<Timestamp>,
}

impl Circuits {
    /// For one that starts again, and has not seen the circuits that may be in use until then.
    pub(super) fn unseen(until: Option<Timestamp>) -> Self {
        Self { known: Vec::new(), unknown: until }
    }

    /// A round was delivered: its circuits take over from those before it at its first beat.
    pub(super) fn follow(&mut self, next: Carried) {
        for before in &mut self.known {
            let last_back = next.begins.plus_ms(before.passage_ms);
            before.ends = before.ends.min(last_back);
        }
        let last_back = next.begins.plus_ms(next.passage_ms);
        self.unknown = self.unknown.map(|until| until.min(last_back));
        self.known.push(next);
    }

    /// Forgets circuits that nobody uses any more at `now`.
    pub(super) fn expire(&mut self, now: Timestamp) {
        self.known.retain(|carried| now < carried.ends);
        self.unknown = self.unknown.filter(|until| now < *until);
    }

    /// Returns `true` if circuits go through the shard, or may.
    pub(super) fn need(&self, shard: &IdentityKey) -> bool {
        self.unknown.is_some() || self.known.iter().any(|carried| carried.shards.contains(shard))
    }

    /// When the next of them are over.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.known.iter().map(|carried| carried.ends).chain(self.unknown).min()
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

    #[test]
    fn where_nobody_knows_them_any_shard_carries_beats_until_those_of_another_round_have_taken_over()
     {
        let mut circuits = Circuits::unseen(Some(Timestamp(620_000)));
        let shard = IdentityKey([3; 32]);
        circuits.expire(Timestamp(20_000));
        assert_eq!((circuits.need(&shard), circuits.deadline()), (true, Some(Timestamp(620_000))));
        circuits.follow(carried(1, 320_000));
        assert_eq!(circuits.deadline(), Some(Timestamp(328_000)));
        circuits.expire(Timestamp(328_000));
        assert!(!circuits.need(&shard) && circuits.need(&IdentityKey([1; 32])));
    }
}
