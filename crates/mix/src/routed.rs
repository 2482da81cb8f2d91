//! One layer's onions on their way out: shuffled, grouped by next hop, and remembered for the way
//! back.

use antiphon_wire::ShardIndex;
use rand::CryptoRng;
use rand::seq::SliceRandom as _;

/// Where in a layer an onion came in, counted over all senders in their order.
pub(crate) type Slot = u32;

/// An onion that goes on, and where to.
pub(crate) struct Leaving<'a> {
    pub(crate) slot: Slot,
    pub(crate) next: ShardIndex,
    pub(crate) bytes: &'a [u8],
}

/// Which onions went to which shard, in which order.
#[derive(Debug)]
pub(crate) struct Routes {
    /// The slots, grouped by receiver, in the order of each receiver's batch.
    slots: Vec<Slot>,
    /// Where each receiver's group starts; one more at the end.
    starts: Vec<u32>,
}

impl Routes {
    /// Nothing went anywhere.
    pub(crate) fn none(shards: usize) -> Self {
        Self { slots: Vec::new(), starts: vec![0; shards + 1] }
    }

    /// Shuffles `leaving` with `rng`, groups it by receiver and returns each receiver's batch.
    pub(crate) fn draw(
        leaving: &mut [Leaving<'_>],
        shards: usize,
        item_bytes: usize,
        rng: &mut impl CryptoRng,
    ) -> (Self, Vec<Vec<u8>>) {
        leaving.shuffle(rng);
        let mut starts = vec![0u32; shards + 1];
        for onion in leaving.iter() {
            starts[onion.next.position() + 1] += 1;
        }
        for i in 0..shards {
            starts[i + 1] += starts[i];
        }
        let mut batches: Vec<Vec<u8>> = (0..shards)
            .map(|i| Vec::with_capacity((starts[i + 1] - starts[i]) as usize * item_bytes))
            .collect();
        let mut slots = vec![0; leaving.len()];
        let mut filled = starts.clone();
        for onion in leaving.iter() {
            let receiver = onion.next.position();
            batches[receiver].extend_from_slice(onion.bytes);
            slots[filled[receiver] as usize] = onion.slot;
            filled[receiver] += 1;
        }
        (Self { slots, starts }, batches)
    }

    /// The slots of the onions that went to `receiver`, in the order of its batch.
    pub(crate) fn to(&self, receiver: ShardIndex) -> &[Slot] {
        let i = receiver.position();
        match (self.starts.get(i), self.starts.get(i + 1)) {
            (Some(&start), Some(&end)) => &self.slots[start as usize..end as usize],
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn every_onion_reaches_its_receiver_and_can_be_traced_back() {
        let payload: Vec<[u8; 4]> = (0..200u32).map(u32::to_be_bytes).collect();
        let mut leaving: Vec<Leaving<'_>> = (0..200)
            .map(|i| Leaving {
                slot: i,
                next: ShardIndex((i % 3) as u16),
                bytes: &payload[i as usize],
            })
            .collect();
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let (routes, batches) = Routes::draw(&mut leaving, 4, 4, &mut rng);
        let mut seen = Vec::new();
        for receiver in 0..4u16 {
            let slots = routes.to(ShardIndex(receiver));
            assert_eq!(batches[usize::from(receiver)].len(), slots.len() * 4);
            for (&slot, bytes) in slots.iter().zip(batches[usize::from(receiver)].chunks(4)) {
                assert_eq!(bytes, payload[slot as usize]);
                assert_eq!(slot % 3, u32::from(receiver));
                seen.push(slot);
            }
        }
        assert_ne!(seen, {
            let mut sorted = seen.clone();
            sorted.sort_unstable();
            sorted
        });
        seen.sort_unstable();
        assert_eq!(seen, (0..200).collect::<Vec<_>>());
    }
}
