//! One layer's onions on their way in.

use std::sync::Arc;

use antiphon_onion::{PeelKey, RoundContext};
use antiphon_wire::{BatchHeader, Layer, Round, ShardIndex};

use crate::Limits;
use crate::buffers::BufferPool;
use crate::epoch_context::EpochContext;
use crate::layer::block::Block;
use crate::layer::closed_layer::ClosedLayer;
use crate::round::inbound::{BatchFault, Inbound};
use crate::work::PeelJob;

/// The onions of one layer: they are peeled as they arrive, but leave only when all are in.
#[derive(Debug)]
pub(crate) struct Arriving {
    context: RoundContext,
    layer: Layer,
    most: u32,
    /// `None` at the seal layer until it opens.
    key: Option<Arc<PeelKey>>,
    pool: BufferPool,
    /// Whether its onions leave circuits behind.
    circuits: bool,
    senders: Vec<Inbound>,
    /// Not full yet.
    filling: Option<Block>,
    /// Full, and at the seal layer not peeled.
    sealed: Vec<Block>,
    peeled: Vec<Block>,
    at_work: usize,
    /// Nothing more is taken in.
    cut_off: bool,
}

impl Arriving {
    /// A layer of which nothing is in yet. The seal layer has no key until every shard has released its
    /// own.
    pub(crate) fn new(
        epoch: &EpochContext,
        round: Round,
        layer: Layer,
        limits: Limits,
        pool: BufferPool,
    ) -> Self {
        let geometry = epoch.epoch.geometry();
        let context = RoundContext { geometry, epoch: epoch.epoch.epoch(), round };
        let key = (layer != geometry.seal_layer()).then(|| Arc::clone(&epoch.peel));
        let shards = epoch.shards();
        Self {
            context,
            layer,
            most: limits.onions_per_batch,
            key,
            pool,
            circuits: !epoch.epoch.parameters().beats.is_classic(),
            senders: (0..shards).map(|_| Inbound::default()).collect(),
            filling: None,
            sealed: Vec::new(),
            peeled: Vec::new(),
            at_work: 0,
            cut_off: false,
        }
    }

    pub(crate) fn layer(&self) -> Layer {
        self.layer
    }

    fn onion_bytes(&self) -> usize {
        self.context.geometry.onion_bytes(self.layer)
    }

    /// Starts a sender's batch. Returns what there is to peel.
    pub(crate) fn open(&mut self, header: &BatchHeader) -> Result<Vec<PeelJob>, BatchFault> {
        self.senders[header.sender.position()].open(header, self.most)?;
        Ok(self.flush_if_received())
    }

    /// Takes in part of a batch. Returns what there is to peel.
    pub(crate) fn take(
        &mut self,
        sender: ShardIndex,
        onions: &[u8],
    ) -> Result<Vec<PeelJob>, BatchFault> {
        if self.cut_off {
            return Ok(Vec::new());
        }
        let onion_bytes = self.onion_bytes();
        let first = self.senders[sender.position()].take(onions, onion_bytes)?;
        Ok(self.pack(sender, first, onions))
    }

    /// Takes in this shard's own batch. Returns what there is to peel.
    pub(crate) fn take_own(&mut self, me: ShardIndex, onions: &[u8]) -> Vec<PeelJob> {
        let items = onions.len() / self.onion_bytes();
        self.senders[me.position()].take_own(items as u32);
        self.pack(me, 0, onions)
    }

    fn pack(&mut self, sender: ShardIndex, mut first: u32, mut onions: &[u8]) -> Vec<PeelJob> {
        let onion_bytes = self.onion_bytes();
        let mut jobs = Vec::new();
        while !onions.is_empty() {
            let pool = &self.pool;
            let block = self.filling.get_or_insert_with(|| Block::new(pool, onion_bytes));
            let taken = block.fill(sender, first, onions, onion_bytes);
            first += taken;
            onions = &onions[taken as usize * onion_bytes..];
            if block.is_full(onion_bytes) {
                jobs.extend(self.flush());
            }
        }
        jobs.extend(self.flush_if_received());
        jobs
    }

    /// Once all is in, there is nothing to wait for.
    fn flush_if_received(&mut self) -> Vec<PeelJob> {
        if self.is_received() { self.flush().into_iter().collect() } else { Vec::new() }
    }

    /// Sends on the block that is being filled.
    fn flush(&mut self) -> Option<PeelJob> {
        let block = self.filling.take()?;
        if let Some(key) = &self.key {
            let key = Arc::clone(key);
            Some(self.peel(key, block))
        } else {
            self.sealed.push(block);
            None
        }
    }

    /// Takes nothing more in. Returns what there is to peel.
    pub(crate) fn cut_off(&mut self) -> Option<PeelJob> {
        self.cut_off = true;
        self.flush()
    }

    fn peel(&mut self, key: Arc<PeelKey>, block: Block) -> PeelJob {
        self.at_work += 1;
        let (context, layer, circuits) = (self.context, self.layer, self.circuits);
        PeelJob { key, context, layer, circuits, block }
    }

    /// Opens the seal: returns the work of peeling all that waits.
    pub(crate) fn unseal(&mut self, key: PeelKey) -> Vec<PeelJob> {
        let key = Arc::new(key);
        self.key = Some(Arc::clone(&key));
        self.sealed.extend(self.filling.take());
        let waiting = std::mem::take(&mut self.sealed);
        waiting.into_iter().map(|block| self.peel(Arc::clone(&key), block)).collect()
    }

    /// Takes back onions that have been peeled.
    pub(crate) fn peeled(&mut self, block: Block) {
        debug_assert!(self.at_work > 0, "a block comes back once");
        self.at_work -= 1;
        self.peeled.push(block);
    }

    /// The first sender whose batch is not in.
    pub(crate) fn first_missing(&self) -> Option<ShardIndex> {
        let position = self.senders.iter().position(|sender| !sender.is_complete())?;
        Some(ShardIndex(position as u16))
    }

    /// Returns true if every batch is in.
    pub(crate) fn is_received(&self) -> bool {
        self.senders.iter().all(Inbound::is_complete)
    }

    /// Returns true if every batch is in, and every onion is peeled or waits at the seal.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_idle() && self.is_received()
    }

    /// Returns true if no peeling is going on, or due.
    pub(crate) fn is_idle(&self) -> bool {
        self.at_work == 0 && self.filling.is_none()
    }

    /// Returns true while peeling is going on.
    pub(crate) fn is_peeling(&self) -> bool {
        self.at_work > 0
    }

    /// Hands out the sealed onions for a while.
    pub(crate) fn lend_sealed(&mut self) -> Vec<Block> {
        std::mem::take(&mut self.sealed)
    }

    /// Takes back what was lent.
    pub(crate) fn take_back_sealed(&mut self, blocks: Vec<Block>) {
        self.sealed = blocks;
    }

    /// Closes the layer.
    pub(crate) fn close(self) -> ClosedLayer {
        let counts = self.senders.iter().map(Inbound::count);
        ClosedLayer::new(self.context, self.layer, counts, self.peeled, self.circuits)
    }
}
