//! Figures of the beats that followed the measured rounds.

use antiphon_wire::BeatParameters;
use serde::Serialize;

use crate::latency::{Latencies, Percentiles};

/// Everything that a run found about beats: of those in which cells left from when the last round before the measured
/// ones was over until the round after them opened.
#[derive(Clone, Debug, Serialize)]
pub struct BeatsReport {
    /// Beats that a round has at most; its successor takes over sooner.
    pub per_round: u16,
    /// Time from one beat to the next.
    pub interval_ms: u32,
    /// Time after which each layer of a beat closes.
    pub layer_ms: u32,
    /// Bytes of a cell.
    pub cell_bytes: u16,
    /// Beats in which cells left.
    pub count: u64,
    /// Clients' cells of which it can be told whether they came back as they had to: where two talk, those that both
    /// had sent.
    pub cells: u64,
    /// Those of them that did not.
    pub lost_cells: u64,
    /// Over all clients and beats: from when all clients' cells leave until a client's own are back.
    pub latency_ms: Option<Percentiles>,
    /// Times that shards went over a cell with the cipher; from outside, as the numbers of cells and noise say.
    pub cell_operations: u64,
    /// Cells that did not come in time to a shard, which sent random ones on, if the shards are in this process.
    pub filled_cells: Option<u64>,
    /// Batches that did not come whole in time from one shard to another, if the shards are in this process.
    pub late_batches: Option<u64>,
    /// Processor time of the network's threads for beats: what their work took, and of links what they took in beats
    /// during which no round ran. Unknown if there was no such beat.
    pub server_cpu_s: Option<f64>,
    /// The network's processor time for a client's cell, there and back, noise included.
    pub server_us_per_cell: Option<f64>,
    /// The network's processor time for a client's onion and its reply in the same run, noise included.
    pub server_us_per_onion: Option<f64>,
    /// How many times as much the second is as the first.
    pub onion_to_cell: Option<f64>,
    /// The distribution behind `latency_ms`.
    #[serde(skip)]
    pub latencies: Latencies,
}

/// The network's processor time for one beat, and for all that was no beat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct ServerCpu {
    pub(crate) beat_s: f64,
    pub(crate) rounds_s: f64,
}

impl BeatsReport {
    /// A report without any figures yet.
    pub(crate) fn new(beats: &BeatParameters, latencies: Latencies) -> Self {
        Self {
            per_round: beats.beats,
            interval_ms: beats.beat_ms,
            layer_ms: beats.layer_ms,
            cell_bytes: beats.cell_bytes,
            count: 0,
            cells: 0,
            lost_cells: 0,
            latency_ms: latencies.percentiles(),
            cell_operations: 0,
            filled_cells: None,
            late_batches: None,
            server_cpu_s: None,
            server_us_per_cell: None,
            server_us_per_onion: None,
            onion_to_cell: None,
            latencies,
        }
    }

    /// Adds the network's processor time, for so many of clients' cells in all beats and onions in all rounds.
    pub(crate) fn charge(&mut self, cpu: ServerCpu, cells: u64, onions: u64) {
        let beats_s = cpu.beat_s * self.count as f64;
        self.server_cpu_s = Some(beats_s);
        let us = |seconds: f64, of: u64| (of > 0).then(|| seconds * 1e6 / of as f64);
        self.server_us_per_cell = us(beats_s, cells);
        self.server_us_per_onion = us(cpu.rounds_s, onions);
        let both = self.server_us_per_cell.zip(self.server_us_per_onion);
        self.onion_to_cell = both.filter(|(cell, _)| *cell > 0.0).map(|(cell, onion)| onion / cell);
    }
}

/// Made-up beats with everything in them.
#[cfg(test)]
pub(super) fn sample() -> BeatsReport {
    let parameters = BeatParameters { beats: 150, beat_ms: 4000, layer_ms: 250, cell_bytes: 256 };
    let mut latencies = Latencies::default();
    (0..10_000_u64).for_each(|client| latencies.record_us(300_000 + 11 * client));
    let mut report = BeatsReport::new(&parameters, latencies);
    (report.count, report.cells, report.lost_cells) = (700, 14_000_000, 12);
    report.cell_operations = 700 * 28_080 * 30;
    (report.filled_cells, report.late_batches) = (Some(12), Some(0));
    report.charge(ServerCpu { beat_s: 0.5, rounds_s: 96.0 }, 14_000_000, 240_000);
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_costs_its_share_of_the_beats_and_an_onion_that_of_the_rest() {
        let report = sample();
        assert_eq!(report.server_cpu_s, Some(350.0));
        assert_eq!(
            (report.server_us_per_cell, report.server_us_per_onion),
            (Some(25.0), Some(400.0))
        );
        assert_eq!(report.onion_to_cell, Some(16.0));
        let mut idle = BeatsReport::new(&BeatParameters::CLASSIC, Latencies::default());
        idle.charge(ServerCpu { beat_s: 0.5, rounds_s: 1.0 }, 0, 0);
        assert_eq!((idle.latency_ms, idle.onion_to_cell), (None, None));
    }
}
