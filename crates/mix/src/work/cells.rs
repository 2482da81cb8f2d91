//! A shard's part of a beat at one stop: ciphers taken off or put on, and cells moved.

use std::ops::Range;
use std::sync::Arc;

use antiphon_canaries::Print;
use antiphon_onion::{BeatContext, ErasingRng, backward_cells, forward_cells};
use antiphon_wire::{Layer, ShardIndex};
use bytes::Bytes;
use rand::Rng as _;

use crate::beats::Stop;
use crate::buffers::{Buffer, BufferPool};
use crate::circuits::{LastTable, LayerTable, groups};

/// Cells that came in at one stop of a beat, and what is done with them.
#[derive(Debug)]
pub(crate) struct CellJob {
    pub(crate) context: BeatContext,
    pub(crate) stop: Stop,
    pub(crate) task: Task,
    pub(crate) cells: Buffer,
    /// Places of cells that did not come: filled at random, once.
    pub(crate) missing: Vec<Range<usize>>,
    /// Whether somebody watches over the cells.
    pub(crate) is_watched: bool,
    pub(crate) rng: ErasingRng,
    pub(crate) pool: BufferPool,
}

/// What becomes of cells.
#[derive(Debug)]
pub(crate) enum Task {
    /// They go on to the next layer; layer 0 is the gateway, which has no keys.
    There(Layer, Arc<LayerTable>),
    /// They are swapped at layer L, which this is.
    Exchange(Layer, Arc<LastTable>),
    /// They go back to the layer before; at layer 0 they are home.
    Back(Layer, Arc<LayerTable>),
}

/// Cells that have been moved.
#[derive(Debug)]
pub(crate) struct MovedCells {
    pub(crate) context: BeatContext,
    pub(crate) stop: Stop,
    /// For whom they are. At home: all, in the order of the gateway's onions, for shard 0.
    pub(crate) batches: Vec<(ShardIndex, Bytes)>,
    /// If somebody watches over the cells.
    pub(crate) prints: Option<Prints>,
    /// Times that the cipher went over a cell.
    pub(crate) ciphered: u64,
}

/// The first bytes of all cells at one stop, by the other shard.
#[derive(Debug, Default)]
pub(crate) struct Prints {
    /// Those that came, or `None` where they were filled in. At the gateway, where clients' come, nothing.
    pub(crate) came: Vec<(ShardIndex, Option<Vec<Print>>)>,
    /// Those that go. At home nothing.
    pub(crate) goes: Vec<(ShardIndex, Vec<Print>)>,
}

impl CellJob {
    pub(super) fn run(self) -> MovedCells {
        let came = self.is_watched.then(|| self.came());
        let (cell, is_home) = (self.context.cell.bytes(), self.task.is_home());
        let Self { context, stop, task, mut cells, missing, mut rng, pool, .. } = self;
        for place in missing {
            rng.fill_bytes(&mut cells[place]);
        }
        let mut mover = Mover { cell: context.cell.bytes(), rng, pool };
        let ciphered = task.ciphered();
        let batches = match task {
            Task::There(layer, table) => {
                let mut out = mover.gather(&cells, table.slots());
                if layer != Layer(0) {
                    forward_cells(table.keys(), context, layer, &mut out);
                }
                mover.cut(out, table.receivers())
            }
            Task::Exchange(layer, table) => {
                let mut met = mover.gather(&cells, table.slots());
                forward_cells(table.keys(), context, layer, &mut met);
                let mut swapped = mover.gather(&met, table.partners());
                backward_cells(table.keys(), context, layer, &mut swapped);
                let back = mover.scatter(&swapped, table.slots(), table.starts());
                mover.cut(back, table.starts())
            }
            Task::Back(layer, table) => {
                if layer != Layer(0) {
                    backward_cells(table.keys(), context, layer, &mut cells);
                }
                let back = mover.scatter(&cells, table.slots(), table.starts());
                mover.cut(back, table.starts())
            }
        };
        let prints = came.map(|came| {
            let prints = |(to, bytes): &(ShardIndex, Bytes)| (*to, Print::of_all(bytes, cell));
            let goes = if is_home { Vec::new() } else { batches.iter().map(prints).collect() };
            Prints { came, goes }
        });
        MovedCells { context, stop, batches, prints, ciphered }
    }

    /// The prints of what came from each shard, before anything is filled in.
    fn came(&self) -> Vec<(ShardIndex, Option<Vec<Print>>)> {
        let cell = self.context.cell.bytes();
        let of = |(from, range): (ShardIndex, Range<usize>)| {
            let place = range.start * cell..range.end * cell;
            let came = !self.missing.contains(&place);
            (from, came.then(|| Print::of_all(&self.cells[place], cell)))
        };
        self.task.senders().map_or_else(Vec::new, |starts| groups(starts).map(of).collect())
    }
}

impl Task {
    /// The first cell of each shard that cells come from, and one more at the end; `None` at the gateway.
    fn senders(&self) -> Option<&[u32]> {
        match self {
            Self::There(Layer(0), _) => None,
            Self::There(_, table) => Some(table.starts()),
            Self::Exchange(_, table) => Some(table.starts()),
            Self::Back(_, table) => Some(table.receivers()),
        }
    }

    fn is_home(&self) -> bool {
        matches!(self, Self::Back(Layer(0), _))
    }

    /// Times that the cipher goes over a cell: at layer L on the way there and back.
    fn ciphered(&self) -> u64 {
        let keys = match self {
            Self::There(_, table) | Self::Back(_, table) => table.keys().len(),
            Self::Exchange(_, table) => 2 * table.keys().len(),
        };
        keys as u64
    }
}

/// Moves cells of one size.
struct Mover {
    cell: usize,
    rng: ErasingRng,
    pool: BufferPool,
}

impl Mover {
    /// The cells at `places`, in that order.
    fn gather(&self, cells: &[u8], places: &[u32]) -> Buffer {
        let mut out = self.pool.take(places.len() * self.cell);
        for &place in places {
            out.extend_from_slice(&cells[place as usize * self.cell..][..self.cell]);
        }
        out
    }

    /// Each cell in its place of `slots`. Where there is no circuit, random bytes: a missing reply would show.
    fn scatter(&mut self, cells: &[u8], slots: &[u32], starts: &[u32]) -> Buffer {
        let count = starts.last().copied().unwrap_or(0) as usize;
        let mut out = self.pool.take(count * self.cell);
        out.resize(count * self.cell, 0);
        let mut filled = vec![false; count];
        for (cell, &slot) in cells.chunks_exact(self.cell).zip(slots) {
            out[slot as usize * self.cell..][..self.cell].copy_from_slice(cell);
            debug_assert!(!filled[slot as usize], "each circuit has a slot of its own");
            filled[slot as usize] = true;
        }
        for (cell, _) in out.chunks_exact_mut(self.cell).zip(filled).filter(|(_, filled)| !filled) {
            self.rng.fill_bytes(cell);
        }
        out
    }

    /// A batch for each group that has members.
    fn cut(&self, cells: Buffer, starts: &[u32]) -> Vec<(ShardIndex, Bytes)> {
        let cells = cells.into_bytes();
        let bytes = |range: Range<usize>| range.start * self.cell..range.end * self.cell;
        groups(starts).map(|(shard, range)| (shard, cells.slice(bytes(range)))).collect()
    }
}
