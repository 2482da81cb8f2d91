//! The rounds in which a conversation meets.

mod debt;
#[cfg(test)]
mod tests;

use antiphon_wire::{Decode, DecodeError, Encode, Reader, Round};

use crate::conversation::Key;
use debt::Debt;

/// Rhythm of a conversation: it meets in one of every 2^level rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(u8);

/// Disturbed meetings in a row that a conversation meeting in every round bears.
const PATIENCE: u8 = 3;

impl Level {
    /// A meeting in every round.
    pub const DENSEST: Self = Self(0);
    /// One round in 128: about ten minutes apart at 5-second rounds.
    pub const SPARSEST: Self = Self(7);

    /// Rounds from one meeting to the next, on average.
    pub const fn rounds(self) -> u64 {
        1 << self.0
    }

    fn sparser(self) -> Self {
        Self(self.0 + 1).min(Self::SPARSEST)
    }
}

/// Start of a conversation's schedule. Both ends take the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// In every round: both ends are known to be there.
    Dense,
    /// At the sparsest schedule: the partner may come later.
    Sparse,
}

/// A conversation's schedule, made sparser by disturbed meetings and dense again by a success, and
/// never denser than its debt allows.
///
/// Rounds fall into blocks of 2^k. In each, level k meets in exactly one round: of the two in which
/// level k-1 does, the one in the half that a key shared by both ends picks. So a sparser level's
/// rounds are among a denser one's, and ends at different levels meet whenever the sparser one does;
/// no outage costs more than `PATIENCE` + 6 + one for each block of 128 rounds that it touches.
pub(crate) struct Schedule {
    key: Key,
    /// Level after the last meetings in a row.
    level: Level,
    disturbed: u8,
    /// Debt of the meetings of late, however they alternate with good ones.
    debt: Debt,
}

impl Schedule {
    pub(crate) fn new(key: Key, start: Start) -> Self {
        let level = match start {
            Start::Dense => Level::DENSEST,
            Start::Sparse => Level::SPARSEST,
        };
        Self { key, level, disturbed: 0, debt: Debt::default() }
    }

    pub(crate) fn level(&self) -> Level {
        debug_assert!(self.level <= Level::SPARSEST);
        self.level.max(self.debt.densest())
    }

    /// Returns `true` if the conversation meets in `round`.
    pub(crate) fn meets(&self, round: Round) -> bool {
        (1..=self.level().0).all(|k| (round.0 >> (k - 1)) & 1 == self.half(k, round.0 >> k))
    }

    /// Half of block number `block` of 2^k rounds that keeps its meeting.
    fn half(&self, k: u8, block: u64) -> u64 {
        let mut input = [k; 9];
        input[1..].copy_from_slice(&block.to_be_bytes());
        u64::from(blake3::keyed_hash(&self.key.0, &input).as_bytes()[0] & 1)
    }

    /// Counts one more planned round. Rounds are counted by being served, as whoever numbers them could leave
    /// numbers out.
    pub(crate) fn begin_round(&mut self) {
        self.debt.pay();
    }

    /// Takes note that a round in which it met is charged.
    pub(crate) fn charged(&mut self) {
        self.debt.charge();
    }

    /// Takes note that a meeting went well.
    pub(crate) fn succeeded(&mut self) {
        self.begin_anew();
    }

    /// Meets in every round, and becomes sparser from there if nobody comes.
    pub(crate) fn begin_anew(&mut self) {
        self.level = Level::DENSEST;
        self.disturbed = 0;
    }

    /// Takes note that a meeting was disturbed.
    pub(crate) fn disturbed(&mut self) {
        self.disturbed = self.disturbed.saturating_add(1);
        if self.level > Level::DENSEST || self.disturbed >= PATIENCE {
            self.level = self.level.sparser();
        }
    }
}

impl Encode for Schedule {
    fn encode(&self, out: &mut Vec<u8>) {
        self.key.encode(out);
        self.level.0.encode(out);
        self.disturbed.encode(out);
        self.debt.encode(out);
    }
}

impl Decode for Schedule {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let key = Decode::decode(input)?;
        let level = Level(u8::decode(input)?).min(Level::SPARSEST);
        Ok(Self { key, level, disturbed: Decode::decode(input)?, debt: Decode::decode(input)? })
    }
}
