//! Sending a closed layer's onions on: no copies, in a new order, a batch for each shard.

use std::ops::Range;
use std::sync::Arc;

use antiphon_onion::{ErasingRng, ReplyKey};
use antiphon_wire::{Geometry, NEXT_HOP_BYTES, ShardIndex};

use super::{PART, StepResult};
use crate::buffers::{Buffer, BufferPool};
use crate::erased::Erased;
use crate::round::{Admitted, Closed};
use crate::routed::{Batch, Gathering, Leaving, Routes, Slot};

/// Where leaving onions come from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// A layer that is closed.
    Layer(Closed),
    /// Clients, whose entries are a next hop and an onion, and this shard's noise.
    Gateway { entries: Vec<Buffer>, noise_entries: Erased<ShardIndex>, noise: Buffer },
}

#[derive(Debug)]
pub(crate) struct LeaveJob {
    /// The layer that they leave; 0 is the gateway.
    pub(crate) layer: u8,
    pub(crate) origin: Origin,
    pub(crate) geometry: Geometry,
    pub(crate) shards: usize,
    pub(crate) rng: ErasingRng,
    pub(crate) pool: BufferPool,
}

/// Onions on their way, and what is kept for the way back.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) layer: u8,
    pub(crate) routes: Routes,
    pub(crate) reply_keys: Vec<ReplyKey>,
    pub(crate) starts: Vec<Slot>,
    pub(crate) batches: Vec<Batch>,
    /// If there are many: the gathering of more batches.
    pub(crate) rest: Vec<GatherJob>,
}

/// Gathers the batches of some receivers.
#[derive(Debug)]
pub(crate) struct GatherJob {
    layer: u8,
    gathering: Arc<Gathering>,
    receivers: Range<usize>,
    pool: BufferPool,
}

impl LeaveJob {
    pub(super) fn run(self) -> Left {
        let Self { layer, origin, geometry, shards, mut rng, pool } = self;
        let Admitted { starts, reply_keys, leaving, sources } = match origin {
            Origin::Layer(closed) => closed.admit(),
            Origin::Gateway { entries, noise_entries, noise } => {
                gateway(entries, &noise_entries, noise, geometry)
            }
        };
        let item_bytes = geometry.onion_bytes(antiphon_wire::Layer(layer + 1));
        let (routes, gathering) = Routes::draw(leaving, shards, sources, item_bytes, &mut rng);
        let mut parts = gathering.parts(PART).into_iter();
        let batches = parts.next().map_or_else(Vec::new, |first| gathering.gather(first, &pool));
        let gathering = Arc::new(gathering);
        let rest = parts
            .map(|receivers| {
                let (gathering, pool) = (Arc::clone(&gathering), pool.clone());
                GatherJob { layer, gathering, receivers, pool }
            })
            .collect();
        Left { layer, routes, reply_keys, starts, batches, rest }
    }
}

impl GatherJob {
    pub(super) fn run(self) -> StepResult {
        let batches = self.gathering.gather(self.receivers, &self.pool);
        StepResult::Gathered { layer: self.layer, batches }
    }
}

/// The clients' onions and the noise, as they go to layer 1. Clients' slots come first.
fn gateway(
    entries: Vec<Buffer>,
    noise_entries: &[ShardIndex],
    noise: Buffer,
    geometry: Geometry,
) -> Admitted {
    let entry_bytes = geometry.entry_bytes();
    let onion_bytes = entry_bytes - NEXT_HOP_BYTES;
    let users = entries.iter().map(|block| block.len() / entry_bytes).sum::<usize>();
    let mut leaving = Erased::<Leaving>::with_capacity(users + noise_entries.len());
    for (source, block) in entries.iter().enumerate() {
        leaving.extend(block.chunks_exact(entry_bytes).enumerate().map(|(i, entry)| Leaving {
            slot: 0,
            next: first_hop(entry),
            source: source as u32,
            at: i * entry_bytes + NEXT_HOP_BYTES,
        }));
    }
    let source = entries.len() as u32;
    leaving.extend(noise_entries.iter().enumerate().map(|(i, &next)| Leaving {
        slot: 0,
        next,
        source,
        at: i * onion_bytes,
    }));
    leaving.iter_mut().zip(0..).for_each(|(onion, slot)| onion.slot = slot);
    let starts = vec![0, leaving.len() as Slot];
    let sources = entries.into_iter().chain([noise]).collect();
    Admitted { starts, reply_keys: Vec::new(), leaving, sources }
}

/// Where a client's entry goes first.
pub(crate) fn first_hop(entry: &[u8]) -> ShardIndex {
    ShardIndex(u16::from_be_bytes([entry[0], entry[1]]))
}
