//! When a client's cells are made, and when they leave.

use antiphon_wire::{Announcement, BeatParameters, Timestamp};

/// The longest time before they leave at which cells are made, in milliseconds, so that the time it takes to
/// make and save them does not show.
const MADE_AHEAD_MS: u64 = 250;

/// A beat of a round, and the moment at which every client's cells of it leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Departure {
    /// Number of the beat.
    pub beat: u64,
    /// The moment, by the gateway's clock.
    pub at: Timestamp,
}

/// The first departure after `moment`. The schedule goes on behind the round's last beat.
///
/// Cells leave a layer's time before their beat begins, as what a link between shards may take, a client's may take as
/// well; but no more than half a beat, since gateways take cells from one beat ahead on.
pub fn departure_after(announced: &Announcement, moment: Timestamp) -> Departure {
    let first = departure_of(announced, 0).at;
    let beat = match moment < first {
        true => 0,
        false => moment.ms_since(first) / beat_ms(announced) + 1,
    };
    departure_of(announced, beat)
}

/// The departure of the cells of beat `beat`.
pub fn departure_of(announced: &Announcement, beat: u64) -> Departure {
    let lead_ms = u64::from(announced.beats.layer_ms).min(beat_ms(announced) / 2);
    let first = Timestamp(announced.first_beat.0.saturating_sub(lead_ms));
    Departure { beat, at: first.plus_ms(beat.saturating_mul(beat_ms(announced))) }
}

fn beat_ms(announced: &Announcement) -> u64 {
    announced.beats.beat_ms.max(1).into()
}

/// Time at which the cells that leave at `at` are made.
pub(crate) fn made_at(beats: &BeatParameters, at: Timestamp) -> Timestamp {
    let ahead_ms = MADE_AHEAD_MS.min(u64::from(beats.beat_ms) / 2);
    Timestamp(at.0.saturating_sub(ahead_ms))
}

/// Time after which nothing is expected to come back of a beat through `layers` layers: four beats later than
/// it should.
pub fn due_at(announced: &Announcement, beat: u64, layers: u8) -> Timestamp {
    let late_ms = 4 * u64::from(announced.beats.beat_ms);
    announced.begins(beat).plus_ms(announced.beats.passage_ms(layers) + late_ms)
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Epoch, Round};

    use super::*;

    fn announced(first_beat: u64) -> Announcement {
        let beats = BeatParameters { beats: 3, beat_ms: 400, layer_ms: 50, cell_bytes: 256 };
        Announcement { epoch: Epoch(1), round: Round(9), first_beat: Timestamp(first_beat), beats }
    }

    #[test]
    fn cells_leave_at_one_point_of_every_beat_also_behind_the_last() {
        let announced = announced(1000);
        let departure = |beat, at| Departure { beat, at: Timestamp(at) };
        for (moment, expected) in [
            (0, departure(0, 950)),
            (949, departure(0, 950)),
            (950, departure(1, 1350)),
            (1349, departure(1, 1350)),
            (2160, departure(4, 2550)),
        ] {
            assert_eq!(departure_after(&announced, Timestamp(moment)), expected, "{moment}");
        }
        assert_eq!(made_at(&announced.beats, Timestamp(950)), Timestamp(750));
        let mut slow = announced;
        slow.beats.layer_ms = 5000;
        assert_eq!(departure_of(&slow, 0), departure(0, 800), "gateways take no cells long before");
    }

    #[test]
    fn the_largest_numbers_can_be_counted_with() {
        let mut announced = announced(u64::MAX);
        let _ = departure_after(&announced, Timestamp(u64::MAX));
        let _ = due_at(&announced, u64::MAX, u8::MAX);
        announced.first_beat = Timestamp(0);
        announced.beats.beat_ms = 0;
        assert!(departure_after(&announced, Timestamp(7)).beat > 7);
        announced.beats.beat_ms = u32::MAX;
        announced.beats.layer_ms = u32::MAX;
        let _ = due_at(&announced, u64::MAX, u8::MAX);
        assert_eq!(departure_after(&announced, Timestamp(u64::MAX)).at, Timestamp(u64::MAX));
    }
}
