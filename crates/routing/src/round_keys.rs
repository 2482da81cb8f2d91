//! The keys of one round, and paths drawn over them.

use std::ops::Deref;

use antiphon_onion::{Hop, HopKey, KeyError, RoundContext};
use antiphon_wire::{DEAD_DROP_BYTES, Layer, Round, ShardIndex};
use rand::CryptoRng;

use crate::VerifiedEpoch;

/// What is needed to build a round's onions, with the epoch borrowed or shared.
#[derive(Debug)]
pub struct RoundKeys<E> {
    epoch: E,
    round: Round,
    sealed: Vec<HopKey>,
}

impl<E: Deref<Target = VerifiedEpoch>> RoundKeys<E> {
    /// The keys to build the onions of `round` with, or `None` if it is not the epoch's.
    ///
    /// # Errors
    /// If a shard's key and the joint seal key cancel each other.
    pub fn new(epoch: E, round: Round) -> Option<Result<Self, KeyError>> {
        let sealed = epoch.sealed_keys(round)?;
        Some(sealed.map(|sealed| Self { epoch, round, sealed }))
    }

    /// What onions of the round are bound to.
    pub fn context(&self) -> RoundContext {
        RoundContext {
            geometry: self.epoch.geometry(),
            epoch: self.epoch.epoch(),
            round: self.round,
        }
    }

    /// Draws a path to the shard of `dead_drop` and appends its L hops to `path`: the mixing hops
    /// independently of each other and of the dead drop.
    pub fn draw_path<'k>(
        &'k self,
        dead_drop: &[u8; DEAD_DROP_BYTES],
        rng: &mut impl CryptoRng,
        path: &mut Vec<Hop<'k>>,
    ) {
        let paths = self.epoch.paths();
        for layer in 1..self.epoch.geometry().layers() {
            path.push(self.hop(paths.draw_hop(rng), Layer(layer)));
        }
        path.push(self.hop(paths.dead_drop_shard(dead_drop), self.epoch.geometry().last_layer()));
    }

    /// A shard as the hop at `layer`.
    pub fn hop(&self, shard: ShardIndex, layer: Layer) -> Hop<'_> {
        let key = if layer == self.epoch.geometry().seal_layer() {
            &self.sealed[shard.position()]
        } else {
            self.epoch.hop_key(shard)
        };
        Hop { shard, key }
    }
}
