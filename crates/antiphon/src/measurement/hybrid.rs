//! What suite 2 adds to onions: ML-KEM at every hop.

use std::sync::Arc;

use antiphon_onion::{
    Hop, HopKey, JointSealKey, Keep, KemSecretKey, OnionSecretKey, PeelKey, Peeled, RoundContext,
    SealSecretKey, build_batch, peel_batch,
};
use antiphon_process::entropy::entropy;
use antiphon_wire::{Layer, ShardIndex, Suite};

use super::MeasurementError;
use super::fixture::Fixture;
use super::onions::micros;
use super::stopwatch::Stopwatch;

/// Onions of a batch: each takes as long as dozens of suite 1.
const ONIONS: usize = 16;

/// Microseconds of processor time, what the same takes in suite 1 included.
#[derive(Clone, Copy, Debug)]
pub(super) struct HybridCosts {
    pub(super) peel_us: f64,
    pub(super) build_us_per_hop: f64,
}

/// Measures with the kernel that is selected, with one shard for all hops.
pub(super) fn costs(
    stopwatch: &Stopwatch,
    fixture: &Fixture,
) -> Result<HybridCosts, MeasurementError> {
    let rng = &mut entropy();
    let geometry = fixture.context.geometry.with_suite(Suite::Hybrid);
    let context = RoundContext { geometry, ..fixture.context };
    let secret = OnionSecretKey::generate(rng);
    let kem = Arc::new(KemSecretKey::generate(rng));
    let joint = JointSealKey::sum([&SealSecretKey::generate(rng).public_key()])?;
    let public = secret.public_key();
    let with_kem = |key: HopKey| key.with_table().with_kem(Arc::new(kem.public_key().clone()));
    let plain = with_kem(HopKey::plain(&public));
    let sealed = with_kem(HopKey::sealed(&public, &joint)?);
    let hop = |layer: Layer| {
        let key = if layer == geometry.seal_layer() { &sealed } else { &plain };
        Hop { shard: ShardIndex(0), key }
    };
    let paths: Vec<_> = (0..ONIONS).flat_map(|_| geometry.all_layers().map(hop)).collect();
    let deposits = &fixture.deposits[..ONIONS * geometry.deposit_bytes()];
    let mut onions = vec![0; ONIONS * geometry.onion_bytes(Layer::FIRST)];
    // Whatever could fail fails here.
    build_batch(context, &paths, deposits, Keep::NOISE, rng, &mut onions)?;
    let build = stopwatch
        .seconds(|| build_batch(context, &paths, deposits, Keep::NOISE, rng, &mut onions).is_ok());

    let key = PeelKey::plain(&secret).with_kem(kem);
    let mut peeled = Peeled::with_capacity(ONIONS);
    peel_batch(&key, context, Layer::FIRST, &mut onions.clone(), &mut peeled)?;
    let opened = peeled.opened_count();
    if opened != ONIONS {
        return Err(MeasurementError::Wrong { kernel: "of suite 2", opened, onions: ONIONS });
    }
    let peel = stopwatch.prepared(
        || onions.clone(),
        |mut onions| {
            let _ = peel_batch(&key, context, Layer::FIRST, &mut onions, &mut peeled);
            onions
        },
    );
    Ok(HybridCosts { peel_us: micros(peel, ONIONS), build_us_per_hop: micros(build, paths.len()) })
}
