//! What a shard does with a layer once its onions are peeled: drop what came twice, shuffle, group
//! by next hop, gather into batches, and remember where each came from.

use antiphon_onion::{Peeled, ReplyKey, ephemeral_of, inner_of};
use antiphon_wire::{Geometry, Layer, ShardIndex};
use rand::CryptoRng;
use rand::seq::SliceRandom as _;

/// A layer on its way out.
#[derive(Debug)]
pub struct Leaving {
    /// One batch per receiver.
    pub batches: Vec<Vec<u8>>,
    /// For each onion that leaves, batch after batch, the position in which it came.
    pub came_from: Vec<u32>,
    /// For each onion that came, the key of its reply.
    pub reply_keys: Vec<ReplyKey>,
}

/// Closes `layer` over `onions`, peeled in place as `peeled` says.
pub fn close(
    geometry: Geometry,
    layer: Layer,
    shards: usize,
    onions: &[u8],
    peeled: &Peeled,
    rng: &mut impl CryptoRng,
) -> Leaving {
    let onion_bytes = geometry.onion_bytes(layer);
    let onion = |i: u32| &onions[i as usize * onion_bytes..][..onion_bytes];
    let reply_keys =
        (0..peeled.len()).map(|i| peeled.reply_key(i).cloned().unwrap_or_default()).collect();

    let mut leaving: Vec<(ShardIndex, u32)> = Vec::with_capacity(peeled.len());
    for i in unique(peeled, |i| ephemeral_of(onion(i))) {
        leaving.extend(peeled.next_hop(i as usize).map(|next| (next, i)));
    }
    leaving.retain(|(next, _)| next.position() < shards);
    leaving.shuffle(rng);

    let mut starts = vec![0; shards + 1];
    for (next, _) in &leaving {
        starts[next.position() + 1] += 1;
    }
    for shard in 0..shards {
        starts[shard + 1] += starts[shard];
    }
    let mut came_from = vec![0; leaving.len()];
    let mut filled = starts.clone();
    for &(next, i) in &leaving {
        let position = &mut filled[next.position()];
        came_from[*position] = i;
        *position += 1;
    }
    let batch = |shard: usize| {
        let group: &[u32] = &came_from[starts[shard]..starts[shard + 1]];
        let mut batch = Vec::with_capacity(group.len() * onion_bytes);
        for &i in group {
            batch.extend_from_slice(inner_of(geometry, layer, onion(i)));
        }
        batch
    };
    Leaving { batches: (0..shards).map(batch).collect(), came_from, reply_keys }
}

/// The onions that opened, once for each ephemeral key, in any order.
///
/// Nearly all that is sorted are numbers; the whole key decides among those that begin alike.
fn unique<'a>(peeled: &Peeled, ephemeral: impl Fn(u32) -> &'a [u8; 32]) -> Vec<u32> {
    let beginning = |i: u32| {
        let [first, ..] = ephemeral(i).as_chunks::<8>().0 else { return 0 };
        u64::from_be_bytes(*first)
    };
    let mut order: Vec<(u64, u32)> = (0..peeled.len() as u32)
        .filter(|&i| peeled.opened(i as usize))
        .map(|i| (beginning(i), i))
        .collect();
    order.sort_unstable();
    let mut unique = Vec::with_capacity(order.len());
    for alike in order.chunk_by(|a, b| a.0 == b.0) {
        if let [(_, i)] = alike {
            unique.push(*i);
        } else {
            let mut alike: Vec<_> = alike.iter().map(|&(_, i)| (ephemeral(i), i)).collect();
            alike.sort_unstable();
            alike.dedup_by_key(|(ephemeral, _)| *ephemeral);
            unique.extend(alike.iter().map(|(_, i)| i));
        }
    }
    unique
}

#[cfg(test)]
mod tests {
    use antiphon_onion::peel_batch;
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;
    use crate::network::Network;

    #[test]
    fn every_onion_leaves_once_from_where_it_came() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let network = Network::new(3, false, &mut rng).unwrap();
        let geometry = network.context().geometry;
        let onion_bytes = geometry.onion_bytes(Layer::FIRST);
        let mut onions = network.onions(12, &mut rng).unwrap();
        let copy = onions[..onion_bytes].to_vec();
        onions.extend(copy);
        let mut peeled = Peeled::default();
        let key = network.peel_key(Layer::FIRST);
        peel_batch(key, network.context(), Layer::FIRST, &mut onions, &mut peeled).unwrap();
        assert_eq!(peeled.opened_count(), 13);

        let left = close(geometry, Layer::FIRST, 3, &onions, &peeled, &mut rng);
        let mut positions = left.came_from.clone();
        positions.sort_unstable();
        assert_eq!(positions, (0..12).collect::<Vec<_>>());
        let inner_bytes = geometry.onion_bytes(Layer(2));
        let batches = left.batches.concat();
        for (&i, bytes) in left.came_from.iter().zip(batches.chunks_exact(inner_bytes)) {
            let onion = &onions[i as usize * onion_bytes..][..onion_bytes];
            assert_eq!(bytes, inner_of(geometry, Layer::FIRST, onion));
        }
    }
}
