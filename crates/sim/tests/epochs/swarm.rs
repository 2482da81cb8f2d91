//! Random networks in random trouble: the same number gives the same run.

use antiphon_sim::swarm::{Plan, Run, Swarm, seeds};

/// Plays the network of a seed.
fn play(seed: u64) -> Run {
    let plan = Plan::new(seed);
    let played = Swarm::new(&plan).play();
    played.unwrap_or_else(|broken| panic!("seed {seed}: {broken}\n{plan}"))
}

#[test]
fn the_same_seed_gives_the_same_run_bit_for_bit() {
    let first = play(1);
    assert_eq!(play(1), first);
    assert!(first.totals.delivered > 10, "{first:?}");
    assert_ne!(play(2).digest, first.digest);
}

#[test]
fn seeds_of_networks_follow_from_one_and_differ() {
    let of = |seed| seeds(seed).take(100).collect::<Vec<_>>();
    assert_eq!(of(7), of(7));
    let mut all = [of(7), of(8)].concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 200);
}
