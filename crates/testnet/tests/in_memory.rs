//! Shards that are linked in the memory of their process.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use antiphon_coordinator::{CoordinatorConfig, Notice, RoundResult};
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions, ShardLinks};
use antiphon_wire::Policy;
use tokio::time::timeout;

const SHARDS: u16 = 12;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

fn options() -> EmbeddedOptions {
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        disturbed_rounds: 1,
        least_mixing_hops: 3,
        least_round_interval_ms: 200,
        total_delta: 1.0,
        ..Policy::DEFAULT
    };
    let coordinator = CoordinatorConfig {
        epoch_rounds: 300,
        interval_ms: 200,
        layer_ms: 20_000,
        verify_ms: 20_000,
        reply_ms: 20_000,
        ready_ms: 60_000,
        ..CoordinatorConfig::default()
    };
    let links = Some(ShardLinks::Memory);
    EmbeddedOptions { links, ..EmbeddedOptions::new(SHARDS, policy, coordinator) }
}

#[tokio::test]
async fn a_round_goes_through_every_shard_and_no_pair_of_them_takes_a_descriptor() {
    let network = EmbeddedNetwork::start(&options(), |_| None).unwrap();
    let mut notices = network.subscribe();
    let delivered = async {
        loop {
            if let Ok(Notice::RoundEnded(round)) = notices.recv().await
                && round.result == RoundResult::Delivered
            {
                return round;
            }
        }
    };
    let round = timeout(PATIENCE, delivered).await.expect("some round is delivered");
    assert!(round.totals.noise_onions > 0, "{round:?}");
    // Over TCP, links alone take 528.
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        let open = open.count();
        assert!(open < 10 * usize::from(SHARDS), "{open} descriptors");
    }
}
