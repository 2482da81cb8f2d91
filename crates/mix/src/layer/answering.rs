//! Replies, put in the order in which their onions came in, under one more stream each.

use std::ops::Range;

use antiphon_onion::{ReplyKey, apply_reply_stream};
use antiphon_wire::ShardIndex;
use bytes::Bytes;
use rand::CryptoRng;

use crate::buffers::BufferPool;
use crate::erased::Erased;
use crate::layer::routes::{Batch, BatchWriter, Slot, parts};

/// No body came back for a slot.
const MISSING: u32 = u32::MAX;

/// All that is needed to answer one layer's onions.
#[derive(Debug)]
pub(crate) struct Answering {
    /// For each slot; empty at the gateway, which applies no stream.
    reply_keys: Vec<ReplyKey>,
    /// The first slot of each sender, and one more at the end.
    starts: Vec<Slot>,
    body_bytes: usize,
    sources: Vec<Bytes>,
    /// The place of each slot's body: its source, and the number of bodies before it.
    places: Erased<(u32, u32)>,
    pool: BufferPool,
}

impl Answering {
    /// `bodies` come with the slots that they are for, in their order.
    pub(crate) fn new<'a>(
        reply_keys: Vec<ReplyKey>,
        starts: Vec<Slot>,
        body_bytes: usize,
        bodies: impl Iterator<Item = (&'a [Slot], Bytes)>,
        pool: BufferPool,
    ) -> Self {
        let slots = starts.last().copied().unwrap_or(0) as usize;
        let mut places = Erased::from(vec![(MISSING, 0); slots]);
        let mut sources = Vec::new();
        for (slots, bytes) in bodies {
            let source = sources.len() as u32;
            let bodies = bytes.len() / body_bytes;
            for (i, &slot) in slots.iter().take(bodies).enumerate() {
                places[slot as usize] = (source, i as u32);
            }
            sources.push(bytes);
        }
        Self { reply_keys, starts, body_bytes, sources, places, pool }
    }

    /// The senders in parts of about `most` onions.
    pub(crate) fn parts(&self, most: u32) -> Vec<Range<usize>> {
        parts(&self.starts, most)
    }

    /// The batches for some senders: exactly one reply for each onion, random bytes for what never
    /// came back, since a missing reply must not be visible.
    pub(crate) fn answer(&self, senders: Range<usize>, rng: &mut impl CryptoRng) -> Vec<Batch> {
        senders.map(|sender| self.batch(sender, rng)).collect()
    }

    fn batch(&self, sender: usize, rng: &mut impl CryptoRng) -> Batch {
        let slots = self.starts[sender] as usize..self.starts[sender + 1] as usize;
        let mut batch = BatchWriter::new(&self.pool, slots.len() * self.body_bytes);
        let nothing = vec![0; self.body_bytes];
        for slot in slots {
            let (source, i) = self.places[slot];
            // A reply that is missing looks like any other.
            if source == MISSING {
                rng.fill_bytes(batch.push(&nothing));
                continue;
            }
            let at = i as usize * self.body_bytes;
            let body = &self.sources[source as usize][at..at + self.body_bytes];
            let reply = batch.push(body);
            if let Some(key) = self.reply_keys.get(slot) {
                apply_reply_stream(key, reply);
            }
        }
        batch.finish(ShardIndex(sender as u16))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn every_slot_gets_its_reply_or_random_bytes() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let bodies = |first: u8, count: u8| -> Bytes {
            (first..first + count).flat_map(|i| [i; 16]).collect::<Vec<_>>().into()
        };
        // Slots 0, 1 came from one sender, 2 to 5 from another; 4 never comes back.
        let answered: [(&[Slot], Bytes); 2] =
            [(&[5, 0], bodies(10, 2)), (&[1, 3, 2], bodies(20, 3))];
        let pool = BufferPool::default();
        let answering =
            Answering::new(Vec::new(), vec![0, 2, 6], 16, answered.into_iter(), pool.clone());
        let batches = answering.answer(0..2, &mut rng);
        assert_eq!(batches[0].bytes[..], [[11; 16], [20; 16]].concat());
        assert_eq!(batches[1].bytes.len(), 4 * 16);
        let firsts: Vec<_> = batches[1].bytes.chunks(16).map(|body| body[0]).collect();
        assert_eq!((firsts[0], firsts[1], firsts[3]), (22, 21, 10));
        let filled = &batches[1].bytes[32..48];
        assert_ne!(filled, [filled[0]; 16]);
        assert_ne!(filled, &answering.answer(1..2, &mut rng)[0].bytes[32..48]);
    }

    #[test]
    fn replies_go_back_under_their_streams() {
        let keys = vec![ReplyKey::from_bytes([1; 32]), ReplyKey::from_bytes([2; 32])];
        let body = Bytes::from(vec![7; 32]);
        let slots = [1, 0];
        let bodies = [(&slots[..], body)].into_iter();
        let pool = BufferPool::default();
        let answering = Answering::new(keys.clone(), vec![0, 2], 16, bodies, pool);
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let batch = answering.answer(0..1, &mut rng).remove(0);
        for (key, reply) in keys.iter().zip(batch.bytes.chunks(16)) {
            let mut reply = reply.to_vec();
            apply_reply_stream(key, &mut reply);
            assert_eq!(reply, [7; 16]);
        }
    }
}
