//! An ideal tweakable cipher on whole cells, drawn as it is asked.

use std::collections::HashMap;

use rand::{CryptoRng, RngExt as _};

use super::view::Direction;

/// Bytes of a cell. Fewer than a network's: no two random ones are equal by chance all the same.
pub const CELL_BYTES: usize = 16;

/// What one circuit carries in one beat.
pub type Cell = [u8; CELL_BYTES];

/// What tells one use of a circuit key from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Tweak {
    pub(super) beat: u32,
    pub(super) layer: usize,
    pub(super) direction: Direction,
}

/// A key: the circuit's number and the hop that it is bound to.
pub(super) type Key = (usize, usize);

/// A permutation for each key and tweak, or a stream that cells are added to.
#[derive(Debug, Default)]
pub(super) struct Cipher {
    stream: bool,
    forth: HashMap<(Key, Tweak, Cell), Cell>,
    back: HashMap<(Key, Tweak, Cell), Cell>,
    streams: HashMap<(Key, Tweak), Cell>,
}

pub(super) fn random_cell(rng: &mut impl CryptoRng) -> Cell {
    rng.random()
}

pub(super) fn sum(one: &Cell, other: &Cell) -> Cell {
    std::array::from_fn(|i| one[i] ^ other[i])
}

impl Cipher {
    /// A permutation, or a stream.
    pub(super) fn new(stream: bool) -> Self {
        Self { stream, ..Self::default() }
    }

    pub(super) fn encipher(
        &mut self,
        (key, tweak): (Key, Tweak),
        cell: &Cell,
        rng: &mut impl CryptoRng,
    ) -> Cell {
        if self.stream {
            return sum(cell, self.streams.entry((key, tweak)).or_insert_with(|| random_cell(rng)));
        }
        let image = *self.forth.entry((key, tweak, *cell)).or_insert_with(|| random_cell(rng));
        self.back.insert((key, tweak, image), *cell);
        image
    }

    pub(super) fn decipher(
        &mut self,
        (key, tweak): (Key, Tweak),
        cell: &Cell,
        rng: &mut impl CryptoRng,
    ) -> Cell {
        if self.stream {
            return self.encipher((key, tweak), cell, rng);
        }
        let origin = *self.back.entry((key, tweak, *cell)).or_insert_with(|| random_cell(rng));
        self.forth.insert((key, tweak, origin), *cell);
        origin
    }
}
