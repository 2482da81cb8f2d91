//! Places that a beat passes at a shard, each at its time of the schedule.

use antiphon_wire::{Announcement, CellBatch, Direction, Layer, Timestamp};

/// A place that a beat passes at a shard, by its number in the schedule: 0 is the gateway, 1 to L the layers on
/// the way there, and 2L - l is layer l on the way back, down to the gateway again at 2L.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stop(u8);

/// A stop, by what happens there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Cells go on from the gateway (layer 0) or a layer below L, a step nearer to layer L.
    There(Layer),
    /// Layer L swaps cells.
    Exchange,
    /// Cells that came back go on from a layer below L, or are home at the gateway (layer 0).
    Back(Layer),
}

/// The stops of every beat of a round, and the time of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    announcement: Announcement,
    layers: u8,
}

impl Schedule {
    /// The schedule of a round's beats through `layers` layers, of which there are at most 100.
    pub(crate) fn new(announcement: Announcement, layers: u8) -> Self {
        Self { announcement, layers }
    }

    pub(crate) fn announcement(&self) -> &Announcement {
        &self.announcement
    }

    /// All stops, in order.
    pub(crate) fn stops(&self) -> impl Iterator<Item = Stop> + use<> {
        (0..=2 * self.layers).map(Stop)
    }

    pub(crate) fn kind(&self, stop: Stop) -> Kind {
        let layers = self.layers;
        match stop.0 {
            there if there < layers => Kind::There(Layer(there)),
            last if last == layers => Kind::Exchange,
            back => Kind::Back(Layer(2 * layers - back)),
        }
    }

    /// The time at which `stop` closes in a beat: what has not come is filled in, and cells go on.
    pub(crate) fn closes(&self, beat: u64, stop: Stop) -> Timestamp {
        let passed = u64::from(stop.0) * u64::from(self.announcement.beats.layer_ms);
        self.announcement.begins(beat).plus_ms(passed)
    }

    /// The time at which a beat is over.
    pub(crate) fn is_over(&self, beat: u64, now: Timestamp) -> bool {
        now >= self.closes(beat, Stop(2 * self.layers))
    }

    /// The stop that a batch is for; `None` if it names no layer of the round.
    pub(crate) fn stop_of(&self, batch: &CellBatch) -> Option<Stop> {
        let layer = batch.layer.0;
        if !(1..=self.layers).contains(&layer) {
            return None;
        }
        Some(match batch.direction {
            Direction::Forward => Stop(layer),
            Direction::Reply => Stop(2 * self.layers + 1 - layer),
        })
    }

    /// Layer and direction of the batches that leave `stop`; `None` where cells are home.
    pub(crate) fn leaves_as(&self, stop: Stop) -> Option<(Layer, Direction)> {
        match self.kind(stop) {
            Kind::There(layer) => Some((layer.next(), Direction::Forward)),
            Kind::Exchange => Some((Layer(self.layers), Direction::Reply)),
            Kind::Back(Layer(0)) => None,
            Kind::Back(layer) => Some((layer, Direction::Reply)),
        }
    }

    /// Layer and direction of the batches that come to `stop`; `None` at the gateway, where clients' cells come.
    pub(crate) fn comes_as(&self, stop: Stop) -> Option<(Layer, Direction)> {
        self.leaves_as(Stop(stop.0.checked_sub(1)?))
    }

    /// The stop after `stop`, where its cells go.
    pub(crate) fn after(&self, stop: Stop) -> Option<Stop> {
        (stop.0 < 2 * self.layers).then(|| Stop(stop.0 + 1))
    }
}

impl Stop {
    /// The first: clients' cells come in.
    pub(crate) const GATEWAY: Self = Self(0);

    pub(crate) fn position(self) -> usize {
        usize::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{BeatParameters, Epoch, Round};

    use super::*;

    #[test]
    fn a_batch_is_for_the_stop_after_the_one_that_it_leaves() {
        let announcement = Announcement {
            epoch: Epoch(1),
            round: Round(2),
            first_beat: Timestamp(1000),
            beats: BeatParameters { beats: 9, beat_ms: 400, layer_ms: 30, cell_bytes: 256 },
        };
        let schedule = Schedule::new(announcement, 3);
        let stops: Vec<_> = schedule.stops().collect();
        assert_eq!(stops.len(), 7);
        for stop in stops {
            let next = schedule.leaves_as(stop).and_then(|(layer, direction)| {
                let batch = CellBatch {
                    epoch: Epoch(1),
                    round: Round(2),
                    beat: 4,
                    layer,
                    direction,
                    count: 1,
                };
                schedule.stop_of(&batch)
            });
            assert_eq!(next, schedule.after(stop), "{stop:?}");
            if let Some(after) = schedule.after(stop) {
                assert_eq!(schedule.comes_as(after), schedule.leaves_as(stop), "{stop:?}");
            }
        }
        assert_eq!(schedule.closes(2, Stop::GATEWAY), Timestamp(1800));
        // Layer 1 on the way back: 2L - 1.
        assert_eq!(schedule.kind(Stop(5)), Kind::Back(Layer(1)));
        assert_eq!(schedule.closes(2, Stop(5)), Timestamp(1800 + 5 * 30));
        assert!(!schedule.is_over(2, Timestamp(1979)) && schedule.is_over(2, Timestamp(1980)));
    }
}
