//! What an adversary sees of beats, with the names of slots in place of honest bytes.

use std::collections::HashMap;

use super::cipher::{Cell, sum};
use super::tables::Slot;

/// On the way to layer L, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Direction {
    /// From clients to layer L.
    Forward,
    /// From layer L to clients.
    Backward,
}

/// Where a cell is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// The beat.
    pub beat: u32,
    /// The layer that the slot leads to on the way there; 0 is between client and gateway.
    pub layer: usize,
    /// There or back.
    pub direction: Direction,
    /// The link, and the place in its batch.
    pub slot: Slot,
}

/// A cell, named for where its bytes were first seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Name {
    /// These bytes were not seen before.
    New,
    /// The bytes of a cell that was first seen there.
    Seen(Place),
    /// The bytes of that cell and a mark of the adversary's.
    Marked(Place),
}

/// Something that the adversary sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A batch on a link, of so many cells.
    Batch {
        /// The link and the beat, with index 0.
        place: Place,
        /// Cells in it.
        cells: usize,
    },
    /// A cell that an honest sender puts on a link.
    Cell(Place, Name),
    /// What a malicious shard takes out of the cell in that slot, on the way to layer L.
    Taken(Place, Name),
    /// A client sends nothing in a beat.
    Absent(u32, usize),
    /// A client links anew, in the beat.
    Links(u32, usize),
    /// A client asks for an early round, in the beat.
    AsksEarly(u32, usize),
    /// A client that slept fetches, in the beat, so many cells.
    Fetched(u32, usize, usize),
    /// A client says if what arrived was whole: one of the adversary's, or with a flaw an honest partner.
    Told(u32, usize, bool),
    /// A shard asks that the lists of a beat be kept, in which a canary of its own was broken for the first time.
    Asked(u32, usize),
    /// Once the round is over, a circuit is opened of which a reply was not whole.
    Opened(Vec<Slot>),
}

/// All that an adversary sees, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// The events.
    pub events: Vec<Event>,
}

/// Gives cells their names.
#[derive(Debug, Default)]
pub(super) struct Names {
    first: HashMap<Cell, Place>,
    marks: Vec<Cell>,
}

impl Names {
    /// Bytes that the adversary adds to cells, and looks for.
    pub(super) fn mark(&mut self, mark: Cell) {
        if !self.marks.contains(&mark) {
            self.marks.push(mark);
        }
    }

    /// The name of a cell at a place, which is the first one of its bytes from now on.
    pub(super) fn of(&mut self, place: Place, cell: &Cell) -> Name {
        if let Some(first) = self.first.get(cell) {
            return Name::Seen(*first);
        }
        let marked = self.marks.iter().find_map(|mark| self.first.get(&sum(cell, mark)).copied());
        self.first.insert(*cell, place);
        marked.map_or(Name::New, Name::Marked)
    }
}
