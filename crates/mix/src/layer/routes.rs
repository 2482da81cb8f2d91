//! One layer's onions on their way out: shuffled, grouped by next hop, and remembered for the way
//! back.

use std::ops::Range;

use antiphon_wire::{Digest, ShardIndex};
use bytes::Bytes;
use rand::CryptoRng;

use crate::buffers::{Buffer, BufferPool};
use crate::erased::Erased;
use crate::shuffle::shuffle;

/// The position at which an onion came in at a layer, counted over all senders in their order.
pub(crate) type Slot = u32;

/// Onions of a layer that one job gathers or answers: with more, several cores share the layer.
pub(crate) const ONIONS_PER_JOB: u32 = 8192;

/// Bytes that are gathered before they are hashed, while the cache still has them.
const HASHED_AT_ONCE: usize = 128 << 10;

/// An onion that goes on, and where to.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Leaving {
    pub(crate) slot: Slot,
    pub(crate) next: ShardIndex,
    /// In which source it lies, and at which byte.
    pub(crate) source: u32,
    pub(crate) at: usize,
}

/// The onions that went to each shard, in their order.
#[derive(Clone, Debug)]
pub(crate) struct Routes {
    /// The slots, grouped by receiver, in the order of each receiver's batch.
    slots: Erased<Slot>,
    /// Start of each receiver's group; one more at the end.
    starts: Vec<u32>,
}

/// Onions in the order in which they leave, still where they came in.
#[derive(Debug)]
pub(crate) struct Gathering<S = Buffer> {
    /// Source and byte of each onion, grouped by receiver.
    places: Erased<(u32, usize)>,
    /// Start of each receiver's group; one more at the end.
    starts: Vec<u32>,
    sources: Vec<S>,
    item_bytes: usize,
}

/// Onions or replies for one shard.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) to: ShardIndex,
    pub(crate) bytes: Bytes,
    pub(crate) hash: Digest,
}

impl Routes {
    /// Nothing went anywhere.
    pub(crate) fn none(shards: usize) -> Self {
        Self { slots: Erased::default(), starts: vec![0; shards + 1] }
    }

    /// Shuffles `leaving` with `rng` and groups it by receiver. Onions for shards that do not exist
    /// go nowhere.
    pub(crate) fn draw<S>(
        mut leaving: Erased<Leaving>,
        shards: usize,
        sources: Vec<S>,
        item_bytes: usize,
        rng: &mut impl CryptoRng,
    ) -> (Self, Gathering<S>) {
        // A next hop is whatever the onion's maker wrote.
        leaving.retain(|onion| onion.next.position() < shards);
        shuffle(&mut leaving[..], rng);
        // Sorted by counting: each receiver's onions stay in the order of the shuffle.
        let mut starts = vec![0u32; shards + 1];
        for onion in leaving.iter() {
            starts[onion.next.position() + 1] += 1;
        }
        for i in 0..shards {
            starts[i + 1] += starts[i];
        }
        let mut slots = Erased::from(vec![0; leaving.len()]);
        let mut places = Erased::from(vec![(0, 0); leaving.len()]);
        let mut filled = starts.clone();
        for onion in leaving.iter() {
            let filled = &mut filled[onion.next.position()];
            slots[*filled as usize] = onion.slot;
            places[*filled as usize] = (onion.source, onion.at);
            *filled += 1;
        }
        let gathering = Gathering { places, starts: starts.clone(), sources, item_bytes };
        (Self { slots, starts }, gathering)
    }

    /// The slots of all onions that went on, receiver by receiver.
    pub(crate) fn into_slots(mut self) -> Vec<Slot> {
        std::mem::take(&mut self.slots)
    }

    /// The slots of all onions that went on, receiver by receiver.
    pub(crate) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The first of each receiver's onions among all that went on, and one more at the end.
    pub(crate) fn starts(&self) -> &[u32] {
        &self.starts
    }

    /// The slots of the onions that went to `receiver`, in the order of its batch.
    pub(crate) fn to(&self, receiver: ShardIndex) -> &[Slot] {
        let i = receiver.position();
        &self.slots[self.starts[i] as usize..self.starts[i + 1] as usize]
    }
}

impl<S: AsRef<[u8]>> Gathering<S> {
    /// The receivers in parts of about `most` onions.
    pub(crate) fn parts(&self, most: u32) -> Vec<Range<usize>> {
        parts(&self.starts, most)
    }

    /// The batches of some receivers.
    pub(crate) fn gather(&self, receivers: Range<usize>, pool: &BufferPool) -> Vec<Batch> {
        receivers.map(|receiver| self.batch(receiver, pool)).collect()
    }

    fn batch(&self, receiver: usize, pool: &BufferPool) -> Batch {
        let places =
            &self.places[self.starts[receiver] as usize..self.starts[receiver + 1] as usize];
        let mut batch = BatchWriter::new(pool, places.len() * self.item_bytes);
        for &(source, at) in places {
            batch.push(&self.sources[source as usize].as_ref()[at..at + self.item_bytes]);
        }
        batch.finish(ShardIndex(receiver as u16))
    }
}

impl Batch {
    /// Nothing, for one shard.
    pub(crate) fn empty(to: ShardIndex) -> Self {
        Self { to, bytes: Bytes::new(), hash: Digest::of(&[]) }
    }
}

/// A batch in the making, hashed as it grows.
pub(crate) struct BatchWriter {
    bytes: Buffer,
    hasher: blake3::Hasher,
    hashed: usize,
}

impl BatchWriter {
    pub(crate) fn new(pool: &BufferPool, bytes: usize) -> Self {
        Self { bytes: pool.take(bytes), hasher: blake3::Hasher::new(), hashed: 0 }
    }

    /// Appends an item, and returns it to be changed.
    pub(crate) fn push(&mut self, item: &[u8]) -> &mut [u8] {
        if self.bytes.len() - self.hashed >= HASHED_AT_ONCE {
            self.hash();
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(item);
        &mut self.bytes[start..]
    }

    fn hash(&mut self) {
        self.hasher.update(&self.bytes[self.hashed..]);
        self.hashed = self.bytes.len();
    }

    pub(crate) fn finish(mut self, to: ShardIndex) -> Batch {
        self.hash();
        let hash = Digest(self.hasher.finalize().into());
        Batch { to, bytes: self.bytes.into_bytes(), hash }
    }
}

/// The groups that begin at `starts`, cut into ranges of at least `most` members, the last one apart.
pub(crate) fn parts(starts: &[u32], most: u32) -> Vec<Range<usize>> {
    let groups = starts.len().saturating_sub(1);
    let mut parts = Vec::new();
    let mut first = 0;
    for end in 1..=groups {
        if end == groups || starts[end] - starts[first] >= most {
            parts.push(first..end);
            first = end;
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn every_onion_reaches_its_receiver_and_can_be_traced_back() {
        let payload: Vec<[u8; 4]> = (0..200u32).map(u32::to_be_bytes).collect();
        let sources = [&payload[..90], &payload[90..]];
        let place = |i: u32| if i < 90 { (0, i as usize * 4) } else { (1, (i as usize - 90) * 4) };
        let leaving: Erased<_> = (0..200)
            .map(|slot| {
                let (source, at) = place(slot);
                Leaving { slot, next: ShardIndex((slot % 3) as u16), source, at }
            })
            .collect();
        let sources = sources.iter().map(|part| Buffer::from(part.concat())).collect();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (routes, gathering) = Routes::draw(leaving, 4, sources, 4, &mut rng);
        let pool = BufferPool::default();
        let batches: Vec<_> = gathering
            .parts(70)
            .into_iter()
            .flat_map(|part| gathering.gather(part, &pool))
            .collect();
        assert_eq!(batches.len(), 4);
        let mut seen = Vec::new();
        for (receiver, batch) in (0..4u16).zip(&batches) {
            assert_eq!(batch.to, ShardIndex(receiver));
            assert_eq!(batch.hash, Digest::of(&batch.bytes));
            let slots = routes.to(ShardIndex(receiver));
            assert_eq!(batch.bytes.len(), slots.len() * 4);
            for (&slot, bytes) in slots.iter().zip(batch.bytes.chunks(4)) {
                assert_eq!(bytes, payload[slot as usize]);
                assert_eq!(slot % 3, u32::from(receiver));
                seen.push(slot);
            }
        }
        assert!(!seen.is_sorted());
        seen.sort_unstable();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
    }

    #[test]
    fn parts_cover_all_groups_once() {
        assert_eq!(parts(&[0, 5, 5, 9, 30, 31], 6), [0..3, 3..4, 4..5]);
        assert_eq!(parts(&[0, 0, 0, 9, 9], 6), [0..3, 3..4]);
        assert!(parts(&[0], 6).is_empty());
    }
}
