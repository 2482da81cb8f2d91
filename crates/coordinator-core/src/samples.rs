//! Networks, shards and documents for the tests of single machines.

use std::net::SocketAddr;
use std::sync::Arc;

use antiphon_wire::{
    Digest, Epoch, EpochDocument, IdentityKey, NetworkFile, Operator, OperatorIndex, OperatorList,
    PROTOCOL_VERSION, Policy, Registration, Round, ShardEntry, Signed, SignedDocument, Standing,
    Timestamp,
};
use ed25519_dalek::SigningKey;

use super::rules::Rules;
use super::settings::CoordinatorConfig;

/// The time at which tests begin.
pub(crate) const START: Timestamp = Timestamp(1_000_000_000);

/// Rounds every second, and epochs of ten.
pub(crate) fn config() -> CoordinatorConfig {
    CoordinatorConfig {
        epoch_rounds: 10,
        interval_ms: 1000,
        prepare_ahead_rounds: 3,
        gather_ms: 5000,
        ready_ms: 1500,
        ..CoordinatorConfig::default()
    }
}

/// So many operators of weight 1, at most a fifth of which are malicious.
pub(crate) fn rules(operators: u8, config: CoordinatorConfig) -> Arc<Rules> {
    let operators = (0..operators).map(|i| Operator {
        name: format!("operator {i}"),
        key: IdentityKey::of(&operator_key(i)),
        weight: 1,
    });
    let network = NetworkFile::new(operators.collect(), Policy::default()).unwrap();
    Arc::new(Rules { config, network })
}

fn operator_key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[100 + number; 32])
}

/// The secret of the shard of an operator.
pub(crate) fn shard_key(number: u8) -> SigningKey {
    SigningKey::from_bytes(&[1 + number; 32])
}

/// The shard of an operator.
pub(crate) fn shard(number: u8) -> IdentityKey {
    IdentityKey::of(&shard_key(number))
}

/// The shards of so many operators.
pub(crate) fn shards(operators: u8) -> Vec<IdentityKey> {
    (0..operators).map(shard).collect()
}

/// Registration of a shard of the operator with this number.
pub(crate) fn registration(rules: &Rules, number: u8) -> Registration {
    let list = OperatorList {
        network: rules.network.id(),
        operator: OperatorIndex(number.into()),
        number: 1,
        first_epoch: Epoch(1),
        last_epoch: Epoch(1_000_000),
        shards: vec![shard(number)],
    };
    Registration {
        version: PROTOCOL_VERSION,
        list: Signed::new(list, &operator_key(number)),
        peer_addresses: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        client_addresses: SocketAddr::from(([127, 0, 0, 1], 2)).into(),
    }
}

/// A shard that was just started, and never served.
pub(crate) fn standing(now: Timestamp) -> Standing {
    Standing { signed_epoch: Epoch(0), served_round: Round(0), held: Vec::new(), clock: now }
}

/// A document of these shards, which nobody has signed.
pub(crate) fn document(
    rules: &Rules,
    epoch: u64,
    rounds: (u64, u64),
    (starts_at, expires_at): (Timestamp, Timestamp),
    shards: &[IdentityKey],
) -> EpochDocument {
    let entry = |(position, identity): (usize, &IdentityKey)| ShardEntry {
        operator: OperatorIndex(position as u16),
        identity: *identity,
        peer_addresses: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
        client_addresses: SocketAddr::from(([127, 0, 0, 1], 2)).into(),
        onion_key: [0; 32],
        kem_key: None,
        noise_volume: 1,
        noise_sigma: 1,
    };
    EpochDocument {
        version: PROTOCOL_VERSION,
        network: rules.network.id(),
        epoch: Epoch(epoch),
        first_round: Round(rounds.0),
        last_round: Round(rounds.1),
        starts_at,
        expires_at,
        previous: Digest::default(),
        parameters: rules.config.parameters(&rules.network),
        operators: Vec::new(),
        shards: shards.iter().enumerate().map(entry).collect(),
        joint_seal_keys: Vec::new(),
    }
}

/// A document as it is announced, of an epoch that lasts for a thousand seconds.
pub(crate) fn announced(
    rules: &Rules,
    epoch: u64,
    rounds: (u64, u64),
    shards: &[IdentityKey],
) -> Arc<SignedDocument> {
    let times = (START, START.plus_ms(1_000_000));
    let document = document(rules, epoch, rounds, times, shards);
    Arc::new(SignedDocument { document, signatures: Vec::new() })
}
