//! A small network with fixed seeds.

use std::sync::Arc;

use antiphon_onion::{
    Hop, HopKey, JointSealKey, KemSecretKey, OnionSecretKey, PeelKey, RoundContext, SealSecretKey,
};
use antiphon_wire::{Epoch, Geometry, Layer, Round, ShardIndex, Suite};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

pub(crate) fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

pub(crate) fn context(layers: u8, body: u16) -> RoundContext {
    RoundContext {
        geometry: Geometry::new(layers, body).unwrap(),
        epoch: Epoch(7),
        round: Round(5000),
    }
}

/// The same round in suite 2.
pub(crate) fn hybrid(layers: u8, body: u16) -> RoundContext {
    let classic = context(layers, body);
    RoundContext { geometry: classic.geometry.with_suite(Suite::Hybrid), ..classic }
}

/// Shards whose keys have both halves.
pub(crate) struct Network {
    pub(crate) secrets: Vec<OnionSecretKey>,
    pub(crate) kems: Vec<Arc<KemSecretKey>>,
    pub(crate) seals: Vec<SealSecretKey>,
    pub(crate) plain: Vec<HopKey>,
    pub(crate) sealed: Vec<HopKey>,
}

impl Network {
    pub(crate) fn new(shards: usize, rng: &mut ChaCha20Rng) -> Self {
        let secrets: Vec<_> = (0..shards).map(|_| OnionSecretKey::generate(rng)).collect();
        let seals: Vec<_> = (0..shards).map(|_| SealSecretKey::generate(rng)).collect();
        let seal_keys: Vec<_> = seals.iter().map(SealSecretKey::public_key).collect();
        let joint = JointSealKey::sum(&seal_keys).unwrap();
        let kems: Vec<_> = (0..shards).map(|_| Arc::new(KemSecretKey::generate(rng))).collect();
        let with_kem = |(key, kem): (HopKey, &Arc<KemSecretKey>)| {
            key.with_kem(Arc::new(kem.public_key().clone()))
        };
        let plain = secrets.iter().map(|secret| HopKey::plain(&secret.public_key()));
        let sealed =
            secrets.iter().map(|secret| HopKey::sealed(&secret.public_key(), &joint).unwrap());
        let plain = plain.zip(&kems).map(with_kem).collect();
        let sealed = sealed.zip(&kems).map(with_kem).collect();
        Self { secrets, kems, seals, plain, sealed }
    }

    pub(crate) fn path(&self, geometry: Geometry, rng: &mut ChaCha20Rng) -> Vec<Hop<'_>> {
        geometry
            .all_layers()
            .map(|layer| {
                let shard = rng.next_u32() as usize % self.plain.len();
                let keys = if layer == geometry.seal_layer() { &self.sealed } else { &self.plain };
                Hop { shard: ShardIndex(shard as u16), key: &keys[shard] }
            })
            .collect()
    }

    pub(crate) fn peel_key(&self, geometry: Geometry, layer: Layer, shard: ShardIndex) -> PeelKey {
        let secret = &self.secrets[shard.position()];
        let key = if layer == geometry.seal_layer() {
            PeelKey::sealed(secret, &self.seals).unwrap()
        } else {
            PeelKey::plain(secret)
        };
        key.with_kem(Arc::clone(&self.kems[shard.position()]))
    }
}

pub(crate) fn deposits(geometry: Geometry, onions: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut deposits = vec![0; onions * geometry.deposit_bytes()];
    rng.fill_bytes(&mut deposits);
    deposits
}
