//! A shard that runs for long needs no more memory than one that has just started.

#[path = "../examples/round/costs.rs"]
#[expect(dead_code, reason = "the example prints more")]
mod costs;
#[path = "../examples/round/network.rs"]
#[expect(dead_code, reason = "the example prints more")]
mod network;

use antiphon_wire::Policy;
use costs::Costs;
use network::Network;

const ROUNDS: usize = 100;

#[test]
fn buffers_do_not_grow_over_a_hundred_rounds() {
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 8.0,
        delta: 0.01,
        disturbed_rounds: 20,
        least_mixing_hops: 3,
        least_round_interval_ms: 500,
    };
    let mut network = Network::new(8, 3, ROUNDS, policy).unwrap();
    let mut most = [0, 0];
    for round in 1..=ROUNDS {
        let entries = network.build_onions(round).unwrap();
        assert_eq!(network.run(round, entries, &mut Costs::default()), 8);
        let half = &mut most[usize::from(round > ROUNDS / 2)];
        *half = network.buffer_bytes().max(*half);
    }
    assert!(most[1] > 0 && most[1] <= most[0], "{most:?}");
}
