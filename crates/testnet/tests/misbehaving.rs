//! Networks with a shard that breaks the rules.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use antiphon_coordinator::CoordinatorConfig;
use antiphon_mix::Notice;
use antiphon_shard::ShardNotice;
use antiphon_testnet::{DropOnions, EmbeddedNetwork, EmbeddedOptions, Tamper};
use antiphon_wire::{Layer, Policy, RoundOutcome};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;
use tokio::time::timeout;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(60);

/// A network whose rounds are short: few hops, little noise.
fn options() -> EmbeddedOptions {
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        disturbed_rounds: 1,
        least_mixing_hops: 3,
        least_round_interval_ms: 50,
        trusts_heavy_operators: true,
        total_delta: 1.0,
        ..Policy::DEFAULT
    };
    let coordinator = CoordinatorConfig {
        epoch_rounds: 1000,
        interval_ms: 50,
        submit_ms: 2000,
        layer_ms: 5000,
        verify_ms: 5000,
        reply_ms: 5000,
        ..CoordinatorConfig::default()
    };
    EmbeddedOptions::new(3, policy, coordinator)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_drops_onions_keeps_rounds_from_opening() {
    let network = EmbeddedNetwork::start(&options(), |shard| {
        // All that goes to layer 2, so that some of it is checked noise.
        let drops = DropOnions::new(1000, Layer(2), ChaCha20Rng::seed_from_u64(1));
        (shard == 0).then(|| Box::new(drops) as Box<dyn Tamper>)
    })
    .unwrap();
    let mut notices = network.subscribe_shards().swap_remove(1);
    // Now and then none of a round's is checked.
    let withheld = async {
        loop {
            let notice = notices.recv().await.unwrap();
            if let ShardNotice::Machine(Notice::RoundEnded { outcome, .. }) = notice
                && matches!(outcome, RoundOutcome::Withheld { .. })
            {
                return;
            }
        }
    };
    timeout(PATIENCE, withheld).await.expect("some round is withheld");
}
