//! The beats of a plan's network, in about half of all.

use antiphon_coordinator_core::CoordinatorConfig;

use super::super::draw::Draw;
use super::super::play::{Play, Span};
use crate::Setup;

/// The most shards of a network with beats: work grows with their square, and with every beat.
const MOST_SHARDS: usize = 4;

/// Draws whether beats follow rounds, and at what times. Networks with beats are small, and have rounds further apart:
/// what one takes to run is what a classic one takes.
pub(super) fn draw_beats(draw: &mut Draw, setup: &mut Setup) {
    if draw.chance(50) {
        return;
    }
    setup.shards = setup.shards.min(MOST_SHARDS);
    setup.operators = setup.operators.min(setup.shards);
    setup.policy.malicious_ppm = 0;
    let interval_ms = draw.between(4, 8) as u32 * 1000;
    let beat_ms = draw.between(3, 8) as u32 * 250;
    // Beats have to last for two intervals at least; those of a round that has no successor run out.
    let beats = (2 * interval_ms).div_ceil(beat_ms) + draw.between(0, 6) as u32;
    setup.coordinator = CoordinatorConfig {
        interval_ms,
        epoch_rounds: draw.between(4, 8) as u32,
        prepare_ahead_rounds: draw.between(2, 3) as u32,
        beats: beats as u16,
        beat_ms,
        // By the slowest links, cells come too late for some of these.
        beat_layer_ms: draw.between(50, 160) as u32,
        first_beat_ms: draw.between(2, 6) as u32 * 1000,
        ..setup.coordinator.clone()
    };
}

/// Draws what is done to cells, if there are any.
pub(super) fn plays(
    draw: &mut Draw,
    setup: &Setup,
    trouble_ms: u64,
    malicious: Option<usize>,
) -> Vec<Span> {
    if setup.coordinator.beats == 0 {
        return Vec::new();
    }
    let spans = (0..draw.below(4)).map(|_| {
        let from_ms = draw.between(0, trouble_ms);
        let until_ms = (from_ms + draw.between(2000, 30_000)).min(trouble_ms);
        let cell_bytes = usize::from(setup.coordinator.cell_bytes);
        let play = Play::of_cells(draw, setup.shards, malicious, cell_bytes);
        Span { from_ms, until_ms, play, seed: draw.seed() }
    });
    spans.collect()
}
