//! A shard that garbles cells, over real links.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use antiphon_coordinator::{CoordinatorConfig, Notice};
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions, GarbleCells, Tamper};
use antiphon_wire::Policy;
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use tokio::time::timeout;

/// A round is judged a minute after it opened, and a machine may be slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// Five shards whose rounds follow each other within seconds.
fn options() -> EmbeddedOptions {
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        disturbed_rounds: 1,
        least_mixing_hops: 3,
        least_round_interval_ms: 200,
        trusts_heavy_operators: true,
        total_delta: 1.0,
        ..Policy::DEFAULT
    };
    let coordinator = CoordinatorConfig {
        epoch_rounds: 100,
        interval_ms: 6000,
        layer_ms: 20_000,
        verify_ms: 20_000,
        reply_ms: 20_000,
        ready_ms: 60_000,
        beats: 24,
        beat_ms: 500,
        beat_layer_ms: 60,
        first_beat_ms: 4000,
        ..CoordinatorConfig::default()
    };
    EmbeddedOptions::new(5, policy, coordinator)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "judgement takes a minute of true time; `crates/sim/tests/epochs/garblers.rs` has the same on a virtual clock"]
async fn a_shard_that_garbles_cells_is_named_and_no_other() {
    let network = EmbeddedNetwork::start(&options(), |shard| {
        let garbles = GarbleCells::new(0.02, ChaCha20Rng::seed_from_u64(5));
        (shard == 3).then(|| Box::new(garbles) as Box<dyn Tamper>)
    })
    .unwrap();
    let mut notices = network.subscribe();
    let named = async {
        loop {
            match notices.recv().await.unwrap() {
                Notice::ShardNamed { operator, .. } => return operator,
                notice => eprintln!("{notice}"),
            }
        }
    };
    let operator = timeout(PATIENCE, named).await.expect("it is named");
    let at = network.file().operators.iter().position(|known| known.name == operator);
    assert_eq!(at, Some(3));
}
