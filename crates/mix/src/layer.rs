//! One layer's onions and replies as data, and what a shard computes from them.
//!
//! Rounds hand these to jobs. [`close_layer`] and [`answer_layer`] are the same code as functions, which
//! simulations and benchmarks call instead of repeating it.

pub(crate) mod answering;
pub(crate) mod block;
pub(crate) mod closed_layer;
pub(crate) mod origin;
pub(crate) mod routes;

use antiphon_onion::{Peeled, ReplyKey};
use antiphon_wire::{Geometry, Layer, ShardIndex};
use bytes::Bytes;
use rand::CryptoRng;

use crate::buffers::BufferPool;
use answering::Answering;
use block::Run;
use closed_layer::{Arrived, admit};
use routes::Routes;

/// A layer on its way out.
#[derive(Debug)]
pub struct LeavingLayer {
    /// One batch of onions for each shard of the next layer.
    pub batches: Vec<Bytes>,
    /// For each onion that leaves, batch after batch, its position among those that came.
    pub came_from: Vec<u32>,
    /// For each onion that came, the key of its reply; of no use if it was dropped.
    pub reply_keys: Vec<ReplyKey>,
}

/// Closes `layer` over `onions`, peeled in place as `peeled` says: drops those that did not open, that
/// came twice, or that are for none of the `shards` shards; shuffles the rest; and gathers it into a
/// batch for each shard, which is hashed for its header on the way. For layers below L.
///
/// # Panics
/// If `peeled` is not about these onions, or nothing comes after `layer`.
pub fn close_layer(
    geometry: Geometry,
    layer: Layer,
    shards: usize,
    onions: &[u8],
    peeled: &Peeled,
    rng: &mut impl CryptoRng,
) -> LeavingLayer {
    let count = peeled.len() as u32;
    let run = Run { sender: ShardIndex(0), first: 0, count };
    let arrived = Arrived { onions, runs: &[run], peeled };
    let (reply_keys, leaving) = admit(geometry, layer, &[0, count], &[arrived]);
    let item_bytes = geometry.onion_bytes(layer.next());
    let (routes, gathering) = Routes::draw(leaving, shards, vec![onions], item_bytes, rng);
    let batches = gathering.gather(0..shards, &BufferPool::default());
    LeavingLayer {
        batches: batches.into_iter().map(|batch| batch.bytes).collect(),
        came_from: routes.into_slots(),
        reply_keys,
    }
}

/// Answers a layer: puts `replies`, which came back in the order in which its onions left, into the
/// order in which they came, each under the stream of its key. Onions that did not leave, or whose whole
/// reply is not among `replies`, get random bytes. `reply_keys` and `came_from` are those of
/// [`close_layer`]; bodies have `body_bytes` bytes.
///
/// # Panics
/// If they are not of one layer.
pub fn answer_layer(
    reply_keys: Vec<ReplyKey>,
    came_from: &[u32],
    replies: Bytes,
    body_bytes: usize,
    rng: &mut impl CryptoRng,
) -> Bytes {
    let starts = vec![0, reply_keys.len() as u32];
    let bodies = std::iter::once((came_from, replies));
    let answering = Answering::new(reply_keys, starts, body_bytes, bodies, BufferPool::default());
    let mut batches = answering.answer(0..1, rng).into_iter();
    batches.next().map(|batch| batch.bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use antiphon_onion::{
        Hop, HopKey, JointSealKey, Keep, OnionSecretKey, PeelKey, RoundContext, SealSecretKey,
        apply_reply_stream, build_batch, inner_of, peel_batch,
    };
    use antiphon_wire::{Epoch, Round};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const SHARDS: usize = 3;

    /// Onions for layer 1, which go on to shards 0, 1, 2, 3 and again; they are all for one key.
    fn onions(context: RoundContext, count: usize, rng: &mut ChaCha20Rng) -> (PeelKey, Vec<u8>) {
        let secret = OnionSecretKey::generate(rng);
        let joint = JointSealKey::sum([&SealSecretKey::generate(rng).public_key()]).unwrap();
        let plain = HopKey::plain(&secret.public_key());
        let sealed = HopKey::sealed(&secret.public_key(), &joint).unwrap();
        let geometry = context.geometry;
        let mut paths = Vec::new();
        for onion in 0..count {
            paths.extend(geometry.all_layers().map(|layer| {
                let key = if layer == geometry.seal_layer() { &sealed } else { &plain };
                Hop { shard: ShardIndex((onion % (SHARDS + 1)) as u16), key }
            }));
        }
        let deposits = vec![7; count * geometry.deposit_bytes()];
        let mut onions = vec![0; count * geometry.onion_bytes(Layer::FIRST)];
        build_batch(context, &paths, &deposits, Keep::NOTHING, rng, &mut onions).unwrap();
        (PeelKey::plain(&secret), onions)
    }

    #[test]
    fn every_onion_that_opens_leaves_once_for_its_next_hop() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let geometry = Geometry::new(3, 64).unwrap();
        let context = RoundContext { geometry, epoch: Epoch(1), round: Round(1) };
        let (key, mut onions) = onions(context, 40, &mut rng);
        let onion_bytes = geometry.onion_bytes(Layer::FIRST);
        // Two that came before, one that does not open, and a garbled copy of another.
        onions.extend_from_within(..2 * onion_bytes);
        onions[4 * onion_bytes + 100] ^= 1;
        onions.extend_from_within(5 * onion_bytes..6 * onion_bytes);
        onions[42 * onion_bytes + 100] ^= 1;
        let mut peeled = Peeled::default();
        peel_batch(&key, context, Layer::FIRST, &mut onions, &mut peeled).unwrap();

        let left = close_layer(geometry, Layer::FIRST, SHARDS, &onions, &peeled, &mut rng);
        assert_eq!(left.batches.len(), SHARDS);
        assert_eq!(left.reply_keys.len(), 43);
        let mut came_from = left.came_from.clone();
        assert!(!came_from.is_sorted());
        came_from.iter_mut().for_each(|i| *i %= 40);
        came_from.sort_unstable();
        // Every fourth is for a shard that does not exist.
        let expected: Vec<u32> = (0..40).filter(|i| i % 4 != 3 && *i != 4).collect();
        assert_eq!(came_from, expected);
        let mut positions = left.came_from.iter();
        for (shard, batch) in (0..).zip(&left.batches) {
            for inner in batch.chunks_exact(geometry.onion_bytes(Layer(2))) {
                let i = *positions.next().unwrap() as usize;
                let onion = &onions[i * onion_bytes..][..onion_bytes];
                assert_eq!(inner, inner_of(geometry, Layer::FIRST, onion));
                assert_eq!(i % 40 % 4, shard);
            }
        }
        assert_eq!(positions.next(), None);
    }

    #[test]
    fn replies_go_back_in_the_order_of_the_onions_and_gaps_are_filled() {
        const BODY: usize = 16;
        let keys: Vec<ReplyKey> = (1..=6).map(|i| ReplyKey::from_bytes([i; 32])).collect();
        // Onions 1 and 5 did not leave.
        let came_from = [3, 0, 4, 2];
        let body = |onion: u8| [onion; BODY];
        let answer = |replies: &[u8], seed| {
            let mut rng = ChaCha20Rng::seed_from_u64(seed);
            let replies = Bytes::copy_from_slice(replies);
            let answer = answer_layer(keys.clone(), &came_from, replies, BODY, &mut rng);
            assert_eq!(answer.len(), 6 * BODY);
            answer
        };
        let whole = came_from.map(|onion| body(onion as u8)).concat();
        // All are there; the last one is cut short; one too many; none at all.
        let more = [&whole[..], &body(9)].concat();
        let cases: [(&[u8], &[u8]); 4] = [
            (&whole, &[0, 2, 3, 4]),
            (&whole[..4 * BODY - 1], &[0, 3, 4]),
            (&more, &[0, 2, 3, 4]),
            (&[], &[]),
        ];
        for (replies, answered) in cases {
            let (one, other) = (answer(replies, 1), answer(replies, 2));
            let slots = one.chunks(BODY).zip(other.chunks(BODY));
            for (onion, (found, otherwise)) in (0..).zip(slots) {
                if answered.contains(&onion) {
                    let mut found = found.to_vec();
                    apply_reply_stream(&keys[usize::from(onion)], &mut found);
                    assert_eq!(found, body(onion));
                } else {
                    assert_ne!(found, otherwise);
                }
            }
            // What is filled in does not repeat itself either.
            let mut slots: Vec<&[u8]> = one.chunks(BODY).collect();
            slots.sort_unstable();
            slots.dedup();
            assert_eq!(slots.len(), 6);
        }
    }
}
