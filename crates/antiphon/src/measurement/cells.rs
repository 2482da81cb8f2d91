//! Cost of a cell at a hop: moved to its place, and the cipher taken off.

use antiphon_onion::{BeatContext, CellBytes, CircuitKey, forward_cells};
use antiphon_process::entropy::entropy;
use antiphon_wire::{Epoch, Layer, Round};
use rand::Rng as _;
use rand::seq::SliceRandom as _;

use super::onions::micros;
use super::stopwatch::Stopwatch;

/// Cells of a stop: with their keys more than the nearest caches hold.
const CELLS: usize = 32 << 10;
/// Bytes of a cell, as the coordinator proposes.
const BYTES: u16 = 256;

/// Microseconds of processor time for each cell of a large stop, each under a key of its own.
pub(super) fn cell_us(stopwatch: &Stopwatch) -> f64 {
    let rng = &mut entropy();
    // Within the bounds of cells.
    let cell = CellBytes::new(BYTES).expect("256 bytes");
    let context = BeatContext { epoch: Epoch(1), round: Round(1), beat: 1, cell };
    let keys: Vec<_> = (0..CELLS)
        .map(|_| {
            let mut key = [0; 32];
            rng.fill_bytes(&mut key);
            CircuitKey::from_bytes(key)
        })
        .collect();
    let mut cells = vec![0; CELLS * cell.bytes()];
    rng.fill_bytes(&mut cells);
    let mut places: Vec<u32> = (0..CELLS as u32).collect();
    places.shuffle(rng);
    let mut moved = Vec::with_capacity(cells.len());
    let seconds = stopwatch.seconds(|| {
        moved.clear();
        for &place in &places {
            moved.extend_from_slice(&cells[place as usize * cell.bytes()..][..cell.bytes()]);
        }
        forward_cells(&keys, context, Layer::FIRST, &mut moved);
        moved.len()
    });
    micros(seconds, CELLS)
}
