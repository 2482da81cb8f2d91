//! Peeling a block of onions.

use std::sync::Arc;

use antiphon_onion::{PeelKey, Peeled, RoundContext, peel_batch};
use antiphon_wire::Layer;

use super::StepResult;
use crate::round::Block;

#[derive(Debug)]
pub(crate) struct PeelJob {
    pub(crate) key: Arc<PeelKey>,
    pub(crate) context: RoundContext,
    pub(crate) layer: Layer,
    pub(crate) block: Block,
}

impl PeelJob {
    pub(super) fn run(self) -> StepResult {
        let Self { key, context, layer, mut block } = self;
        let onions = block.onions.len() / context.geometry.onion_bytes(layer);
        let mut peeled = Peeled::with_capacity(onions);
        // The shard hands out whole onions of a layer of the epoch. Should it ever not, none of
        // them counts.
        if peel_batch(&key, context, layer, &mut block.onions, &mut peeled).is_err() {
            block.runs.clear();
        }
        block.peeled = peeled;
        StepResult::Peeled { layer: layer.0, block }
    }
}
