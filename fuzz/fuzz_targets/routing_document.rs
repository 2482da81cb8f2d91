//! Epoch documents that a coordinator made up, in networks of either suite: whatever the numbers, checking one ends
//! soon, takes little memory, and accepts none that is weaker than the network's policy.
#![no_main]

use std::sync::LazyLock;

use antiphon_onion::KemSecretKey;
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{
    BeatParameters, Digest, Epoch, EpochDocument, IdentityKey, KemKey, NetworkFile, Operator,
    OperatorIndex, OperatorList, PROTOCOL_VERSION, Parameters, Policy, Round, ShardEntry, Signable,
    Signed, SignedDocument, Suite, Timestamp,
};
use ed25519_dalek::SigningKey;
use libfuzzer_sys::fuzz_target;

const OPERATORS: u8 = 3;
/// The compressed base point, a key that can be used.
const POINT: [u8; 32] = {
    let mut point = [0x66; 32];
    point[0] = 0x58;
    point
};

/// Operator and shard keys, a network, and a document of one round with a shard per operator.
type World = (Vec<SigningKey>, NetworkFile, EpochDocument);

static CLASSIC: LazyLock<World> = LazyLock::new(|| world(Suite::Classic));
static HYBRID: LazyLock<World> = LazyLock::new(|| world(Suite::Hybrid));

fn world(suite: Suite) -> World {
    let keys: Vec<_> = (1..=OPERATORS).map(|i| SigningKey::from_bytes(&[i; 32])).collect();
    let operators = keys
        .iter()
        .enumerate()
        .map(|(i, key)| Operator {
            name: format!("operator {i}"),
            key: IdentityKey::of(key),
            weight: 1,
        })
        .collect();
    let policy = Policy {
        least_mixing_hops: 2,
        malicious_ppm: 0,
        trusts_heavy_operators: true,
        suite,
        ..Policy::default()
    };
    let network = NetworkFile::new(operators, policy).expect("a policy and keys that make sense");
    let document = document(&keys, &network);
    VerifiedEpoch::verify(sign(document.clone(), &keys), &network)
        .expect("the unchanged document keeps every rule");
    (keys, network, document)
}

/// The ML-KEM key of a shard.
fn kem_key(shard: usize) -> KemKey {
    KemSecretKey::from_seed(&[shard as u8; 64]).public_key().to_wire()
}

fn sign(document: EpochDocument, keys: &[SigningKey]) -> SignedDocument {
    let signatures = keys.iter().map(|key| document.sign_with(key)).collect();
    SignedDocument { document, signatures }
}

fn document(keys: &[SigningKey], network: &NetworkFile) -> EpochDocument {
    let list = |(i, key): (usize, &SigningKey)| {
        let list = OperatorList {
            network: network.id(),
            operator: OperatorIndex(i as u16),
            number: 0,
            first_epoch: Epoch(0),
            last_epoch: Epoch(u64::MAX),
            shards: vec![IdentityKey::of(key)],
        };
        Signed::new(list, key)
    };
    let shard = |(i, key): (usize, &SigningKey)| ShardEntry {
        operator: OperatorIndex(i as u16),
        identity: IdentityKey::of(key),
        peer_addresses: std::net::SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        client_addresses: std::net::SocketAddr::from(([127, 0, 0, 1], 2)).into(),
        onion_key: POINT,
        kem_key: (network.policy.suite == Suite::Hybrid).then(|| kem_key(i)),
        noise_volume: 4000,
        noise_sigma: 200 << 10,
    };
    EpochDocument {
        version: PROTOCOL_VERSION,
        network: network.id(),
        epoch: Epoch(1),
        first_round: Round(1),
        last_round: Round(1),
        starts_at: Timestamp(0),
        expires_at: Timestamp(5000),
        previous: Digest::default(),
        parameters: Parameters {
            suite: network.policy.suite.number(),
            service: 0,
            layers: 15,
            body: 256,
            pairs_per_client: 1,
            filter_bits: 20,
            interval_ms: 5000,
            submit_ms: 1000,
            layer_ms: 1000,
            verify_ms: 1000,
            reply_ms: 1000,
            beats: BeatParameters::CLASSIC,
        },
        operators: keys.iter().enumerate().map(list).collect(),
        shards: keys.iter().enumerate().map(shard).collect(),
        joint_seal_keys: vec![POINT],
    }
}

/// Which of the document's parts are replaced, and by what.
type Changes = (u16, [(u32, u32); OPERATORS as usize], [u8; 3], u16, [u64; 4], [u32; 3], [u8; 32]);

fuzz_target!(|changes: Changes| {
    let (which, noise, small, body, numbers, milliseconds, key) = changes;
    let replaced = |bit: u8| which >> bit & 1 == 1;
    let hybrid = replaced(8);
    let (keys, network, document) = if hybrid { &*HYBRID } else { &*CLASSIC };
    let mut document = document.clone();
    if replaced(0) {
        for (shard, (volume, sigma)) in document.shards.iter_mut().zip(noise) {
            (shard.noise_volume, shard.noise_sigma) = (volume, sigma);
        }
    }
    if replaced(1) {
        document.parameters.layers = small[0];
        document.parameters.body = body;
    }
    if replaced(2) {
        document.parameters.pairs_per_client = small[1];
        document.parameters.filter_bits = small[2];
        document.parameters.interval_ms = milliseconds[0];
        document.parameters.layer_ms = milliseconds[1];
    }
    if replaced(3) {
        (document.first_round, document.last_round) = (Round(numbers[0]), Round(numbers[1]));
    }
    if replaced(4) {
        (document.starts_at, document.expires_at) = (Timestamp(numbers[2]), Timestamp(numbers[3]));
    }
    if replaced(5) {
        document.shards[0].onion_key = key;
    }
    if replaced(6) {
        document.joint_seal_keys[0] = key;
    }
    if replaced(9) {
        // Numbers of twelve bits, one of which may be too large; or the key of another, or none.
        let mut bytes = *kem_key(usize::from(small[2] % (OPERATORS + 1))).as_bytes();
        let at = usize::from(body) % (bytes.len() - key.len());
        bytes[at..][..key.len()].copy_from_slice(&key);
        document.shards[1].kem_key = replaced(10).then(|| KemKey::new(bytes));
    }
    if replaced(11) {
        document.parameters.suite = small[2];
    }
    if replaced(12) {
        let [beats, cell_bytes] = [body, numbers[0] as u16];
        let [beat_ms, layer_ms] = [milliseconds[2], milliseconds[1]];
        document.parameters.beats = BeatParameters { beats, beat_ms, layer_ms, cell_bytes };
    }
    let mut signed = sign(document, keys);
    if replaced(7) {
        signed.signatures[1].0[usize::from(small[0] % 64)] ^= 1;
    }
    let Ok(epoch) = VerifiedEpoch::verify(signed, network) else { return };
    assert!(!replaced(7));
    assert!(epoch.geometry().mixing_hops() >= network.policy.least_mixing_hops);
    assert!(epoch.parameters().interval_ms >= network.policy.least_round_interval_ms);
    assert!(epoch.parameters().pairs_per_client <= network.policy.most_pairs);
    assert_eq!(epoch.geometry().suite(), network.policy.suite);
    let document = epoch.document();
    assert!(document.shards.iter().all(|shard| shard.kem_key.is_some() == hybrid));
    let longest_ms = 2000 * u64::from(network.policy.longest_epoch_s);
    assert!(document.expires_at.0 - document.starts_at.0 <= longest_ms);
});
