//! The published vectors hold for this implementation.

use std::sync::Arc;

use antiphon_onion::{
    EphemeralSecrets, Hop, HopKey, JointSealKey, KemSecretKey, KeyError, KeySet, OnionPublicKey,
    OnionSecretKey, PeelKey, Peeled, ProofOfPossession, ReplyKey, ReplyKeys, RoundContext,
    SealPublicKey, SealSecretKey, apply_reply_stream, ephemeral_of, inner_of, peel_batch,
    rebuild_batch,
};
use antiphon_wire::{Epoch, Geometry, Layer, Round, ShardIndex, Suite};
use serde_json::Value;

const GOOD: &str = include_str!("../../vectors/good.json");
const HYBRID: &str = include_str!("../../vectors/hybrid.json");
const BAD: &str = include_str!("../../vectors/bad.json");

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().unwrap()).unwrap()
}

fn array<const N: usize>(value: &Value) -> [u8; N] {
    bytes(value).try_into().unwrap()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

struct Good {
    json: Value,
    context: RoundContext,
    secrets: Vec<OnionSecretKey>,
    seals: Vec<SealSecretKey>,
    joint: JointSealKey,
}

impl Good {
    fn read() -> Self {
        let json: Value = serde_json::from_str(GOOD).unwrap();
        let context = RoundContext {
            geometry: Geometry::new(
                number(&json["layers"]) as u8,
                number(&json["body_bytes"]) as u16,
            )
            .unwrap(),
            epoch: Epoch(number(&json["epoch"])),
            round: Round(number(&json["round"])),
        };
        let shards = json["shards"].as_array().unwrap();
        let secrets = shards
            .iter()
            .map(|shard| OnionSecretKey::from_bytes(array(&shard["onion_secret"])).unwrap())
            .collect();
        let seals = shards
            .iter()
            .map(|shard| SealSecretKey::from_bytes(array(&shard["seal_secret"])).unwrap())
            .collect();
        let joint = JointSealKey::from_bytes(array(&json["joint_seal_key"])).unwrap();
        Self { json, context, secrets, seals, joint }
    }

    fn path(&self) -> &[Value] {
        self.json["path"].as_array().unwrap()
    }

    fn shard(&self, layer: Layer) -> usize {
        number(&self.path()[usize::from(layer.0 - 1)]["shard"]) as usize
    }

    fn peel_key(&self, layer: Layer) -> PeelKey {
        let secret = &self.secrets[self.shard(layer)];
        if layer == self.context.geometry.seal_layer() {
            PeelKey::sealed(secret, &self.seals).unwrap()
        } else {
            PeelKey::plain(secret)
        }
    }
}

#[test]
fn keys_are_as_published() {
    let good = Good::read();
    let shards = good.json["shards"].as_array().unwrap();
    let mut seal_keys = Vec::new();
    for ((shard, secret), seal) in shards.iter().zip(&good.secrets).zip(&good.seals) {
        assert_eq!(
            OnionPublicKey::from_bytes(array(&shard["onion_public"])),
            Ok(secret.public_key())
        );
        let key = SealPublicKey::from_bytes(array(&shard["seal_public"])).unwrap();
        assert!(key.matches(seal));
        seal_keys.push(key);
    }
    assert_eq!(JointSealKey::sum(&seal_keys), Ok(good.joint));
    let possession = &good.json["possession"];
    let context = bytes(&possession["context"]);
    let proof = ProofOfPossession(array(&possession["proof"]));
    let set = KeySet { onion: &good.secrets[0].public_key(), seals: &seal_keys };
    assert!(set.are_possessed(&context, &proof));
}

#[test]
fn onions_are_built_as_published() {
    let good = Good::read();
    let geometry = good.context.geometry;
    let keys: Vec<_> = geometry
        .all_layers()
        .map(|layer| {
            let public = good.secrets[good.shard(layer)].public_key();
            if layer == geometry.seal_layer() {
                HopKey::sealed(&public, &good.joint).unwrap()
            } else {
                HopKey::plain(&public)
            }
        })
        .collect();
    let hops: Vec<_> = geometry
        .all_layers()
        .zip(&keys)
        .map(|(layer, key)| Hop { shard: ShardIndex(good.shard(layer) as u16), key })
        .collect();
    let secrets: Vec<_> =
        good.path().iter().map(|layer| array(&layer["ephemeral_secret"])).collect();
    let ephemerals = EphemeralSecrets::revealed(&secrets);
    let deposit = bytes(&good.json["deposit"]);
    for ((layer, published), key) in geometry.all_layers().zip(good.path()).zip(&keys) {
        assert_eq!(key.u(), &array(&published["hop_key_u"]));
        let mut onion = vec![0; geometry.onion_bytes(layer)];
        rebuild_batch(good.context, layer, &hops, &deposit, &ephemerals, &mut onion).unwrap();
        assert_eq!(onion, bytes(&published["onion"]));
        assert_eq!(*blake3::hash(&onion).as_bytes(), array(&published["onion_blake3"]));
    }
}

#[test]
fn onions_are_peeled_and_answered_as_published() {
    let good = Good::read();
    let geometry = good.context.geometry;
    let mut onion = bytes(&good.path()[0]["onion"]);
    let mut reply_keys: Vec<ReplyKey> = Vec::new();
    for (layer, published) in geometry.all_layers().zip(good.path()) {
        assert_eq!(onion, bytes(&published["onion"]));
        let mut peeled = Peeled::default();
        let key = good.peel_key(layer);
        peel_batch(&key, good.context, layer, &mut onion, &mut peeled).unwrap();
        assert_eq!(ephemeral_of(&onion), bytes(&published["onion"]).first_chunk().unwrap());
        let reply_key = peeled.reply_key(0).unwrap();
        assert_eq!(*reply_key.as_bytes(), array(&published["reply_key"]));
        reply_keys.push(reply_key.clone());
        onion = inner_of(geometry, layer, &onion).to_vec();
    }
    assert_eq!(onion, bytes(&good.json["deposit"]));

    let mut reply = bytes(&good.json["reply"]);
    for (key, published) in reply_keys.iter().zip(good.path()).rev() {
        apply_reply_stream(key, &mut reply);
        assert_eq!(reply, bytes(&published["reply_leaving"]));
    }
    ReplyKeys::of_one_onion(reply_keys).open(0, &mut reply);
    assert_eq!(reply, bytes(&good.json["reply"]));
}

#[test]
fn onions_of_suite_2_are_built_and_peeled_as_published() {
    let good = Good::read();
    let json: Value = serde_json::from_str(HYBRID).unwrap();
    let geometry = good.context.geometry.with_suite(Suite::Hybrid);
    let context = RoundContext { geometry, ..good.context };
    let shards = json["shards"].as_array().unwrap();
    let kems: Vec<_> = shards
        .iter()
        .map(|shard| Arc::new(KemSecretKey::from_seed(&array(&shard["kem_seed"]))))
        .collect();
    for (shard, kem) in shards.iter().zip(&kems) {
        let hash = blake3::hash(&kem.public_key().to_bytes());
        assert_eq!(*hash.as_bytes(), array(&shard["kem_public_blake3"]));
    }
    let keys: Vec<_> = geometry
        .all_layers()
        .map(|layer| {
            let public = good.secrets[good.shard(layer)].public_key();
            let key = if layer == geometry.seal_layer() {
                HopKey::sealed(&public, &good.joint).unwrap()
            } else {
                HopKey::plain(&public)
            };
            key.with_kem(Arc::new(kems[good.shard(layer)].public_key().clone()))
        })
        .collect();
    let hops: Vec<_> = geometry
        .all_layers()
        .zip(&keys)
        .map(|(layer, key)| Hop { shard: ShardIndex(good.shard(layer) as u16), key })
        .collect();
    let path = json["path"].as_array().unwrap();
    let secrets: Vec<_> = path.iter().map(|layer| array(&layer["ephemeral_secret"])).collect();
    let ephemerals = EphemeralSecrets::revealed(&secrets);
    let deposit = bytes(&good.json["deposit"]);
    let mut onion = bytes(&json["onion"]);
    for (layer, published) in geometry.all_layers().zip(path) {
        assert_eq!(*blake3::hash(&onion).as_bytes(), array(&published["onion_blake3"]));
        let mut built = vec![0; geometry.onion_bytes(layer)];
        rebuild_batch(context, layer, &hops, &deposit, &ephemerals, &mut built).unwrap();
        assert_eq!(onion, built);
        let mut peeled = Peeled::default().with_circuits();
        let key = good.peel_key(layer).with_kem(Arc::clone(&kems[good.shard(layer)]));
        peel_batch(&key, context, layer, &mut onion, &mut peeled).unwrap();
        assert_eq!(peeled.reply_key(0).unwrap().as_bytes(), &array(&published["reply_key"]));
        assert_eq!(peeled.circuit_key(0).unwrap().as_bytes(), &array(&published["circuit_key"]));
        onion = inner_of(geometry, layer, &onion).to_vec();
    }
    assert_eq!(onion, deposit);
}

#[test]
fn bad_onions_do_not_open() {
    let good = Good::read();
    let bad: Value = serde_json::from_str(BAD).unwrap();
    for case in bad["onions_that_do_not_open"].as_array().unwrap() {
        let body = good.context.geometry.body_bytes() as u16;
        let context = RoundContext {
            geometry: Geometry::new(number(&case["layers"]) as u8, body).unwrap(),
            epoch: Epoch(number(&case["epoch"])),
            round: Round(number(&case["round"])),
        };
        let layer = Layer(number(&case["layer"]) as u8);
        let key = PeelKey::plain(&good.secrets[number(&case["shard"]) as usize]);
        let mut onion = bytes(&case["onion"]);
        let mut peeled = Peeled::default();
        peel_batch(&key, context, layer, &mut onion, &mut peeled).unwrap();
        assert_eq!(peeled.len(), 1);
        assert!(!peeled.opened(0), "{}", case["name"]);
    }
}

#[test]
fn bad_keys_and_proofs_are_refused() {
    let good = Good::read();
    let bad: Value = serde_json::from_str(BAD).unwrap();
    for case in bad["onion_keys_that_are_refused"].as_array().unwrap() {
        let key = array(&case["key"]);
        assert!(OnionPublicKey::from_bytes(key).is_err(), "{}", case["name"]);
        let torsion = case["name"] == "torsion component";
        assert_eq!(SealPublicKey::from_bytes(key).is_ok(), torsion, "{}", case["name"]);
        assert_eq!(JointSealKey::from_bytes(key).is_ok(), torsion, "{}", case["name"]);
    }
    for secret in bad["seal_secrets_that_are_refused"].as_array().unwrap() {
        assert_eq!(SealSecretKey::from_bytes(array(secret)).unwrap_err(), KeyError::Scalar);
    }
    let opposite = array(&bad["onion_secret_that_cancels_the_seal_key_of_shard_0"]);
    let opposite = OnionSecretKey::from_bytes(opposite).unwrap();
    let joint = JointSealKey::sum([&good.seals[0].public_key()]).unwrap();
    let sum = HopKey::sealed(&opposite.public_key(), &joint);
    assert_eq!(sum.unwrap_err(), KeyError::Identity);

    let possession = &bad["possession_proof_that_fails"];
    let proof = ProofOfPossession(array(&possession["proof"]));
    let context = bytes(&possession["context"]);
    let mut seals: Vec<_> = good.seals.iter().map(SealSecretKey::public_key).collect();
    seals.swap(0, 1);
    let set = KeySet { onion: &good.secrets[0].public_key(), seals: &seals };
    assert!(!set.are_possessed(&context, &proof));
}
