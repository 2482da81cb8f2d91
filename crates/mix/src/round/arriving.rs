//! One layer's onions on their way in.

use std::sync::Arc;

use antiphon_onion::{PeelKey, ReplyKey, RoundContext, ephemeral_of, inner_of};
use antiphon_wire::{BatchHeader, Layer, ShardIndex};

use crate::round::inbound::{BatchFault, Inbound};
use crate::routed::{Leaving, Slot};
use crate::work::{Chunk, Job, PeelJob, Work};

/// The onions of one layer: they are peeled as they arrive, but leave only when all are in.
#[derive(Debug)]
pub(crate) struct Arriving {
    context: RoundContext,
    layer: Layer,
    most: u32,
    /// `None` at the seal layer until it opens.
    key: Option<Arc<PeelKey>>,
    senders: Vec<Inbound>,
    sealed: Vec<SealedChunk>,
    peeled: Vec<Chunk>,
    at_work: usize,
}

/// Onions that wait for the seal to open.
#[derive(Debug)]
pub(crate) struct SealedChunk {
    sender: ShardIndex,
    first: u32,
    onions: Vec<u8>,
}

impl Arriving {
    pub(crate) fn new(
        context: RoundContext,
        layer: Layer,
        shards: usize,
        most: u32,
        key: Option<Arc<PeelKey>>,
    ) -> Self {
        Self {
            context,
            layer,
            most,
            key,
            senders: (0..shards).map(|_| Inbound::default()).collect(),
            sealed: Vec::new(),
            peeled: Vec::new(),
            at_work: 0,
        }
    }

    fn onion_bytes(&self) -> usize {
        self.context.geometry.onion_bytes(self.layer)
    }

    /// Starts a sender's batch.
    pub(crate) fn open(&mut self, header: &BatchHeader) -> Result<(), BatchFault> {
        self.senders[header.sender.position()].open(header, self.most).map(drop)
    }

    /// Takes in part of a batch, and returns the work of peeling it unless it is still sealed.
    pub(crate) fn take(
        &mut self,
        sender: ShardIndex,
        onions: Vec<u8>,
    ) -> Result<Option<Work>, BatchFault> {
        let onion_bytes = self.onion_bytes();
        let first = self.senders[sender.position()].take(&onions, onion_bytes)?;
        let chunk = SealedChunk { sender, first, onions };
        Ok(match &self.key {
            Some(key) => {
                let key = Arc::clone(key);
                Some(self.peel(key, chunk))
            }
            None => {
                self.sealed.push(chunk);
                None
            }
        })
    }

    fn peel(&mut self, key: Arc<PeelKey>, chunk: SealedChunk) -> Work {
        self.at_work += 1;
        let SealedChunk { sender, first, onions } = chunk;
        let (context, layer) = (self.context, self.layer);
        Work(Job::Peel(PeelJob { key, context, layer, sender, first, onions }))
    }

    /// Opens the seal: returns the work of peeling all that waits.
    pub(crate) fn unseal(&mut self, key: PeelKey) -> Vec<Work> {
        let key = Arc::new(key);
        self.key = Some(Arc::clone(&key));
        let waiting = std::mem::take(&mut self.sealed);
        waiting.into_iter().map(|chunk| self.peel(Arc::clone(&key), chunk)).collect()
    }

    /// Takes back onions that have been peeled.
    pub(crate) fn peeled(&mut self, chunk: Chunk) {
        self.at_work = self.at_work.saturating_sub(1);
        self.peeled.push(chunk);
    }

    /// The first sender whose batch is not complete.
    pub(crate) fn first_missing(&self) -> Option<ShardIndex> {
        let position = self.senders.iter().position(|sender| !sender.is_complete())?;
        Some(ShardIndex(position as u16))
    }

    /// Whether every batch is complete and every onion peeled, or waiting at the seal.
    pub(crate) fn is_complete(&self) -> bool {
        self.is_idle() && self.senders.iter().all(Inbound::is_complete)
    }

    /// Whether no peeling is going on.
    pub(crate) fn is_idle(&self) -> bool {
        self.at_work == 0
    }

    /// The sealed onions, each once, in a fixed order: what the filter is made of.
    ///
    /// Onions still sealed are compared whole, so that a copy does not count twice.
    pub(crate) fn sealed_onions(&self) -> Vec<u8> {
        let onion_bytes = self.onion_bytes();
        let mut onions: Vec<&[u8]> =
            self.sealed.iter().flat_map(|chunk| chunk.onions.chunks_exact(onion_bytes)).collect();
        onions.sort_unstable();
        onions.dedup();
        onions.concat()
    }

    /// Closes the layer: which onions came whole, and which of them go on.
    pub(crate) fn close(self) -> Closed {
        let onion_bytes = self.onion_bytes();
        let mut starts = vec![0; self.senders.len() + 1];
        for (i, sender) in self.senders.iter().enumerate() {
            starts[i + 1] = starts[i] + sender.count();
        }
        let slots = starts.last().copied().unwrap_or(0) as usize;
        let mut chunks = self.peeled;
        // A batch that never completed counts as empty.
        chunks.retain(|chunk| self.senders[chunk.sender.position()].is_complete());
        let mut closed = Closed {
            context: self.context,
            layer: self.layer,
            onion_bytes,
            starts,
            reply_keys: vec![ReplyKey::default(); slots],
            opened: Vec::with_capacity(slots),
            chunks,
        };
        closed.admit();
        closed
    }
}

/// A layer whose onions are all in and peeled.
#[derive(Debug)]
pub(crate) struct Closed {
    context: RoundContext,
    layer: Layer,
    onion_bytes: usize,
    /// The first slot of each sender, and one more at the end.
    starts: Vec<Slot>,
    /// For each slot; of no use where the onion was dropped.
    pub(crate) reply_keys: Vec<ReplyKey>,
    /// The onions that opened, none twice: slot, chunk, position in the chunk.
    opened: Vec<(Slot, u32, u32)>,
    chunks: Vec<Chunk>,
}

impl Closed {
    /// Admits what opened, once for each ephemeral key: a garbled copy, which does not open, must
    /// not shadow the real onion.
    fn admit(&mut self) {
        let mut found: Vec<(&[u8; 32], Slot, u32, u32)> = Vec::with_capacity(self.reply_keys.len());
        for (number, chunk) in self.chunks.iter().enumerate() {
            let base = self.starts[chunk.sender.position()] + chunk.first;
            for (i, onion) in chunk.onions.chunks_exact(self.onion_bytes).enumerate() {
                let slot = base + i as u32;
                if let Some(key) = chunk.peeled.reply_key(i) {
                    self.reply_keys[slot as usize] = key.clone();
                    found.push((ephemeral_of(onion), slot, number as u32, i as u32));
                }
            }
        }
        found.sort_unstable();
        found.dedup_by_key(|(ephemeral, ..)| *ephemeral);
        self.opened = found.into_iter().map(|(_, slot, chunk, i)| (slot, chunk, i)).collect();
        self.opened.sort_unstable();
    }

    /// How many onions came in.
    pub(crate) fn slots(&self) -> usize {
        self.reply_keys.len()
    }

    /// The first slot of each sender, and one more at the end.
    pub(crate) fn starts(&self) -> &[Slot] {
        &self.starts
    }

    /// What is inside the onions that opened, with their slots, in the order of the slots.
    pub(crate) fn inner(&self) -> impl ExactSizeIterator<Item = (Slot, &[u8])> {
        self.opened.iter().map(|&(slot, chunk, i)| (slot, self.inner_at(chunk, i)))
    }

    fn inner_at(&self, chunk: u32, i: u32) -> &[u8] {
        let onions = &self.chunks[chunk as usize].onions;
        let onion = &onions[i as usize * self.onion_bytes..][..self.onion_bytes];
        inner_of(self.context.geometry, self.layer, onion)
    }

    /// The onions that go on to one of `shards` shards.
    pub(crate) fn leaving(&self, shards: usize) -> Vec<Leaving<'_>> {
        self.opened
            .iter()
            .filter_map(|&(slot, chunk, i)| {
                let next = self.chunks[chunk as usize].peeled.next_hop(i as usize)?;
                let known = next.position() < shards;
                known.then(|| Leaving { slot, next, bytes: self.inner_at(chunk, i) })
            })
            .collect()
    }
}
