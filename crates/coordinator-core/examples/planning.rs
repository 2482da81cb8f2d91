//! How long the heavy parts of planning an epoch take: `cargo run --release -p antiphon-coordinator-core
//! --example planning`. Prints milliseconds of processor time (Linux counts it) for networks of 5, 20 and 100
//! shards of up to 20 operators, with an hour of 5-second rounds and the default policy.

#![expect(clippy::unwrap_used, reason = "an example")]

#[path = "../tests/network/shard.rs"]
#[expect(dead_code, reason = "the tests need more of it")]
mod shard;

use antiphon_coordinator_core::CoordinatorConfig;
use antiphon_routing::{Draft, Offer, VerifiedEpoch, assemble, check_proposal};
use antiphon_wire::{
    Digest, Epoch, IdentityKey, NetworkFile, Operator, OperatorIndex, OperatorList, Parameters,
    Policy, Round, SUITE_1, Signed, SignedDocument, Timestamp, ToCoordinator, ToShard,
};
use ed25519_dalek::SigningKey;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use shard::FakeShard;

const MOST_OPERATORS: usize = 20;

fn key(kind: u8, position: usize) -> SigningKey {
    let mut seed = [kind; 32];
    seed[..8].copy_from_slice(&(position as u64).to_be_bytes());
    SigningKey::from_bytes(&seed)
}

fn main() {
    println!("shards  assemble  check  verify (ms of processor time)");
    for shards in [5, 20, 100] {
        measure(shards);
    }
}

fn measure(shards: usize) {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let operators = shards.min(MOST_OPERATORS);
    let listed = (0..operators).map(|i| Operator {
        name: format!("operator {i}"),
        key: IdentityKey::of(&key(1, i)),
        weight: 1,
    });
    let network = NetworkFile::new(listed.collect(), Policy::default()).unwrap();
    let config = CoordinatorConfig::default();
    let draft = Draft {
        epoch: Epoch(1),
        first_round: Round(1),
        last_round: Round(config.epoch_rounds.into()),
        starts_at: Timestamp(1_000_000_000),
        previous: Digest::default(),
        parameters: Parameters {
            suite: SUITE_1,
            service: config.service,
            layers: 0,
            body: config.body,
            pairs_per_client: config.pairs_per_client,
            filter_bits: config.filter_bits,
            interval_ms: config.interval_ms,
            submit_ms: config.submit_ms,
            layer_ms: config.layer_ms,
            verify_ms: config.verify_ms,
            reply_ms: config.reply_ms,
            beats: config.beat_parameters(),
        },
    };
    let keys: Vec<_> = (0..shards).map(|i| key(2, i)).collect();
    let offers = keys.iter().enumerate().map(|(i, secret)| {
        let operator = i % operators;
        let of_operator = keys.iter().skip(operator).step_by(operators);
        let mut shards: Vec<_> = of_operator.map(IdentityKey::of).collect();
        shards.sort();
        let list = OperatorList {
            network: network.id(),
            operator: OperatorIndex(operator as u16),
            number: 1,
            first_epoch: Epoch(1),
            last_epoch: Epoch(1000),
            shards,
        };
        let mut shard = FakeShard::new(secret.clone(), Signed::new(list, &key(1, operator)));
        let Draft { epoch, first_round, last_round, .. } = draft;
        match shard.answer(ToShard::Call { epoch, first_round, last_round }, &mut rng) {
            Some(ToCoordinator::Contribute { contribution }) => {
                Offer { registration: shard.registration(), contribution }
            }
            _ => unreachable!("a shard without faults sends its keys"),
        }
    });
    let offers: Vec<_> = offers.collect();

    let start = processor_ms();
    let document = assemble(draft, &offers, &network).unwrap();
    let assembled = processor_ms() - start;
    let contributions: Vec<_> = document
        .shards
        .iter()
        .filter_map(|entry| offers.iter().find(|o| o.contribution.identity == entry.identity))
        .map(|offer| offer.contribution.clone())
        .collect();
    let start = processor_ms();
    check_proposal(document.clone(), contributions, &network).unwrap();
    let checked = processor_ms() - start;
    let signatures = document.shards.iter().map(|entry| {
        let secret = keys.iter().find(|secret| IdentityKey::of(secret) == entry.identity).unwrap();
        document.endorse(secret)
    });
    let signatures = signatures.collect();
    let signed = SignedDocument { document, signatures };
    let start = processor_ms();
    VerifiedEpoch::verify(signed, &network).unwrap();
    let verified = processor_ms() - start;
    println!("{shards:6}  {assembled:8.1}  {checked:5.0}  {verified:6.1}");
}

/// Time that this thread has had on a processor, in milliseconds.
fn processor_ms() -> f64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = counts.split(' ').next().unwrap().parse().unwrap();
    nanoseconds as f64 / 1e6
}
