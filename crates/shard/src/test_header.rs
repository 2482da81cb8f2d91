//! A batch header for tests.

use antiphon_wire::{BatchHeader, Digest, Direction, Epoch, Layer, Round, ShardIndex};

/// The header of an empty batch from shard 0 to shard 1.
pub(crate) fn header(round: u64, layer: u8, direction: Direction) -> BatchHeader {
    BatchHeader {
        version: 1,
        epoch: Epoch(1),
        round: Round(round),
        layer: Layer(layer),
        direction,
        sender: ShardIndex(0),
        receiver: ShardIndex(1),
        count: 0,
        hash: Digest::of(&[]),
    }
}
