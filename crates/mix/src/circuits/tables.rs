//! The tables of one round at one shard.

use std::sync::Arc;

use antiphon_onion::CircuitKey;
use antiphon_wire::{Layer, ShardIndex};

use crate::erased::Erased;
use crate::layer::routes::{Routes, Slot};

/// The circuits that pass one of the layers 1 to L-1, or leave a gateway.
#[derive(Debug)]
pub(crate) struct LayerTable {
    /// The first in-slot of each sender, and one more at the end.
    starts: Vec<Slot>,
    /// In-slots in the order of out-slots. A refused onion has an in-slot, and is none of them.
    routes: Routes,
    /// The key of each circuit, in the order of out-slots; none at a gateway.
    keys: Vec<CircuitKey>,
}

/// The circuits that end at layer L.
#[derive(Debug)]
pub(crate) struct LastTable {
    /// The first in-slot of each sender, and one more at the end.
    starts: Vec<Slot>,
    /// The in-slot of each circuit.
    slots: Erased<Slot>,
    /// The key of each circuit.
    keys: Vec<CircuitKey>,
    /// The circuit whose cells each circuit gets: that with which it was swapped, or itself.
    partners: Erased<u32>,
}

/// The tables of all layers.
#[derive(Clone, Debug)]
pub(crate) struct Tables {
    /// The gateway's and those of layers 1 to L-1.
    pub(super) passed: Vec<Arc<LayerTable>>,
    pub(super) last: Arc<LastTable>,
}

impl LayerTable {
    /// A table of `routes`. `keys` are those of in-slots, and are used up; there are none at a gateway.
    pub(crate) fn new(starts: Vec<Slot>, routes: Routes, mut keys: Vec<CircuitKey>) -> Self {
        let keys = if keys.is_empty() {
            keys
        } else {
            let key = |slot: &Slot| std::mem::take(&mut keys[*slot as usize]);
            routes.slots().iter().map(key).collect()
        };
        Self { starts, routes, keys }
    }

    /// The first in-slot of each sender, and one more at the end.
    pub(crate) fn starts(&self) -> &[Slot] {
        &self.starts
    }

    /// The first out-slot for each receiver, and one more at the end.
    pub(crate) fn receivers(&self) -> &[u32] {
        self.routes.starts()
    }

    /// The in-slots, in the order of out-slots.
    pub(crate) fn slots(&self) -> &[Slot] {
        self.routes.slots()
    }

    /// The keys, in the order of out-slots; none at a gateway.
    pub(crate) fn keys(&self) -> &[CircuitKey] {
        &self.keys
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.starts[..])
            + size_of_val(self.receivers())
            + size_of_val(self.slots())
            + size_of_val(self.keys())
    }
}

impl LastTable {
    /// A table of circuits with these in-slots. `keys` are those of all in-slots, and are used up.
    pub(crate) fn new(
        starts: Vec<Slot>,
        slots: Erased<Slot>,
        mut keys: Vec<CircuitKey>,
        partners: Erased<u32>,
    ) -> Self {
        debug_assert_eq!(slots.len(), partners.len(), "each circuit gets one circuit's cells");
        let key = |slot: &Slot| std::mem::take(&mut keys[*slot as usize]);
        let keys = slots.iter().map(key).collect();
        Self { starts, slots, keys, partners }
    }

    /// The first in-slot of each sender, and one more at the end.
    pub(crate) fn starts(&self) -> &[Slot] {
        &self.starts
    }

    /// The in-slots of circuits.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The keys of circuits.
    pub(crate) fn keys(&self) -> &[CircuitKey] {
        &self.keys
    }

    /// The circuit whose cells each circuit gets.
    pub(crate) fn partners(&self) -> &[u32] {
        &self.partners
    }

    fn bytes(&self) -> usize {
        size_of_val(&self.starts[..])
            + size_of_val(self.slots())
            + size_of_val(self.keys())
            + size_of_val(self.partners())
    }
}

impl Tables {
    /// L.
    pub(crate) fn layers(&self) -> u8 {
        self.passed.len() as u8
    }

    /// The table of a layer below L; layer 0 is the gateway.
    pub(crate) fn below_last(&self, layer: Layer) -> &Arc<LayerTable> {
        &self.passed[usize::from(layer.0)]
    }

    /// The table of layer L.
    pub(crate) fn last(&self) -> &Arc<LastTable> {
        &self.last
    }

    /// Memory of all tables.
    pub(crate) fn bytes(&self) -> usize {
        self.passed.iter().map(|table| table.bytes()).sum::<usize>() + self.last.bytes()
    }
}

/// The members of a group, with its receiver or sender: groups begin at `starts`, and one more is the end.
pub(crate) fn groups(starts: &[u32]) -> impl Iterator<Item = (ShardIndex, std::ops::Range<usize>)> {
    let ends = starts.iter().skip(1);
    let ranges = starts.iter().zip(ends).map(|(start, end)| *start as usize..*end as usize);
    (0..).map(ShardIndex).zip(ranges).filter(|(_, range)| !range.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_circuit_takes_no_more_than_forty_eight_bytes_a_hop() {
        let passing = size_of::<CircuitKey>() + size_of::<Slot>();
        let last = size_of::<CircuitKey>() + size_of::<Slot>() + size_of::<u32>();
        assert_eq!((passing, last), (36, 40));
    }
}
