//! The beats of the demonstration, as one of the clients that talk sees them.

use antiphon_client::CoreEvent;
use antiphon_coordinator::CoordinatorConfig;
use serde::Serialize;

/// Beats of a round if none are asked for: rounds are half a minute apart.
pub(super) const PER_ROUND: u16 = 120;

/// Time from one beat to the next, and for each of its layers, in milliseconds. A layer that is complete goes on at
/// once: the time is for what comes late, where two cores do the work of all shards.
const BEAT_MS: u32 = 1000;
const LAYER_MS: u32 = 100;
/// Least time from a round's opening to its first beat, in milliseconds.
const FIRST_MS: u32 = 8000;

/// Beats that are told of together.
pub(super) const GROUP: usize = 10;

/// Settings with so many beats after each round; rounds are as far apart as a quarter of them take. They may take longer
/// than that on a machine with much else to do, and beats go on.
pub(super) fn with_beats(config: CoordinatorConfig, beats: u16) -> CoordinatorConfig {
    if beats == 0 {
        return config;
    }
    let interval_ms = u32::from(beats) * BEAT_MS / 4;
    CoordinatorConfig {
        interval_ms: interval_ms.max(config.interval_ms),
        beats,
        beat_ms: BEAT_MS,
        beat_layer_ms: LAYER_MS,
        first_beat_ms: FIRST_MS,
        ..config
    }
}

/// A beat that ended.
#[derive(Clone, Copy, Debug)]
struct Beat {
    cells: u64,
    lost: u64,
    /// Time from when its cells left until theirs were back, in milliseconds.
    latency_ms: Option<u64>,
}

/// Beats that ended, in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Beats(Vec<Beat>);

impl Beats {
    /// Takes note of a beat, if the event is the end of one. Returns the last of them where there are enough for a
    /// line.
    pub(super) fn take(&mut self, event: &CoreEvent) -> Option<Self> {
        let CoreEvent::BeatEnded { arrived, spoilt, after_ms, .. } = *event else { return None };
        let cells = u64::from(arrived) + u64::from(spoilt);
        self.0.push(Beat { cells, lost: spoilt.into(), latency_ms: after_ms });
        let is_line = self.0.len().is_multiple_of(GROUP);
        is_line.then(|| Self(self.0[self.0.len() - GROUP..].to_vec()))
    }

    pub(super) fn count(&self) -> usize {
        self.0.len()
    }

    pub(super) fn cells(&self) -> u64 {
        self.0.iter().map(|beat| beat.cells).sum()
    }

    pub(super) fn lost(&self) -> u64 {
        self.0.iter().map(|beat| beat.lost).sum()
    }

    pub(super) fn latency(&self) -> Latency {
        let mut all: Vec<_> = self.0.iter().filter_map(|beat| beat.latency_ms).collect();
        all.sort_unstable();
        let at = |hundredths: usize| all.get(all.len() * hundredths / 100).copied();
        Latency { p50: at(50), p99: at(99) }
    }
}

/// Account of the beats, for `--json`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BeatsReport {
    pub(super) per_round: u16,
    pub(super) interval_ms: u32,
    pub(super) count: usize,
    /// Cells of one client that talks.
    pub(super) cells: u64,
    /// Cells of them that did not come back as they had to.
    pub(super) lost: u64,
    pub(super) latency_ms: Latency,
}

/// Latency of beats, in milliseconds; nothing if none came back.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Latency {
    pub(super) p50: Option<u64>,
    pub(super) p99: Option<u64>,
}

impl BeatsReport {
    pub(super) fn new(per_round: u16, beats: &Beats) -> Self {
        Self {
            per_round,
            interval_ms: BEAT_MS,
            count: beats.count(),
            cells: beats.cells(),
            lost: beats.lost(),
            latency_ms: beats.latency(),
        }
    }
}
