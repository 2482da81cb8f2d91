//! A small network with fixed seeds.

use antiphon_onion::{
    Hop, HopKey, JointSealKey, OnionSecretKey, PeelKey, RoundContext, SealSecretKey,
};
use antiphon_wire::{Epoch, Geometry, Layer, Round, ShardIndex};
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

pub(crate) struct Network {
    pub(crate) secrets: Vec<OnionSecretKey>,
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
        let plain = secrets.iter().map(|secret| HopKey::plain(&secret.public_key())).collect();
        let sealed = secrets
            .iter()
            .map(|secret| HopKey::sealed(&secret.public_key(), &joint).unwrap())
            .collect();
        Self { secrets, seals, plain, sealed }
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
        if layer == geometry.seal_layer() {
            PeelKey::sealed(secret, &self.seals).unwrap()
        } else {
            PeelKey::plain(secret)
        }
    }
}

pub(crate) fn deposits(geometry: Geometry, onions: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    let mut deposits = vec![0; onions * geometry.deposit_bytes()];
    rng.fill_bytes(&mut deposits);
    deposits
}
