//! Batches of a beat between two shards, and what is kept of them.

use antiphon_wire::{
    Decode, DecodeError, Digest, Direction, Encode, Epoch, Layer, Reader, Round, ShardIndex,
};

/// Bytes of a cell that stand for it.
pub const PRINT_BYTES: usize = 8;

/// Bytes that the hash of a list begins with, so that it is no hash of anything else.
const LIST_CONTEXT: &[u8] = b"antiphon v1 list of prints\0";

/// The first bytes of a cell on a link. Cells are uniform there, and whoever changes other bytes of one changes all of
/// what the next hop makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Print(pub [u8; PRINT_BYTES]);

/// The batch that one shard sends another at one layer, in every beat of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    /// Forward: the layer that cells enter. Back: the layer that they leave.
    pub layer: Layer,
    /// Forward to layer L, or back.
    pub direction: Direction,
    /// The shard that sends; the gateway before layer 1.
    pub sender: ShardIndex,
    /// The shard that receives.
    pub receiver: ShardIndex,
}

/// The prints of one leg's cells in a beat, in the order of their slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// The epoch of the round.
    pub epoch: Epoch,
    /// The round whose circuits carried the cells.
    pub round: Round,
    /// The beat's number among those of its round.
    pub beat: u64,
    /// The batch whose cells these are.
    pub leg: Leg,
    /// A print for each cell.
    pub prints: Vec<Print>,
}

impl Print {
    /// The print of a cell.
    ///
    /// # Panics
    /// If there are fewer bytes than a print has.
    pub fn of(cell: &[u8]) -> Self {
        Self(*cell.first_chunk().expect("cells have 64 bytes and more"))
    }

    /// The prints of cells of `cell_bytes` bytes that stand behind each other, in their order.
    pub fn of_all(cells: &[u8], cell_bytes: usize) -> Vec<Self> {
        cells.chunks_exact(cell_bytes).map(Self::of).collect()
    }
}

impl Leg {
    /// Returns `true` if a round through `layers` layers with so many shards can have it.
    pub fn fits(&self, layers: u8, shards: usize) -> bool {
        let ends = [self.sender, self.receiver];
        (1..=layers).contains(&self.layer.0) && ends.iter().all(|end| end.position() < shards)
    }
}

impl List {
    /// The hash by which statements name it.
    pub fn digest(&self) -> Digest {
        let mut bytes = LIST_CONTEXT.to_vec();
        self.encode(&mut bytes);
        Digest::of(&bytes)
    }
}

impl Encode for Print {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Print {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.array().map(Self)
    }
}

impl Encode for Leg {
    fn encode(&self, out: &mut Vec<u8>) {
        self.layer.encode(out);
        self.direction.encode(out);
        self.sender.encode(out);
        self.receiver.encode(out);
    }
}

impl Decode for Leg {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            layer: Decode::decode(input)?,
            direction: Decode::decode(input)?,
            sender: Decode::decode(input)?,
            receiver: Decode::decode(input)?,
        })
    }
}

impl Encode for List {
    fn encode(&self, out: &mut Vec<u8>) {
        self.epoch.encode(out);
        self.round.encode(out);
        self.beat.encode(out);
        self.leg.encode(out);
        self.prints.encode(out);
    }
}

impl Decode for List {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: Decode::decode(input)?,
            round: Decode::decode(input)?,
            beat: Decode::decode(input)?,
            leg: Decode::decode(input)?,
            prints: Decode::decode(input)?,
        })
    }
}
