//! The peeling of one block.

use std::sync::Arc;

use antiphon_onion::{PeelKey, Peeled, RoundContext, peel_batch};
use antiphon_wire::Layer;

use crate::layer::block::Block;

/// Peels a block in place.
#[derive(Debug)]
pub(crate) struct PeelJob {
    pub(crate) key: Arc<PeelKey>,
    pub(crate) context: RoundContext,
    pub(crate) layer: Layer,
    /// Whether the onions leave circuits behind.
    pub(crate) circuits: bool,
    pub(crate) block: Block,
}

/// A block that has been peeled.
#[derive(Debug)]
pub(crate) struct PeeledBlock {
    pub(crate) layer: Layer,
    pub(crate) block: Block,
}

impl PeelJob {
    pub(super) fn run(self) -> PeeledBlock {
        let Self { key, context, layer, circuits, mut block } = self;
        let onions = block.onions.len() / context.geometry.onion_bytes(layer);
        let mut peeled = Peeled::with_capacity(onions);
        if circuits {
            peeled = peeled.with_circuits();
        }
        if let Err(error) = peel_batch(&key, context, layer, &mut block.onions, &mut peeled) {
            unreachable!("a block holds whole onions of a layer of the epoch: {error}");
        }
        block.peeled = peeled;
        PeeledBlock { layer, block }
    }
}
