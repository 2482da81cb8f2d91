//! Writes `vectors/good.json`, `vectors/bad.json` and `vectors/hybrid.json`. The seed is fixed: the files never
//! change unless a suite does.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use antiphon_onion::{
    EphemeralSecrets, Hop, HopKey, JointSealKey, Keep, KemSecretKey, KeySet, OnionSecretKey,
    ReplyKeys, RoundContext, SealSecretKey, apply_reply_stream, build_batch, rebuild_batch,
};
use antiphon_wire::{Epoch, Geometry, Layer, Round, ShardIndex, Suite};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde_json::{Value, json};

const PATH: [usize; 4] = [2, 0, 1, 2];
const PROOF_CONTEXT: &[u8] = b"Antiphon test vector";

fn main() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let sample = Sample::new()?;
    for (name, value) in [
        ("good.json", sample.good()?),
        ("bad.json", sample.bad()?),
        ("hybrid.json", sample.hybrid()?),
    ] {
        std::fs::write(folder.join(name), serde_json::to_string_pretty(&value)? + "\n")?;
    }
    Ok(())
}

struct Sample {
    context: RoundContext,
    onion_bytes: Vec<[u8; 32]>,
    secrets: Vec<OnionSecretKey>,
    seals: Vec<SealSecretKey>,
    joint: JointSealKey,
    proof: String,
    deposit: Vec<u8>,
    reply: Vec<u8>,
    replies: ReplyKeys,
    ephemerals: EphemeralSecrets,
    /// The onion as it enters layers 1 to L.
    entering: Vec<Vec<u8>>,
    hop_keys: Vec<[u8; 32]>,
}

impl Sample {
    fn new() -> Result<Self, Box<dyn Error>> {
        let rng = &mut ChaCha20Rng::seed_from_u64(2026);
        let geometry = Geometry::new(4, 64)?;
        let context = RoundContext { geometry, epoch: Epoch(3), round: Round(2161) };
        let onion_bytes: Vec<_> = (0..3).map(|_| Scalar::random(rng).to_bytes()).collect();
        let secrets: Vec<_> =
            onion_bytes.iter().map(|b| OnionSecretKey::from_bytes(*b)).collect::<Result<_, _>>()?;
        let seals: Vec<_> = (0..3).map(|_| SealSecretKey::generate(rng)).collect();
        let seal_keys: Vec<_> = seals.iter().map(SealSecretKey::public_key).collect();
        let joint = JointSealKey::sum(&seal_keys)?;
        let set = KeySet { onion: &secrets[0].public_key(), seals: &seal_keys };
        let proof = set.prove(&secrets[0], &seals, PROOF_CONTEXT, rng);
        assert!(set.are_possessed(PROOF_CONTEXT, &proof));

        let keys: Vec<_> = geometry
            .all_layers()
            .zip(PATH)
            .map(|(layer, shard)| {
                let public = secrets[shard].public_key();
                if layer == geometry.seal_layer() {
                    HopKey::sealed(&public, &joint)
                } else {
                    Ok(HopKey::plain(&public))
                }
            })
            .collect::<Result<_, _>>()?;
        let path: Vec<_> = keys
            .iter()
            .zip(PATH)
            .map(|(key, shard)| Hop { shard: ShardIndex(shard as u16), key })
            .collect();
        let mut deposit = vec![0; geometry.deposit_bytes()];
        rng.fill_bytes(&mut deposit);
        let mut reply = vec![0; geometry.body_bytes()];
        rng.fill_bytes(&mut reply);
        let mut onion = vec![0; geometry.onion_bytes(Layer::FIRST)];
        let built = build_batch(context, &path, &deposit, Keep::ALL, rng, &mut onion)?;
        let ephemerals = built.ephemerals.ok_or("the ephemeral secrets were asked for")?;
        let entering = geometry
            .all_layers()
            .map(|layer| {
                let mut onion = vec![0; geometry.onion_bytes(layer)];
                rebuild_batch(context, layer, &path, &deposit, &ephemerals, &mut onion)?;
                Ok(onion)
            })
            .collect::<Result<Vec<_>, Box<dyn Error>>>()?;
        assert_eq!(entering[0], onion);
        let hop_keys = keys.iter().map(|key| *key.u()).collect();
        let proof = hex::encode(proof.0);
        let replies = built.replies;
        Ok(Self {
            context,
            onion_bytes,
            secrets,
            seals,
            joint,
            proof,
            deposit,
            reply,
            replies,
            ephemerals,
            entering,
            hop_keys,
        })
    }

    fn good(&self) -> Result<Value, Box<dyn Error>> {
        let shards: Vec<_> = (0..3)
            .map(|i| {
                json!({
                    "index": i,
                    "onion_secret": hex::encode(self.onion_bytes[i]),
                    "onion_public": hex::encode(self.secrets[i].public_key().to_bytes()),
                    "seal_secret": hex::encode(self.seals[i].to_bytes()),
                    "seal_public": hex::encode(self.seals[i].public_key().to_bytes()),
                })
            })
            .collect();
        let mut layers: Vec<_> = (0..PATH.len())
            .map(|i| {
                json!({
                    "layer": i + 1,
                    "shard": PATH[i],
                    "ephemeral_secret": hex::encode(self.ephemerals.of(0)[i]),
                    "hop_key_u": hex::encode(self.hop_keys[i]),
                    "reply_key": hex::encode(self.replies.of(0)[i].as_bytes()),
                    "onion": hex::encode(&self.entering[i]),
                    "onion_blake3": blake3::hash(&self.entering[i]).to_hex().as_str(),
                })
            })
            .collect();
        let mut reply = self.reply.clone();
        for (layer, key) in layers.iter_mut().zip(self.replies.of(0)).rev() {
            apply_reply_stream(key, &mut reply);
            layer["reply_leaving"] = hex::encode(&reply).into();
        }
        Ok(json!({
            "suite": 1,
            "layers": self.context.geometry.layers(),
            "body_bytes": self.context.geometry.body_bytes(),
            "epoch": self.context.epoch.0,
            "round": self.context.round.0,
            "shards": shards,
            "joint_seal_key": hex::encode(self.joint.to_bytes()),
            "possession": {
                "keys": "onion key of shard 0, seal keys of shards 0, 1 and 2",
                "context": hex::encode(PROOF_CONTEXT),
                "proof": self.proof,
            },
            "deposit": hex::encode(&self.deposit),
            "path": layers,
            "reply": hex::encode(&self.reply),
        }))
    }

    /// Everything here refers to the keys and the path of `good.json`.
    fn bad(&self) -> Result<Value, Box<dyn Error>> {
        let first = &self.entering[0];
        let (epoch, round) = (self.context.epoch.0, self.context.round.0);
        let case = |name: &str, layers: u8, layer: u8, epoch: u64, round: u64, onion: &[u8]| {
            json!({
                "name": name,
                "layers": layers,
                "layer": layer,
                "epoch": epoch,
                "round": round,
                "shard": PATH[0],
                "onion": hex::encode(onion),
            })
        };
        let changed = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut onion = first.clone();
            change(&mut onion);
            onion
        };
        let tag = changed(&|onion| onion[32] ^= 1);
        let ciphertext = changed(&|onion| onion[48] ^= 1);
        let top_bit = changed(&|onion| onion[31] ^= 0x80);
        let mut onions = vec![
            case("another epoch", 4, 1, epoch + 1, round, first),
            case("another round", 4, 1, epoch, round + 1, first),
            case("another layer", 5, 2, epoch, round, first),
            case("flipped tag", 4, 1, epoch, round, &tag),
            case("flipped ciphertext", 4, 1, epoch, round, &ciphertext),
            case("another encoding of the ephemeral key", 4, 1, epoch, round, &top_bit),
        ];
        for torsion in EIGHT_TORSION {
            let u = torsion.to_montgomery().to_bytes();
            let onion = changed(&|onion| onion[..32].copy_from_slice(&u));
            onions.push(case("ephemeral key of small order", 4, 1, epoch, round, &onion));
        }

        let good = self.secrets[0].public_key().to_bytes();
        let point = CompressedEdwardsY(good).decompress().ok_or("a key is a point")?;
        let mut unreduced = [0xff; 32];
        (unreduced[0], unreduced[31]) = (0xee, 0x7f);
        let mut signed = [0; 32];
        (signed[0], signed[31]) = (1, 0x80);
        let mut no_point = [0; 32];
        while CompressedEdwardsY(no_point).decompress().is_some() {
            no_point[0] += 1;
        }
        let keys = [
            // Of a seal key it is an eighth that is read: this one is refused as an onion key alone.
            ("torsion component", (point + EIGHT_TORSION[1]).compress().0),
            ("small order", EIGHT_TORSION[4].compress().0),
            ("identity", EIGHT_TORSION[0].compress().0),
            ("y not reduced", unreduced),
            ("sign of x = 0", signed),
            ("no point", no_point),
        ]
        .map(|(name, bytes)| json!({ "name": name, "key": hex::encode(bytes) }));

        let opposite =
            |secret: [u8; 32]| hex::encode((-Scalar::from_bytes_mod_order(secret)).to_bytes());
        Ok(json!({
            "onions_that_do_not_open": onions,
            "onion_keys_that_are_refused": keys,
            "seal_secrets_that_are_refused": [hex::encode([0; 32]), hex::encode([0xff; 32])],
            "onion_secret_that_cancels_the_seal_key_of_shard_0": opposite(self.seals[0].to_bytes()),
            "possession_proof_that_fails": {
                "keys": "onion key of shard 0, seal keys of shards 1, 0 and 2",
                "context": hex::encode(PROOF_CONTEXT),
                "proof": self.proof,
            },
        }))
    }

    /// An onion of suite 2 on the path and with the X25519 keys of `good.json`. Onions are long, so that most of
    /// them are hashed.
    fn hybrid(&self) -> Result<Value, Box<dyn Error>> {
        let rng = &mut ChaCha20Rng::seed_from_u64(203);
        let geometry = self.context.geometry.with_suite(Suite::Hybrid);
        let context = RoundContext { geometry, ..self.context };
        let mut seeds = [[0; 64]; 3];
        seeds.iter_mut().for_each(|seed| rng.fill_bytes(seed));
        let kems = seeds.each_ref().map(KemSecretKey::from_seed);
        let publics = kems.each_ref().map(|kem| Arc::new(kem.public_key().clone()));
        let mut keys = Vec::new();
        for (layer, shard) in geometry.all_layers().zip(PATH) {
            let public = self.secrets[shard].public_key();
            let key = if layer == geometry.seal_layer() {
                HopKey::sealed(&public, &self.joint)?
            } else {
                HopKey::plain(&public)
            };
            keys.push(key.with_kem(Arc::clone(&publics[shard])));
        }
        let hops = keys.iter().zip(PATH);
        let path: Vec<_> =
            hops.map(|(key, shard)| Hop { shard: ShardIndex(shard as u16), key }).collect();
        let mut onion = vec![0; geometry.onion_bytes(Layer::FIRST)];
        let built = build_batch(context, &path, &self.deposit, Keep::ALL, rng, &mut onion)?;
        let ephemerals = built.ephemerals.ok_or("the ephemeral secrets were asked for")?;
        let circuits = built.circuits.ok_or("the circuit keys were asked for")?;
        let mut layers = Vec::new();
        for (i, layer) in geometry.all_layers().enumerate() {
            let mut onion = vec![0; geometry.onion_bytes(layer)];
            rebuild_batch(context, layer, &path, &self.deposit, &ephemerals, &mut onion)?;
            let header = geometry.header_bytes();
            layers.push(json!({
                "layer": layer.0,
                "shard": PATH[i],
                "ephemeral_secret": hex::encode(ephemerals.of(0)[i]),
                "reply_key": hex::encode(built.replies.of(0)[i].as_bytes()),
                "circuit_key": hex::encode(circuits.of(0)[i].as_bytes()),
                "ephemeral_key": hex::encode(&onion[..32]),
                "kem_ciphertext_blake3": blake3::hash(&onion[32..header - 16]).to_hex().as_str(),
                "tag": hex::encode(&onion[header - 16..header]),
                "onion_blake3": blake3::hash(&onion).to_hex().as_str(),
            }));
        }
        let kems: Vec<_> = seeds
            .iter()
            .zip(&publics)
            .map(|(seed, public)| {
                json!({
                    "kem_seed": hex::encode(seed),
                    "kem_public_blake3": blake3::hash(&public.to_bytes()).to_hex().as_str(),
                })
            })
            .collect();
        Ok(json!({
            "suite": 2,
            "about": "keys, round, deposit and path as in good.json; ML-KEM keys beside",
            "shards": kems,
            "path": layers,
            "onion": hex::encode(&onion),
        }))
    }
}
