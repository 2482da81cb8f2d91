//! What a round costs beside peeling: whole rounds of a few shards in one thread, without sockets.
//!
//! `cargo run --release -p antiphon-mix --example round -- CLIENTS SHARDS ROUNDS`

mod costs;
#[expect(dead_code, reason = "a test replays what a shard heard")]
mod network;

use std::error::Error;

use antiphon_wire::Policy;
use costs::{Costs, resident_bytes};
use network::Network;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<usize>());
    let mut next = |default| arguments.next().unwrap_or(Ok(default));
    let (clients, shards, rounds) = (next(2000)?, next(5)?, next(3)?);
    let policy = Policy {
        malicious_ppm: 200_000,
        epsilon: std::f64::consts::LN_2,
        delta: 1e-6,
        disturbed_rounds: 1000,
        least_mixing_hops: 14,
        least_round_interval_ms: 500,
        trusts_heavy_operators: true,
        total_delta: 1.0,
        ..Policy::DEFAULT
    };
    let mut network = Network::new(clients, shards, rounds, policy)?;
    for round in 1..=rounds {
        let entries = network.build_onions(round)?;
        let mut costs = Costs::default();
        let answered = network.run(round, entries, &mut costs);
        println!("round {round}: {answered} of {clients} clients answered");
        costs.print(network.onions() * network.layers());
        let layer = network.onions() * network.onion_bytes();
        let layers = |bytes: usize| bytes as f64 / layer as f64;
        println!("  buffers of {:.2} layers of onions", layers(network.buffer_bytes()));
        if let Some(bytes) = resident_bytes() {
            println!("  {:.2} layers of onions resident\n", layers(bytes));
        }
    }
    Ok(())
}
