//! Onions to measure with, shaped as in the default network.

use antiphon_onion::{
    Hop, HopKey, JointSealKey, Keep, OnionSecretKey, PeelKey, RoundContext, SealSecretKey,
    build_batch,
};
use antiphon_process::entropy::entropy;
use antiphon_wire::{Epoch, Geometry, Layer, Round, ShardIndex};
use rand::Rng as _;

use super::MeasurementError;

/// Layers of the default guarantee at f = 0.2.
const LAYERS: u8 = 15;
/// Bytes of a body, as the coordinator proposes.
const BODY: u16 = 256;
/// Onions of a batch: about what a block of the round machine holds.
pub(super) const ONIONS: usize = 1024;
/// Shards that onions are built for: their tables do not all fit into the nearest cache.
const SHARDS: usize = 5;

/// Keys, and onions for one of them.
pub(super) struct Fixture {
    pub(super) context: RoundContext,
    pub(super) peel: PeelKey,
    plain: Vec<HopKey>,
    tables: Vec<HopKey>,
    sealed: HopKey,
    sealed_table: HopKey,
    pub(super) deposits: Vec<u8>,
    /// As they enter layer 1, for the shard of `peel`.
    pub(super) onions: Vec<u8>,
}

impl Fixture {
    pub(super) fn new() -> Result<Self, MeasurementError> {
        let rng = &mut entropy();
        // Within the bounds of a geometry.
        let geometry = Geometry::new(LAYERS, BODY).expect("15 layers, 256 bytes");
        let context = RoundContext { geometry, epoch: Epoch(1), round: Round(1) };
        let secrets: Vec<_> = (0..SHARDS).map(|_| OnionSecretKey::generate(rng)).collect();
        let joint = JointSealKey::sum([&SealSecretKey::generate(rng).public_key()])?;
        let plain: Vec<_> =
            secrets.iter().map(|secret| HopKey::plain(&secret.public_key())).collect();
        let tables =
            secrets.iter().map(|secret| HopKey::plain(&secret.public_key()).with_table()).collect();
        let sealed = || HopKey::sealed(&secrets[0].public_key(), &joint);
        let mut deposits = vec![0; ONIONS * geometry.deposit_bytes()];
        rng.fill_bytes(&mut deposits);
        let mut fixture = Self {
            context,
            peel: PeelKey::plain(&secrets[0]),
            plain,
            tables,
            sealed: sealed()?,
            sealed_table: sealed()?.with_table(),
            deposits,
            onions: Vec::new(),
        };
        fixture.onions = fixture.build(&fixture.paths(true))?;
        Ok(fixture)
    }

    /// Paths whose first shard is that of `peel`.
    pub(super) fn paths(&self, with_tables: bool) -> Vec<Hop<'_>> {
        let (plain, sealed) = if with_tables {
            (&self.tables, &self.sealed_table)
        } else {
            (&self.plain, &self.sealed)
        };
        let geometry = self.context.geometry;
        let hop = |onion: usize, layer: Layer| {
            // Layer 1 is the first shard's for every onion; further in the paths differ, as in a round.
            let at = usize::from(layer.0 - 1) * (onion + 1) % SHARDS;
            let seal = layer == geometry.seal_layer();
            let key = if seal { sealed } else { &plain[at] };
            Hop { shard: ShardIndex(at as u16), key }
        };
        (0..ONIONS)
            .flat_map(|onion| geometry.all_layers().map(move |layer| hop(onion, layer)))
            .collect()
    }

    pub(super) fn build(&self, paths: &[Hop<'_>]) -> Result<Vec<u8>, MeasurementError> {
        let mut onions = vec![0; ONIONS * self.context.geometry.onion_bytes(Layer::FIRST)];
        let deposits = &self.deposits;
        build_batch(self.context, paths, deposits, Keep::NOISE, &mut entropy(), &mut onions)?;
        Ok(onions)
    }
}
