//! Shards that misbehave on purpose, for demonstrations and tests of what is done about them.

use antiphon_mix::{Input, Output};
use antiphon_shard::Through;
use antiphon_wire::{
    BatchHeader, CellBatch, Digest, Direction, FromClient, Layer, Round, SignedHeader, ToClient,
};
use ed25519_dalek::SigningKey;
use rand::{Rng, RngExt as _};

/// A batch on its way to another shard.
#[derive(Debug)]
pub struct OutgoingBatch {
    /// Its header. Count and hash are made to fit the bytes again afterwards.
    pub header: BatchHeader,
    /// The onions or replies, one after the other.
    pub bytes: Vec<u8>,
    /// Bytes of one of them.
    pub item_bytes: usize,
}

/// May change what a shard sends to others. A shard with such a hook breaks the protocol: never use
/// one in a network that people rely on.
pub trait Tamper: Send {
    /// Changes a batch before it is signed and sent.
    fn outgoing(&mut self, batch: &mut OutgoingBatch);

    /// Changes the cells of a beat before they are sent. They stay as many as they are.
    fn cells(&mut self, _batch: &CellBatch, _cells: &mut [u8]) {}

    /// Decides whether a client's message is taken.
    fn takes(&mut self, _message: &FromClient) -> bool {
        true
    }

    /// Decides whether a client gets a message.
    fn gives(&mut self, _message: &ToClient) -> bool {
        true
    }
}

impl OutgoingBatch {
    /// The header for the bytes as they are now, signed again.
    fn sign(&mut self, identity: &SigningKey) -> SignedHeader {
        let items = self.bytes.len() / self.item_bytes.max(1);
        // Tampering only shrinks what had a u32 count; more than that no peer takes anyway.
        self.header.count = u32::try_from(items).unwrap_or(u32::MAX);
        self.header.hash = Digest::of(&self.bytes);
        SignedHeader::new(self.header, identity)
    }
}

/// Lets a shard of this identity do what `tamper` makes of it.
pub(crate) struct Tampering {
    pub(crate) identity: SigningKey,
    pub(crate) tamper: Box<dyn Tamper>,
}

impl Through for Tampering {
    fn input(&mut self, input: Input) -> Option<Input> {
        match &input {
            Input::Client { message, .. } if !self.tamper.takes(message) => None,
            _ => Some(input),
        }
    }

    fn output(&mut self, output: Output) -> Option<Output> {
        Some(match output {
            Output::Batch { to, header, bytes, item_bytes } => {
                let header = *header.claimed();
                let mut batch = OutgoingBatch { header, bytes: bytes.to_vec(), item_bytes };
                self.tamper.outgoing(&mut batch);
                let header = batch.sign(&self.identity);
                Output::Batch { to, header, bytes: batch.bytes.into(), item_bytes }
            }
            Output::Cells { to, batch, bytes, item_bytes } => {
                let mut cells = bytes.to_vec();
                self.tamper.cells(&batch, &mut cells);
                Output::Cells { to, batch, bytes: cells.into(), item_bytes }
            }
            Output::Client { message, .. } if !self.tamper.gives(&message) => return None,
            other => other,
        })
    }
}

/// A misbehaving shard for demonstrations: it garbles a share of the cells that it sends to others.
#[derive(Debug)]
pub struct GarbleCells<R> {
    share: f64,
    rng: R,
}

impl<R: Rng> GarbleCells<R> {
    /// Garbles this share of cells, from 0 to 1, each drawn by itself.
    pub fn new(share: f64, rng: R) -> Self {
        Self { share, rng }
    }
}

impl<R: Rng + Send> Tamper for GarbleCells<R> {
    fn outgoing(&mut self, _batch: &mut OutgoingBatch) {}

    fn cells(&mut self, batch: &CellBatch, cells: &mut [u8]) {
        let cell_bytes = cells.len() / batch.count.max(1) as usize;
        for cell in cells.chunks_exact_mut(cell_bytes.max(1)) {
            if self.rng.random_bool(self.share) {
                self.rng.fill_bytes(cell);
            }
        }
    }
}

/// A misbehaving shard for demonstrations: in every round it drops some onions, picked at random,
/// from the batches that it sends for one layer.
///
/// If noise that some shard checks is among them, the round aborts freely. If not, the round goes
/// on, and the replies to the dropped onions are random bytes.
#[derive(Debug)]
pub struct DropOnions<R> {
    per_round: usize,
    layer: Layer,
    rng: R,
    round: Option<Round>,
    left: usize,
}

impl<R: Rng> DropOnions<R> {
    /// Drops up to `per_round` onions among those on their way into `layer`. Not the seal layer: a
    /// shard tests whatever it sent there, and would complain about itself.
    pub fn new(per_round: usize, layer: Layer, rng: R) -> Self {
        Self { per_round, layer, rng, round: None, left: per_round }
    }
}

impl<R: Rng + Send> Tamper for DropOnions<R> {
    fn outgoing(&mut self, batch: &mut OutgoingBatch) {
        let header = &batch.header;
        if header.direction != Direction::Forward || header.layer != self.layer {
            return;
        }
        // A layer's batches come one by one, and share what there is to drop in a round.
        if self.round != Some(header.round) {
            self.round = Some(header.round);
            self.left = self.per_round;
        }
        let size = batch.item_bytes.max(1);
        while self.left > 0 && batch.bytes.len() >= size {
            let items = batch.bytes.len() / size;
            let victim = self.rng.random_range(0..items);
            batch.bytes.drain(victim * size..(victim + 1) * size);
            self.left -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Epoch, IdentityKey, ShardIndex};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    fn batch(round: u64, layer: u8, direction: Direction) -> OutgoingBatch {
        let bytes: Vec<u8> = (0..40).collect();
        let header = BatchHeader {
            version: 1,
            epoch: Epoch(1),
            round: Round(round),
            layer: Layer(layer),
            direction,
            sender: ShardIndex(0),
            receiver: ShardIndex(1),
            count: 10,
            hash: Digest::of(&bytes),
        };
        OutgoingBatch { header, bytes, item_bytes: 4 }
    }

    #[test]
    fn whole_onions_of_one_layer_vanish_and_the_header_fits_what_is_left() {
        let key = SigningKey::from_bytes(&[3; 32]);
        let mut tamper = DropOnions::new(12, Layer(2), ChaCha20Rng::seed_from_u64(1));
        for round in 1..=2 {
            let mut first = batch(round, 2, Direction::Forward);
            tamper.outgoing(&mut first);
            assert!(first.bytes.is_empty());
            let mut second = batch(round, 2, Direction::Forward);
            tamper.outgoing(&mut second);
            assert_eq!(second.bytes.len(), 32);
            assert!(second.bytes.chunks(4).all(|item| item[0] % 4 == 0 && item[3] == item[0] + 3));
            let signed = second.sign(&key);
            let header = signed.verify(&IdentityKey::of(&key)).unwrap();
            assert_eq!((header.count, header.hash), (8, Digest::of(&second.bytes)));
        }
    }

    #[test]
    fn other_layers_and_replies_are_left_alone() {
        let mut tamper = DropOnions::new(3, Layer(2), ChaCha20Rng::seed_from_u64(1));
        for (layer, direction) in [(1, Direction::Forward), (2, Direction::Reply)] {
            let mut batch = batch(1, layer, direction);
            tamper.outgoing(&mut batch);
            assert_eq!(batch.bytes.len(), 40);
        }
    }
}
