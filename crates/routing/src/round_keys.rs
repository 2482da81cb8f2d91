//! The keys of one round, and onions built with them.

use std::ops::Deref;

use antiphon_onion::{
    BuildError, Built, Hop, HopKey, Keep, KeyError, ReplyKeys, RoundContext, build_batch,
};
use antiphon_wire::{DEAD_DROP_BYTES, Layer, Round, ShardIndex};
use rand::CryptoRng;

use crate::{DrawnPaths, VerifiedEpoch};

/// The keys that a round's onions are built with. The epoch is borrowed or shared.
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

    /// Epoch, round and shape of the onions, to which their keys are bound.
    pub fn context(&self) -> RoundContext {
        RoundContext {
            geometry: self.epoch.geometry(),
            epoch: self.epoch.epoch(),
            round: self.round,
        }
    }

    /// Builds one onion for each of `deposits`, which stand behind each other, along a fresh path each.
    /// `out` receives the onions as they enter layer 1, behind each other.
    ///
    /// # Errors
    /// If the lengths do not fit each other, or a key gives no shared secret, which no honest one does.
    pub fn build<'k>(
        &'k self,
        deposits: &[u8],
        keep: Keep,
        rng: &mut impl CryptoRng,
        out: &mut [u8],
    ) -> Result<(DrawnPaths<'k>, Built), BuildError> {
        let context = self.context();
        let deposit_bytes = context.geometry.deposit_bytes();
        let onions = deposits.len() / deposit_bytes;
        let mut paths = DrawnPaths::with_capacity(context.geometry, onions);
        for deposit in deposits.chunks_exact(deposit_bytes) {
            let dead_drop =
                deposit.first_chunk().expect("a deposit starts with the bytes of its dead drop");
            self.draw_path(dead_drop, rng, &mut paths);
        }
        let built = build_batch(context, paths.hops(), deposits, keep, rng, out)?;
        Ok((paths, built))
    }

    /// Builds the onions of `deposits` as clients hand them in: the entries behind each other, and what
    /// opens their replies.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn entries(
        &self,
        deposits: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, ReplyKeys), BuildError> {
        let (entries, built) = self.entries_keeping(deposits, Keep::NOTHING, rng)?;
        Ok((entries, built.replies))
    }

    /// The same, with all of their maker's part that `keep` asks for.
    ///
    /// # Errors
    /// As [`build`](Self::build).
    pub fn entries_keeping(
        &self,
        deposits: &[u8],
        keep: Keep,
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Built), BuildError> {
        let geometry = self.epoch.geometry();
        let count = deposits.len() / geometry.deposit_bytes();
        let mut onions = vec![0; count * geometry.onion_bytes(Layer::FIRST)];
        let (paths, built) = self.build(deposits, keep, rng, &mut onions)?;
        let mut entries = Vec::with_capacity(count * geometry.entry_bytes());
        paths.entries(&onions).for_each(|entry| entry.append_to(&mut entries));
        Ok((entries, built))
    }

    /// Draws a path to the shard of `dead_drop` and appends its L hops to `paths`: the mixing hops
    /// independently of each other and of the dead drop.
    fn draw_path<'k>(
        &'k self,
        dead_drop: &[u8; DEAD_DROP_BYTES],
        rng: &mut impl CryptoRng,
        paths: &mut DrawnPaths<'k>,
    ) {
        let sampler = self.epoch.paths();
        for layer in 1..self.epoch.geometry().layers() {
            paths.push(self.hop(sampler.draw_hop(rng), Layer(layer)));
        }
        paths
            .push(self.hop(sampler.dead_drop_shard(dead_drop), self.epoch.geometry().last_layer()));
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
