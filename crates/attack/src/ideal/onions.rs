//! The onions of a round, as who built them knows them.

use antiphon_dp_noise::PairSampler;
use antiphon_mix::noise_deposits;
use antiphon_routing::PathSampler;
use antiphon_wire::{DEAD_DROP_BYTES, ShardIndex};
use rand::CryptoRng;

/// Who built an onion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    /// A user, and which of its two it is.
    User(usize, usize),
    /// A shard, for noise, and whether it will check it.
    Noise { shard: ShardIndex, checked: bool },
}

/// An onion. The same record stands for its ciphertext at every layer: places differ, and nobody but
/// the holders of keys is told which belong together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Onion {
    pub(super) owner: Owner,
    /// Gateway of a user's onion, or the shard whose noise it is.
    pub(super) enters: ShardIndex,
    pub(super) dead_drop: u128,
    /// True for onions of users in question and for single noise, about which the adversary is told nothing.
    pub(super) hidden: bool,
}

/// All onions of a round and their mixing hops.
#[derive(Debug, Default)]
pub(super) struct Onions {
    pub(super) list: Vec<Onion>,
    hops: Vec<ShardIndex>,
    per_onion: usize,
}

impl Onions {
    pub(super) fn new(mixing_hops: u8) -> Self {
        Self { list: Vec::new(), hops: Vec::new(), per_onion: usize::from(mixing_hops) }
    }

    pub(super) fn add(&mut self, onion: Onion, paths: &PathSampler, rng: &mut impl CryptoRng) {
        self.list.push(onion);
        let start = self.hops.len();
        self.hops.resize(start + self.per_onion, ShardIndex(0));
        paths.draw_path(rng, &mut self.hops[start..]);
    }

    /// Keeps the onions of some owners, with their hops.
    pub(super) fn retain(&mut self, mut keeps: impl FnMut(Owner) -> bool) {
        let kept: Vec<bool> = self.list.iter().map(|onion| keeps(onion.owner)).collect();
        let mut of_onion = kept.iter();
        self.list.retain(|_| of_onion.next().is_some_and(|kept| *kept));
        let mut of_hop = kept.iter().flat_map(|kept| std::iter::repeat_n(kept, self.per_onion));
        self.hops.retain(|_| of_hop.next().is_some_and(|kept| *kept));
    }

    /// The shard of an onion at a mixing layer, the first being 1.
    pub(super) fn hop(&self, onion: u32, layer: u8) -> ShardIndex {
        self.hops[onion as usize * self.per_onion + usize::from(layer) - 1]
    }

    /// One shard's noise: a fixed volume in random order, of which a secret number is paired.
    pub(super) fn add_noise(
        &mut self,
        shard: ShardIndex,
        sampler: &PairSampler,
        paths: &PathSampler,
        all_checked: bool,
        rng: &mut impl CryptoRng,
    ) {
        let deposits = noise_deposits(sampler, DEAD_DROP_BYTES, rng);
        // The deposits are dead drops and nothing else.
        let (dead_drops, _) = deposits.as_chunks::<DEAD_DROP_BYTES>();
        let dead_drops: Vec<u128> = dead_drops.iter().map(|id| u128::from_be_bytes(*id)).collect();
        let mut sorted = dead_drops.clone();
        sorted.sort_unstable();
        let mut paired: Vec<u128> =
            sorted.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]).collect();
        paired.dedup();
        for dead_drop in dead_drops {
            let checked = all_checked || rng.next_u32() & 1 == 1;
            let hidden = paired.binary_search(&dead_drop).is_err();
            let owner = Owner::Noise { shard, checked };
            self.add(Onion { owner, enters: shard, dead_drop, hidden }, paths, rng);
        }
    }
}

pub(super) fn random_dead_drop(rng: &mut impl CryptoRng) -> u128 {
    u128::from(rng.next_u64()) << 64 | u128::from(rng.next_u64())
}
