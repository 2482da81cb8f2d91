//! The way of one cell of a canary, from its maker to layer L and back to its maker.

use std::collections::BTreeSet;

use antiphon_onion::{BeatContext, CellBytes, CircuitKeys, backward_cells, forward_cells};
use antiphon_wire::{Announcement, Direction, Epoch, Layer, Round, ShardIndex};

use crate::leg::{Leg, Print};
use crate::opening::{OpenCircuit, Opening};

/// A round's shape, as all of its shards know it.
#[derive(Clone, Copy, Debug)]
pub struct Facts {
    /// The epoch of the round.
    pub epoch: Epoch,
    /// The round whose circuits carry the cells.
    pub round: Round,
    /// L, the layers of the round.
    pub layers: u8,
    /// Shards of the epoch.
    pub shards: usize,
    /// The size of cells.
    pub cell: CellBytes,
}

/// One leg of the way, and the cell that has to be on it.
pub(crate) struct Step {
    pub(crate) leg: Leg,
    pub(crate) print: Print,
    /// Those of whom at least one broke a rule if the cell is not on this leg, and all was well before.
    pub(crate) answerable: BTreeSet<ShardIndex>,
}

impl Facts {
    /// The shape of a round that was announced like this, through `layers` layers of so many shards. `None` if no beats
    /// follow it.
    pub fn of(announcement: &Announcement, layers: u8, shards: usize) -> Option<Self> {
        let Announcement { epoch, round, beats, .. } = *announcement;
        let cell = CellBytes::new(beats.cell_bytes).ok().filter(|_| !beats.is_classic())?;
        Some(Self { epoch, round, layers, shards, cell })
    }

    pub(crate) fn context(&self, beat: u64) -> BeatContext {
        BeatContext { epoch: self.epoch, round: self.round, beat, cell: self.cell }
    }
}

/// The steps of the cell that goes out over `out` and comes home over `home`, which has met it at layer L. The opening
/// fits the round.
///
/// A hop answers for what it sends, together with those on whose word its circuit rests: the maker, who may have opened
/// another circuit than it set up; its predecessor, which may have let a copy of the onion run before it, so that the
/// hop refused the one that is shown; and on the way back also its successor, which may have put the cell in another slot.
pub(crate) fn steps(
    facts: &Facts,
    opening: &Opening,
    out: &OpenCircuit,
    home: &OpenCircuit,
) -> Vec<Step> {
    let context = facts.context(opening.beat);
    let (maker, layers) = (opening.maker, facts.layers);
    // The hop at a layer; at layer 0 the gateway, which is the maker.
    let hop = |circuit: &OpenCircuit, layer: u8| {
        layer.checked_sub(1).map_or(maker, |at| circuit.hops[usize::from(at)])
    };
    let key = |circuit: &OpenCircuit, layer: u8| [circuit.keys[usize::from(layer - 1)].clone()];
    let step = |layer, direction, (sender, receiver), cell: &[u8], others: &[ShardIndex]| Step {
        leg: Leg { layer: Layer(layer), direction, sender, receiver },
        print: Print::of(cell),
        answerable: [maker, sender].iter().chain(others).copied().collect(),
    };

    let mut steps = Vec::with_capacity(2 * usize::from(layers));
    let mut cell = out.content.0.clone();
    CircuitKeys::of_circuits(layers.into(), out.keys.clone()).wrap(context, &mut cell);
    for layer in 1..=layers {
        let ends = (hop(out, layer - 1), hop(out, layer));
        let before = layer.checked_sub(2).map(|before| hop(out, before));
        steps.push(step(layer, Direction::Forward, ends, &cell, before.as_slice()));
        forward_cells(&key(out, layer), context, Layer(layer), &mut cell);
    }
    for layer in (1..=layers).rev() {
        backward_cells(&key(home, layer), context, Layer(layer), &mut cell);
        let ends = (hop(home, layer), hop(home, layer - 1));
        // At layer L the cell came over the other circuit.
        let came_from = if layer == layers { hop(out, layer - 1) } else { hop(home, layer + 1) };
        steps.push(step(layer, Direction::Reply, ends, &cell, &[ends.1, came_from]));
    }
    steps
}
