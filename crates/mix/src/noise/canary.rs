//! Canaries on their way through the round that sets them up.

use std::sync::Arc;

use antiphon_canaries::Canary;
use antiphon_onion::{CircuitKeys, ErasingRng, Keep, ReplyKeys};
use antiphon_routing::{RoundKeys, VerifiedEpoch};
use antiphon_wire::{DEAD_DROP_BYTES, Geometry, Layer, ShardIndex};
use rand::Rng as _;
use zeroize::Zeroizing;

/// What is kept of a canary's onions.
const KEEP: Keep = Keep { circuits: true, ..Keep::NOISE };

/// A canary whose round has not answered: two deposits at one dead drop, as an idle client's.
#[derive(Debug)]
pub(crate) struct UnprovenCanary {
    hops: [Vec<ShardIndex>; 2],
    circuits: CircuitKeys,
    replies: ReplyKeys,
    /// Both bodies, behind each other.
    bodies: Zeroizing<Vec<u8>>,
    /// What the contents of its cells will come of.
    seed: Zeroizing<[u8; 32]>,
}

impl UnprovenCanary {
    /// Builds a canary. `out` receives both onions as they enter layer 1. Returns them as well as they enter the seal
    /// layer; `None` if the round's keys are unusable.
    pub(super) fn build(
        keys: &RoundKeys<Arc<VerifiedEpoch>>,
        geometry: Geometry,
        rng: &mut ErasingRng,
        out: &mut [u8],
    ) -> Option<(Self, Zeroizing<Vec<u8>>)> {
        let deposit_bytes = geometry.deposit_bytes();
        let mut deposits = Zeroizing::new(vec![0; 2 * deposit_bytes]);
        rng.fill_bytes(&mut deposits);
        deposits.copy_within(..DEAD_DROP_BYTES, deposit_bytes);
        let mut seed = Zeroizing::new([0; 32]);
        rng.fill_bytes(&mut *seed);

        let (paths, built) = keys.build(&deposits, KEEP, rng, out).ok()?;
        let hops: Vec<_> = paths.shards().collect();
        let bodies = deposits.chunks_exact(deposit_bytes);
        let bodies = bodies.flat_map(|deposit| &deposit[DEAD_DROP_BYTES..]).copied().collect();
        let canary = Self {
            hops: hops.try_into().ok()?,
            circuits: built.circuits?,
            replies: built.replies,
            bodies: Zeroizing::new(bodies),
            seed,
        };
        Some((canary, Zeroizing::new(built.sealed?)))
    }

    /// The shard at a layer on the way of each of its onions.
    pub(super) fn shards_at(&self, layer: Layer) -> impl Iterator<Item = ShardIndex> {
        self.hops.iter().map(move |hops| hops[usize::from(layer.0) - 1])
    }

    /// The canary as its circuits carry it, if both replies are the other one's body. They are as the gateway has
    /// them, behind each other.
    pub(crate) fn prove(self, replies: &[u8]) -> Option<Canary> {
        if replies.len() != self.bodies.len() {
            return None;
        }
        let body_bytes = replies.len() / 2;
        let mut opened = Zeroizing::new(replies.to_vec());
        for (onion, body) in opened.chunks_exact_mut(body_bytes).enumerate() {
            self.replies.open(onion, body);
        }
        // Nobody learns from it how much of a body is right: all of them are this shard's own.
        let (one, other) = self.bodies.split_at(body_bytes);
        let is_clean = opened[..body_bytes] == *other && opened[body_bytes..] == *one;
        is_clean.then(|| Canary::new(self.hops, self.circuits, self.seed))
    }
}
