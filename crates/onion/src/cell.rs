//! Cells: what a circuit carries in one beat.
//!
//! A round leaves behind, at each hop of an onion, a key that only the onion's maker shares. In each of the
//! round's beats a cell follows the onion: every hop deciphers it on the way there and enciphers it on the way
//! back. The cipher is HCTR2, a permutation of the whole cell under a tweak: what a hop puts out is uniform
//! for everybody else, one flipped bit makes all of a cell random, and a beat that is processed twice by
//! mistake gives the same bytes, where a stream would link two cells.

use antiphon_wire::{Epoch, Layer, Round};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::Kernel;
use crate::suite::{self, KEY_BYTES, TWEAK_BYTES, Way};

/// Cells that the cipher is given in one call: enough that what it prepares and erases costs little each.
const AT_ONCE: usize = 32;

/// The key that a hop of one circuit keeps for the round's beats, 32 bytes. Round keys are expanded anew
/// for each cell: that costs less than loading them would, and state stays small.
#[derive(Clone, Default, Zeroize, ZeroizeOnDrop)]
pub struct CircuitKey([u8; KEY_BYTES]);

impl CircuitKey {
    /// The key of these bytes, from where [`CircuitKey::as_bytes`] put them.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The key, 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl std::fmt::Debug for CircuitKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("CircuitKey(..)")
    }
}

/// Bytes of a cell, the same at every hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellBytes(u16);

/// A number of bytes that no cell has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cells of {0} bytes: they have at least 64 and at most 16384, in multiples of 16")]
pub struct CellBytesError(pub u16);

impl CellBytes {
    /// Cells of 256 bytes.
    pub const DEFAULT: Self = Self(256);

    /// Cells of this many bytes.
    ///
    /// # Errors
    /// If it is not a multiple of 16 in 64..=16384, the bounds of bodies.
    pub const fn new(bytes: u16) -> Result<Self, CellBytesError> {
        if bytes < 64 || bytes > 16384 || !bytes.is_multiple_of(16) {
            return Err(CellBytesError(bytes));
        }
        Ok(Self(bytes))
    }

    /// The number of bytes.
    pub const fn bytes(self) -> usize {
        self.0 as usize
    }
}

/// The beat that cells belong to. All of it goes into the tweak, so that a key takes each cell elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BeatContext {
    /// The epoch of the round that set the circuits up.
    pub epoch: Epoch,
    /// The round that set the circuits up.
    pub round: Round,
    /// The beat's number among those of its round.
    pub beat: u64,
    /// The size of the round's cells.
    pub cell: CellBytes,
}

/// The two directions of a beat.
#[derive(Clone, Copy)]
enum Direction {
    /// Towards layer L.
    Forward = 0,
    /// Back to the client.
    Backward = 1,
}

impl BeatContext {
    /// Epoch 8, round 8, beat 8, big-endian; layer 1, direction 1; zeros 6.
    fn tweak(&self, layer: Layer, direction: Direction) -> [u8; TWEAK_BYTES] {
        let mut tweak = [0; TWEAK_BYTES];
        tweak[..8].copy_from_slice(&self.epoch.0.to_be_bytes());
        tweak[8..16].copy_from_slice(&self.round.0.to_be_bytes());
        tweak[16..24].copy_from_slice(&self.beat.to_be_bytes());
        tweak[24] = layer.0;
        tweak[25] = direction as u8;
        tweak
    }
}

/// A hop's part on the way there: takes its layer off cells that lie behind each other, one a key.
///
/// Call it once for each beat, layer and direction. A multiple of 16 cells wastes least.
///
/// # Panics
/// If there is not exactly one cell per key.
pub fn forward_cells(keys: &[CircuitKey], context: BeatContext, layer: Layer, cells: &mut [u8]) {
    let tweak = context.tweak(layer, Direction::Forward);
    permute(keys.iter(), Way::Decipher, &tweak, context.cell, cells);
}

/// A hop's part on the way back: adds its layer to cells that lie behind each other, one a key.
///
/// # Panics
/// If there is not exactly one cell per key.
pub fn backward_cells(keys: &[CircuitKey], context: BeatContext, layer: Layer, cells: &mut [u8]) {
    let tweak = context.tweak(layer, Direction::Backward);
    permute(keys.iter(), Way::Encipher, &tweak, context.cell, cells);
}

fn permute<'a>(
    mut keys: impl ExactSizeIterator<Item = &'a CircuitKey>,
    way: Way,
    tweak: &[u8; TWEAK_BYTES],
    cell: CellBytes,
    cells: &mut [u8],
) {
    assert_eq!(keys.len() * cell.bytes(), cells.len(), "one cell per key");
    let kernel = Kernel::selected();
    for cells in cells.chunks_mut(AT_ONCE * cell.bytes()) {
        let mut own = [&[0; KEY_BYTES]; AT_ONCE];
        let mut texts: [&mut [u8]; AT_ONCE] = Default::default();
        let mut count = 0;
        for (cell, key) in cells.chunks_exact_mut(cell.bytes()).zip(&mut keys) {
            (own[count], texts[count]) = (key.as_bytes(), cell);
            count += 1;
        }
        suite::permute(kernel, way, &own[..count], tweak, &mut texts[..count]);
    }
}

/// The circuit keys of a batch of built onions: L for each, onion by onion.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct CircuitKeys {
    #[zeroize(skip)]
    layers: usize,
    keys: Vec<CircuitKey>,
}

impl CircuitKeys {
    pub(crate) fn empty(layers: usize, onions: usize) -> Self {
        Self { layers, keys: vec![CircuitKey::default(); layers * onions] }
    }

    /// The keys of circuits of `layers` layers, circuit by circuit, from where they were kept.
    ///
    /// # Panics
    /// If they do not make up whole circuits.
    pub fn of_circuits(layers: usize, keys: Vec<CircuitKey>) -> Self {
        assert!(keys.len().is_multiple_of(layers), "L keys a circuit");
        Self { layers, keys }
    }

    /// Number of circuits.
    pub fn len(&self) -> usize {
        self.keys.len().checked_div(self.layers).unwrap_or(0)
    }

    /// Returns `true` if there are no circuits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The keys of circuit `circuit`, for layers 1 to L.
    ///
    /// # Panics
    /// If there are not that many circuits.
    pub fn of(&self, circuit: usize) -> &[CircuitKey] {
        &self.keys[circuit * self.layers..][..self.layers]
    }

    /// Wraps all L layers around the cells that the circuits carry in a beat, one each, behind each other.
    ///
    /// # Panics
    /// If there is not exactly one cell per circuit.
    pub fn wrap(&self, context: BeatContext, cells: &mut [u8]) {
        for layer in (0..self.layers).rev() {
            let tweak = context.tweak(Layer(layer as u8 + 1), Direction::Forward);
            permute(self.of_layer(layer), Way::Encipher, &tweak, context.cell, cells);
        }
    }

    /// Removes all L layers from the cells that came back, one for each circuit, behind each other.
    ///
    /// # Panics
    /// If there is not exactly one cell per circuit.
    pub fn unwrap(&self, context: BeatContext, cells: &mut [u8]) {
        for layer in 0..self.layers {
            let tweak = context.tweak(Layer(layer as u8 + 1), Direction::Backward);
            permute(self.of_layer(layer), Way::Decipher, &tweak, context.cell, cells);
        }
    }

    /// The keys of all circuits at a layer, from 0.
    fn of_layer(&self, layer: usize) -> impl ExactSizeIterator<Item = &CircuitKey> {
        self.keys.iter().skip(layer).step_by(self.layers)
    }

    pub(crate) fn at(&mut self, circuit: usize, layer: usize) -> &mut CircuitKey {
        &mut self.keys[circuit * self.layers + layer]
    }
}

impl std::fmt::Debug for CircuitKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CircuitKeys").field("circuits", &self.len()).finish_non_exhaustive()
    }
}
