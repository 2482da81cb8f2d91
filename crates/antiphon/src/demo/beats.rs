//! The beats of the demonstration, as one of the clients that talk sees them.

use antiphon_client::{CoreEvent, Event, Events};
use antiphon_coordinator::CoordinatorConfig;
use serde::Serialize;
use tokio::sync::watch;

/// Time from one beat to the next, and for each of its layers, in milliseconds: on loopback, with two cores for all.
const BEAT_MS: u32 = 1000;
const LAYER_MS: u32 = 30;
/// Time from a round's opening to its first beat, in milliseconds.
const FIRST_MS: u32 = 15_000;

/// Settings with so many beats after each round; rounds are as far apart as half of them take.
pub(super) fn with_beats(config: CoordinatorConfig, beats: u16) -> CoordinatorConfig {
    if beats == 0 {
        return config;
    }
    let interval_ms = u32::from(beats) * BEAT_MS / 2;
    CoordinatorConfig {
        interval_ms: interval_ms.max(config.interval_ms),
        beats,
        beat_ms: BEAT_MS,
        beat_layer_ms: LAYER_MS,
        first_beat_ms: FIRST_MS,
        ..config
    }
}

/// Beats that ended, and the time that each took from when its cells left until theirs were back.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    count: u64,
    cells: u64,
    lost: u64,
    latencies_ms: Vec<u64>,
}

/// Keeps the account of a client's beats, for as long as it goes on.
pub(super) async fn follow(mut events: Events, seen: &watch::Sender<Seen>) {
    while let Some(event) = events.next().await {
        let Event::Core(CoreEvent::BeatEnded { arrived, spoilt, after_ms, .. }) = event else {
            continue;
        };
        seen.send_modify(|seen| {
            seen.count += 1;
            seen.cells += u64::from(arrived + spoilt);
            seen.lost += u64::from(spoilt);
            seen.latencies_ms.extend(after_ms);
        });
    }
}

/// Account of the beats, for `--json`.
#[derive(Clone, Debug, Serialize)]
pub(super) struct BeatsReport {
    pub(super) per_round: u16,
    pub(super) interval_ms: u32,
    pub(super) count: u64,
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
    pub(super) fn new(per_round: u16, mut seen: Seen) -> Self {
        seen.latencies_ms.sort_unstable();
        let all = &seen.latencies_ms;
        let at = |hundredths: usize| all.get(all.len() * hundredths / 100).copied();
        let latency_ms = Latency { p50: at(50), p99: at(99) };
        let Seen { count, cells, lost, .. } = seen;
        Self { per_round, interval_ms: BEAT_MS, count, cells, lost, latency_ms }
    }

    /// The line of the demonstration's end.
    pub(super) fn line(&self) -> String {
        let Self { count, cells, lost, latency_ms, .. } = self;
        let median = latency_ms
            .p50
            .map_or_else(String::new, |ms| format!("; median latency {:.2} s", ms as f64 / 1000.0));
        format!("{count} beats: {lost} of {cells} cells of a client that talks were lost{median}\n")
    }
}
