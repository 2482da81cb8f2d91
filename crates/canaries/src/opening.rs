//! A canary that is shown.

use antiphon_onion::CircuitKey;
use antiphon_wire::{
    Blob, Decode, DecodeError, Encode, Epoch, Reader, Round, ShardIndex, Signable,
};

/// One of the two circuits of a canary that is shown.
#[derive(Clone, Debug)]
pub struct OpenCircuit {
    /// The shards at layers 1 to L.
    pub hops: Vec<ShardIndex>,
    /// The circuit's key at each of them.
    pub keys: Vec<CircuitKey>,
    /// The cell that its maker gave to layer L in the beat.
    pub content: Blob,
}

/// Both circuits of a canary, which meet at layer L, and what they carried in a beat. The maker's signature says that
/// what came back was broken.
#[derive(Clone, Debug)]
pub struct Opening {
    /// The epoch of the round.
    pub epoch: Epoch,
    /// The round that set the canary up.
    pub round: Round,
    /// The beat in which it was broken.
    pub beat: u64,
    /// The shard that made it, which is its gateway as well.
    pub maker: ShardIndex,
    /// The two circuits, each of which gets the other's cells.
    pub circuits: [OpenCircuit; 2],
}

impl Opening {
    /// Returns `true` if both circuits have L hops among `shards` shards, end at one of them, and carry cells of
    /// `cell_bytes` bytes.
    pub fn fits(&self, layers: u8, shards: usize, cell_bytes: usize) -> bool {
        let layers = usize::from(layers);
        let fits = |circuit: &OpenCircuit| {
            let known = circuit.hops.iter().all(|hop| hop.position() < shards);
            let lengths = circuit.hops.len() == layers && circuit.keys.len() == layers;
            lengths && known && circuit.content.0.len() == cell_bytes
        };
        let [one, other] = &self.circuits;
        let meet = one.hops.last() == other.hops.last();
        self.maker.position() < shards && self.circuits.iter().all(fits) && meet
    }
}

impl Signable for Opening {
    const CONTEXT: &'static str = "antiphon v1 canary opening";
}

impl Encode for OpenCircuit {
    fn encode(&self, out: &mut Vec<u8>) {
        self.hops.encode(out);
        // As many as hops, in the same order.
        self.keys.iter().for_each(|key| key.as_bytes().encode(out));
        self.content.encode(out);
    }
}

impl Decode for OpenCircuit {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let hops = Vec::<ShardIndex>::decode(input)?;
        let keys = hops.iter().map(|_| input.array().map(CircuitKey::from_bytes));
        let keys = keys.collect::<Result<_, _>>()?;
        Ok(Self { hops, keys, content: Decode::decode(input)? })
    }
}

impl Encode for Opening {
    fn encode(&self, out: &mut Vec<u8>) {
        self.epoch.encode(out);
        self.round.encode(out);
        self.beat.encode(out);
        self.maker.encode(out);
        self.circuits.iter().for_each(|circuit| circuit.encode(out));
    }
}

impl Decode for Opening {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            epoch: Decode::decode(input)?,
            round: Decode::decode(input)?,
            beat: Decode::decode(input)?,
            maker: Decode::decode(input)?,
            circuits: [Decode::decode(input)?, Decode::decode(input)?],
        })
    }
}
