//! The way of onions from a layer to the next: no copies, in a new order, a batch for each shard.

use std::ops::Range;
use std::sync::Arc;

use antiphon_onion::{ErasingRng, ReplyKey};
use antiphon_wire::{Entry, Geometry, NEXT_HOP_BYTES, ShardIndex};

use crate::buffers::{Buffer, BufferPool};
use crate::circuits::LayerTable;
use crate::erased::Erased;
use crate::layer::closed_layer::{Admitted, ClosedLayer};
use crate::layer::origin::Origin;
use crate::layer::routes::{Batch, Gathering, Leaving, ONIONS_PER_JOB, Routes, Slot};

/// The onions that are to leave.
#[derive(Debug)]
pub(crate) enum Departing {
    /// Those of a closed layer.
    Layer(ClosedLayer),
    /// Clients, whose entries are a next hop and an onion, and this shard's noise.
    Gateway { entries: Vec<Buffer>, noise_entries: Erased<ShardIndex>, noise: Buffer },
}

/// Shuffles onions and gathers them into batches.
#[derive(Debug)]
pub(crate) struct LeaveJob {
    pub(crate) departing: Departing,
    pub(crate) geometry: Geometry,
    pub(crate) shards: usize,
    /// Whether the onions leave circuits behind.
    pub(crate) circuits: bool,
    pub(crate) rng: ErasingRng,
    pub(crate) pool: BufferPool,
}

/// Onions on their way, and what is kept for the way back.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) origin: Origin,
    pub(crate) routes: Routes,
    pub(crate) reply_keys: Vec<ReplyKey>,
    pub(crate) starts: Vec<Slot>,
    /// In a round that sets circuits up.
    pub(crate) table: Option<LayerTable>,
    pub(crate) batches: Vec<Batch>,
    /// If there are many: the gathering of more batches.
    pub(crate) rest: Vec<GatherJob>,
}

/// Gathers the batches of some receivers.
#[derive(Debug)]
pub(crate) struct GatherJob {
    origin: Origin,
    gathering: Arc<Gathering>,
    receivers: Range<usize>,
    pool: BufferPool,
}

/// Batches that a [`GatherJob`] has gathered.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) origin: Origin,
    pub(crate) batches: Vec<Batch>,
}

impl Departing {
    fn origin(&self) -> Origin {
        match self {
            Self::Layer(closed) => Origin::Layer(closed.layer()),
            Self::Gateway { .. } => Origin::Gateway,
        }
    }
}

impl LeaveJob {
    pub(super) fn run(self) -> Left {
        let Self { departing, geometry, shards, circuits, mut rng, pool } = self;
        let origin = departing.origin();
        let Admitted { starts, reply_keys, circuit_keys, leaving, sources } = match departing {
            Departing::Layer(closed) => closed.admit(),
            Departing::Gateway { entries, noise_entries, noise } => {
                gateway(entries, &noise_entries, noise, geometry)
            }
        };
        let item_bytes = geometry.onion_bytes(origin.next_layer());
        let (routes, gathering) = Routes::draw(leaving, shards, sources, item_bytes, &mut rng);
        let table = circuits.then(|| {
            LayerTable::new(starts.clone(), routes.clone(), circuit_keys.unwrap_or_default())
        });
        let mut parts = gathering.parts(ONIONS_PER_JOB).into_iter();
        // The first part needs no job of its own: this one is on a core already.
        let batches = parts.next().map_or_else(Vec::new, |first| gathering.gather(first, &pool));
        let gathering = Arc::new(gathering);
        let rest = parts
            .map(|receivers| {
                let (gathering, pool) = (Arc::clone(&gathering), pool.clone());
                GatherJob { origin, gathering, receivers, pool }
            })
            .collect();
        Left { origin, routes, reply_keys, starts, table, batches, rest }
    }
}

impl GatherJob {
    pub(super) fn run(self) -> Gathered {
        let batches = self.gathering.gather(self.receivers, &self.pool);
        Gathered { origin: self.origin, batches }
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
    // Slots number onions in this order, in which their replies go back.
    leaving.iter_mut().zip(0..).for_each(|(onion, slot)| onion.slot = slot);
    let starts = vec![0, leaving.len() as Slot];
    let sources = entries.into_iter().chain([noise]).collect();
    Admitted { starts, reply_keys: Vec::new(), circuit_keys: None, leaving, sources }
}

/// The shard that a client's entry goes to first.
pub(crate) fn first_hop(entry: &[u8]) -> ShardIndex {
    Entry::read(entry).expect("an entry has its shard's index").first
}
