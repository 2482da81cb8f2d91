//! Beats: what an epoch and a round's announcement say of them.

use crate::codec::{Encode as _, record};
use crate::{Digest, Direction, Epoch, Layer, Parameters, Round, RoundKind, Timestamp};

/// The most beats of one round that are under way at once, so that what shards keep of them is bounded.
pub const MOST_BEATS_IN_FLIGHT: u64 = 32;

record! {
    /// The beats of an epoch's rounds. In a classic network, which has none, all of it is 0.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct BeatParameters {
        /// Beats that follow a round; 0 in a classic network.
        pub beats: u16,
        /// Time from one beat of a round to the next, in milliseconds.
        pub beat_ms: u32,
        /// Time after which each layer of a beat closes, in milliseconds.
        pub layer_ms: u32,
        /// Bytes of a cell, a multiple of 16.
        pub cell_bytes: u16,
    }
}

impl BeatParameters {
    /// A classic network's.
    pub const CLASSIC: Self = Self { beats: 0, beat_ms: 0, layer_ms: 0, cell_bytes: 0 };

    /// Returns `true` if rounds are followed by no beats.
    pub const fn is_classic(&self) -> bool {
        self.beats == 0
    }

    /// Time from a round's first beat to the beginning of the one that it would have next, in milliseconds.
    pub const fn span_ms(&self) -> u64 {
        self.beats as u64 * self.beat_ms as u64
    }

    /// Time from a beat's beginning until its replies are due, through `layers` layers and back, in milliseconds.
    pub const fn passage_ms(&self, layers: u8) -> u64 {
        2 * layers as u64 * self.layer_ms as u64
    }

    /// Beats of one round that are under way at once through `layers` layers, at most:
    /// ceil(2L `layer_ms` / `beat_ms`) + 1.
    pub const fn in_flight(&self, layers: u8) -> u64 {
        match self.beat_ms {
            0 => 0,
            beat_ms => self.passage_ms(layers).div_ceil(beat_ms as u64) + 1,
        }
    }
}

record! {
    /// A coordinator's opening of a round. Its hash is in every shard's verdict and release, so that a round that two
    /// shards were announced differently is aborted before its seal opens.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct Announcement {
        /// Epoch that the round belongs to.
        pub epoch: Epoch,
        /// Round that is opened.
        pub round: Round,
        /// Time at which the round's beat 0 begins; 0 in a classic network.
        pub first_beat: Timestamp,
        /// The epoch's beats.
        pub beats: BeatParameters,
    }
}

record! {
    /// Announces the cells that one shard sends another in a beat, one for each slot that the round left between
    /// them. The link alone protects it.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    pub struct CellBatch {
        /// Epoch that the round belongs to.
        pub epoch: Epoch,
        /// Round whose circuits carry the cells.
        pub round: Round,
        /// Number of the beat.
        pub beat: u64,
        /// Forward: the layer that the cells enter. Back: the layer that they leave.
        pub layer: Layer,
        /// Forward to layer L, or back.
        pub direction: Direction,
        /// Number of cells that follow.
        pub count: u32,
    }
}

impl Announcement {
    /// The announcement of a round without beats.
    pub const fn classic(epoch: Epoch, round: Round) -> Self {
        Self { epoch, round, first_beat: Timestamp(0), beats: BeatParameters::CLASSIC }
    }

    /// The hash that stands for it in verdicts and releases.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }

    /// Time at which beat `beat` begins, by the schedule.
    pub const fn begins(&self, beat: u64) -> Timestamp {
        self.first_beat.plus_ms(beat.saturating_mul(self.beats.beat_ms as u64))
    }

    /// Beats of this round that run when `successor` replaces it: those that begin before its first. Both numbers
    /// are announced, so that they are the same for everybody, whatever their clocks show.
    pub fn beats_before(&self, successor: &Self) -> u64 {
        match u64::from(self.beats.beat_ms) {
            0 => 0,
            beat_ms => {
                let ms = successor.first_beat.ms_since(self.first_beat);
                ms.div_ceil(beat_ms).min(self.beats.beats.into())
            }
        }
    }

    /// Time at which the round's tables are of no more use: its last beat is back, through `layers` layers.
    pub const fn ends(&self, layers: u8) -> Timestamp {
        self.first_beat.plus_ms(self.beats.span_ms() + self.beats.passage_ms(layers))
    }
}

impl Parameters {
    /// The announcement of `round`, whose first beat begins at `first_beat` if beats follow rounds of its kind.
    pub const fn announce(
        &self,
        epoch: Epoch,
        round: Round,
        kind: RoundKind,
        first_beat: Timestamp,
    ) -> Announcement {
        if self.beats.is_classic() || kind.has_boxes() {
            return Announcement::classic(epoch, round);
        }
        Announcement { epoch, round, first_beat, beats: self.beats }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEATS: BeatParameters =
        BeatParameters { beats: 150, beat_ms: 4000, layer_ms: 250, cell_bytes: 256 };

    fn announced(round: u64, first_beat: u64) -> Announcement {
        Announcement {
            epoch: Epoch(1),
            round: Round(round),
            first_beat: Timestamp(first_beat),
            beats: BEATS,
        }
    }

    #[test]
    fn a_successor_takes_over_at_a_beat_that_both_announcements_fix() {
        let round = announced(1, 10_000);
        assert_eq!(round.beats_before(&announced(2, 310_000)), 75);
        // Off the grid, the beat that is about to begin belongs to the successor.
        assert_eq!(round.beats_before(&announced(2, 306_001)), 75);
        assert_eq!(round.beats_before(&announced(2, 9_000)), 0);
        assert_eq!(round.beats_before(&announced(9, 10_000_000)), 150);
        assert!(round.begins(74) < Timestamp(306_001) && round.begins(75) >= Timestamp(306_001));
    }

    #[test]
    fn beats_overlap_as_far_as_their_passage_lasts() {
        assert_eq!((BEATS.passage_ms(15), BEATS.in_flight(15)), (7500, 3));
        assert_eq!(BeatParameters::CLASSIC.in_flight(15), 0);
    }
}
