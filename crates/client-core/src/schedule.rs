//! In which rounds a conversation meets.

use antiphon_wire::Round;

use crate::conversation::Key;

/// How often a conversation meets: in one of every 2^level rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

/// Disturbed meetings in a row that a conversation meeting in every round bears.
const PATIENCE: u8 = 3;

impl Level {
    /// Every round.
    pub const DENSEST: Self = Self(0);
    /// One round in 128: about ten minutes apart at 5-second rounds.
    pub const SPARSEST: Self = Self(7);

    /// Rounds per meeting.
    pub const fn rounds(self) -> u64 {
        1 << self.0
    }

    fn sparser(self) -> Self {
        Self(self.0 + 1).min(Self::SPARSEST)
    }
}

/// Where a conversation's schedule starts. Both ends take the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In every round: both ends are known to be there.
    Dense,
    /// At the sparsest schedule: the partner may come later.
    Sparse,
}

/// A conversation's schedule, made sparser by disturbed meetings and dense again by a success.
///
/// Rounds fall into blocks of 2^k. In each, level k meets in exactly one round: of the two in which
/// level k-1 does, the one in the half that a key shared by both ends picks. So a sparser level's
/// rounds are among a denser one's, and ends at different levels meet whenever the sparser one does;
/// no outage costs more than `PATIENCE` + 6 + one for each block of 128 rounds that it touches.
pub(crate) struct Schedule {
    key: Key,
    level: Level,
    disturbed: u8,
}

impl Schedule {
    pub(crate) fn new(key: Key, start: Start) -> Self {
        let level = match start {
            Start::Dense => Level::DENSEST,
            Start::Sparse => Level::SPARSEST,
        };
        Self { key, level, disturbed: 0 }
    }

    pub(crate) fn level(&self) -> Level {
        self.level
    }

    /// Whether the conversation meets in `round`.
    pub(crate) fn meets(&self, round: Round) -> bool {
        (1..=self.level.0).all(|k| (round.0 >> (k - 1)) & 1 == self.half(k, round.0 >> k))
    }

    /// Which half of block number `block` of 2^k rounds keeps its meeting.
    fn half(&self, k: u8, block: u64) -> u64 {
        let mut input = [k; 9];
        input[1..].copy_from_slice(&block.to_be_bytes());
        u64::from(blake3::keyed_hash(&self.key.0, &input).as_bytes()[0] & 1)
    }

    /// A meeting went well.
    pub(crate) fn succeeded(&mut self) {
        self.level = Level::DENSEST;
        self.disturbed = 0;
    }

    /// A meeting was disturbed.
    pub(crate) fn disturbed(&mut self) {
        self.disturbed = self.disturbed.saturating_add(1);
        if self.level > Level::DENSEST || self.disturbed >= PATIENCE {
            self.level = self.level.sparser();
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::MOST_ROUNDS_IN_FLIGHT;

    use super::*;

    fn schedule(key: u8, start: Start) -> Schedule {
        Schedule::new(Key([key; 32]), start)
    }

    #[test]
    fn sparser_levels_meet_among_the_denser_ones_and_once_a_block() {
        let mut schedule = schedule(1, Start::Dense);
        let mut before: Vec<_> = (0..1024).map(Round).collect();
        for k in 0..=7 {
            schedule.level = Level(k);
            let rounds: Vec<_> = (0..1024).map(Round).filter(|r| schedule.meets(*r)).collect();
            assert_eq!(rounds.len(), 1024 >> k);
            assert!(rounds.iter().all(|round| before.contains(round)));
            for (block, round) in rounds.iter().enumerate() {
                assert_eq!(round.0 >> k, block as u64);
            }
            before = rounds;
        }
    }

    #[test]
    fn without_the_key_every_round_of_a_block_is_as_likely_and_blocks_are_independent() {
        const KEYS: u32 = 16_384;
        let mut counts = vec![[0_u32; 128]; 2];
        // Whether the second block's meeting is in the same eighth as the first's.
        let mut alike = 0;
        for key in 0..KEYS {
            let mut seed = [0; 32];
            seed[..4].copy_from_slice(&key.to_be_bytes());
            let mut schedule = Schedule::new(Key(seed), Start::Sparse);
            schedule.level = Level::SPARSEST;
            let at = [0, 1].map(|block: u64| {
                (0..128).find(|round| schedule.meets(Round(128 * block + round))).unwrap() as usize
            });
            counts[0][at[0]] += 1;
            counts[1][at[1]] += 1;
            alike += u32::from(at[0] / 16 == at[1] / 16);
        }
        for counts in counts {
            let mean = f64::from(KEYS) / 128.0;
            let chi = counts.iter().map(|n| (f64::from(*n) - mean).powi(2) / mean).sum::<f64>();
            // 127 degrees of freedom, five standard deviations.
            assert!((chi - 127.0).abs() < 5.0 * (2.0 * 127.0_f64).sqrt(), "{chi}");
        }
        let (mean, deviation) = (f64::from(KEYS) / 8.0, (f64::from(KEYS) * 7.0 / 64.0).sqrt());
        assert!((f64::from(alike) - mean).abs() < 5.0 * deviation, "{alike}");
    }

    #[test]
    fn an_hours_outage_costs_fewer_than_20_units() {
        let mut worst = 0;
        for key in 0..=255 {
            for start in [Start::Dense, Start::Sparse] {
                let mut schedule = schedule(key, start);
                let first = u64::from(key) * 37;
                let mut charged = 0;
                for round in first..first + 720 {
                    if schedule.meets(Round(round)) {
                        schedule.disturbed();
                        charged += 1;
                    }
                }
                worst = worst.max(charged);
            }
        }
        assert!(worst < 20, "{worst}");
        assert!(worst <= 16, "{worst}");
    }

    #[test]
    fn rounds_in_flight_make_an_outage_hardly_dearer() {
        let mut worst = 0;
        for key in 0..=255 {
            for in_flight in 1..=MOST_ROUNDS_IN_FLIGHT as u64 {
                let mut schedule = schedule(key, Start::Dense);
                let first = u64::from(key) * 37;
                let mut charged = 0;
                let mut met = std::collections::BTreeSet::new();
                for round in first..first + 720 {
                    // What is known is how rounds ended that opened so long ago.
                    if round.checked_sub(in_flight).is_some_and(|ended| met.contains(&ended)) {
                        schedule.disturbed();
                    }
                    if schedule.meets(Round(round)) {
                        met.insert(round);
                        charged += 1;
                    }
                }
                worst = worst.max(charged);
            }
        }
        assert!(worst < 20, "{worst}");
    }

    #[test]
    fn both_ends_are_dense_again_soon_after_an_outage() {
        for key in 0..=255 {
            let mut ends = [schedule(key, Start::Dense), schedule(key, Start::Dense)];
            // The second end misses far more rounds than the first.
            let outage = 1000 + u64::from(key) * 13;
            ends[1].level = Level(key % 8);
            let mut healed = None;
            for round in 0..outage + 300 {
                let meets = [ends[0].meets(Round(round)), ends[1].meets(Round(round))];
                let well = round >= outage && meets == [true, true];
                for (end, meets) in ends.iter_mut().zip(meets) {
                    match (meets, well) {
                        (true, true) => end.succeeded(),
                        (true, false) => end.disturbed(),
                        (false, _) => {}
                    }
                }
                if well {
                    healed = healed.or(Some(round));
                }
            }
            let healed = healed.unwrap();
            assert!(healed < outage + 2 * Level::SPARSEST.rounds());
            assert!(ends.iter().all(|end| end.level() == Level::DENSEST));
        }
    }

    #[test]
    fn two_ends_find_each_other_even_if_only_one_saw_the_success() {
        let mut ends = [schedule(9, Start::Dense), schedule(9, Start::Sparse)];
        let met = (0..512).find(|round| {
            let meets = [ends[0].meets(Round(*round)), ends[1].meets(Round(*round))];
            if meets[0] && !meets[1] {
                ends[0].disturbed();
            }
            meets == [true, true]
        });
        assert!(met.is_some());
    }
}
