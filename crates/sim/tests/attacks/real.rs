//! Ideal onions against real ones: the same attack on the same network gives the same distribution of
//! what is seen.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::BTreeMap;

use antiphon_attack::ideal::{Attacker, IdealNetwork, IdealSetup};
use antiphon_dp_noise::{OperatorShare, PairDistribution, solve};
use antiphon_routing::EpochRules;
use antiphon_sim::adversary::{Adversary, Keys, round_of};
use antiphon_sim::scenario::{converse, quick};
use antiphon_sim::{Network, Party, Payload, Sent, Setup};
use antiphon_wire::{OperatorIndex, Round, RoundOutcome, Timestamp};
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;

const SHARDS: usize = 3;
const CLIENTS: usize = 4;
const IDEAL_ROUNDS: u64 = 20_000;

/// What is seen of a round: pairs everywhere, and deposits at the first shard.
#[derive(Clone, Copy, Debug)]
struct Seen {
    pairs: u32,
    deposits_at_first: u32,
}

/// Drops everything that client 0 submits in every other round.
struct BlockFirst;

impl Adversary for BlockFirst {
    fn on_message(&mut self, _: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
        let submits =
            matches!(sent.payload, Payload::FromClient(_)) && sent.from == Party::Client(0);
        match round_of(&sent.payload) {
            Some(round) if submits && round.0 % 2 == 0 => Vec::new(),
            _ => vec![(0, sent)],
        }
    }
}

impl Attacker for BlockFirst {
    fn submits(&mut self, user: usize, _: usize) -> bool {
        user != 0
    }
}

fn setup() -> Setup {
    let mut setup = quick(SHARDS);
    setup.clients = CLIENTS;
    // Enough allowance that the conversation goes on, and no more noise for that.
    setup.policy.disturbed_rounds = 400;
    setup.policy.epsilon = 60.0;
    setup
}

/// The noise that every shard of the setup adds.
fn noise_of(network: &Network) -> PairDistribution {
    let present: Vec<OperatorIndex> = (0..SHARDS as u16).map(OperatorIndex).collect();
    let rules = EpochRules::of(network.file(), &present).unwrap();
    let shares = vec![OperatorShare { weight: 1, shards: 1 }; SHARDS];
    solve(&rules.budget, &shares, rules.malicious_weight).unwrap().per_operator[0]
}

/// Rounds of the product's own machines in which client 0 was blocked, and their noise.
fn real(talking: bool) -> (Vec<Seen>, PairDistribution) {
    let mut network = Network::with_adversary(setup(), BlockFirst);
    if talking {
        converse(&mut network, 0, 1);
    }
    network.run_ms(110_000);
    let noise = noise_of(&network);
    let mut rounds: BTreeMap<Round, (usize, u32, Seen)> = BTreeMap::new();
    for (_, shard, round, outcome, counts) in &network.record.ended {
        if *outcome != RoundOutcome::Delivered {
            continue;
        }
        assert_eq!(counts.noise_onions, noise.volume());
        let nothing = (0, 0, Seen { pairs: 0, deposits_at_first: 0 });
        let (shards, users, seen) = rounds.entry(*round).or_insert(nothing);
        *shards += 1;
        *users += counts.user_onions;
        seen.pairs += counts.pairs;
        if *shard == 0 {
            seen.deposits_at_first = 2 * counts.pairs + counts.singles;
        }
    }
    let blocked = |(shards, users, _): &&(usize, u32, Seen)| {
        *shards == SHARDS && *users as usize == 2 * (CLIENTS - 1)
    };
    (rounds.values().filter(blocked).map(|(_, _, seen)| *seen).collect(), noise)
}

fn ideal(talking: bool, noise: PairDistribution) -> Vec<Seen> {
    let setup = IdealSetup::equal(SHARDS, 0, 3, noise).with_users(CLIENTS, 0);
    let network = IdealNetwork::new(setup, None).unwrap();
    let mut partners = vec![None; CLIENTS];
    if talking {
        (partners[0], partners[1]) = (Some(1), Some(0));
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    (0..IDEAL_ROUNDS)
        .map(|round| {
            let view = network.round(round, &partners, &mut BlockFirst, &mut rng);
            let last = view.trace.layers.last().unwrap();
            let deposits_at_first = last.at.iter().filter(|shard| shard.0 == 0).count() as u32;
            Seen { pairs: view.opened.unwrap().counts.pairs, deposits_at_first }
        })
        .collect()
}

/// Pearson's statistic of `few` against the frequencies of `many`, over neighbouring values put together
/// until five are expected, in standard deviations above its mean.
fn excess(few: &[u32], many: &[u32]) -> f64 {
    let histogram = |values: &[u32]| {
        let mut counts = BTreeMap::<u32, f64>::new();
        values.iter().for_each(|value| *counts.entry(*value).or_default() += 1.0);
        counts
    };
    let (few_counts, many_counts) = (histogram(few), histogram(many));
    let scale = few.len() as f64 / many.len() as f64;
    let most = few.iter().chain(many).max().copied().unwrap_or(0);
    let (mut bins, mut bin) = (Vec::new(), (0.0, 0.0));
    for value in 0..=most {
        bin.0 += few_counts.get(&value).copied().unwrap_or(0.0);
        bin.1 += many_counts.get(&value).copied().unwrap_or(0.0) * scale;
        if bin.1 >= 5.0 {
            bins.push(std::mem::take(&mut bin));
        }
    }
    let last = bins.last_mut().unwrap();
    *last = (last.0 + bin.0, last.1 + bin.1);
    assert!(bins.len() >= 3, "{} bins compare nothing", bins.len());
    let chi: f64 = bins.iter().map(|(got, expected)| (got - expected).powi(2) / expected).sum();
    let freedom = bins.len() as f64 - 1.0;
    println!("chi-square {chi:.2} with {freedom} degrees of freedom");
    (chi - freedom) / (2.0 * freedom).sqrt()
}

#[test]
fn ideal_onions_show_what_real_ones_do() {
    let mut means = Vec::new();
    for talking in [false, true] {
        let (real, noise) = real(talking);
        let ideal = ideal(talking, noise);
        println!("{} rounds, volume {}", real.len(), noise.volume());
        assert!(real.len() >= 45, "{}", real.len());
        let views: [fn(&Seen) -> u32; 2] = [|seen| seen.pairs, |seen| seen.deposits_at_first];
        for view in views {
            let few: Vec<u32> = real.iter().map(view).collect();
            let many: Vec<u32> = ideal.iter().map(view).collect();
            let excess = excess(&few, &many);
            assert!(excess < 4.0, "talking {talking}: {excess} standard deviations");
        }
        let mean = |seen: &[Seen]| {
            seen.iter().map(|seen| f64::from(seen.pairs)).sum::<f64>() / seen.len() as f64
        };
        means.push((mean(&real), mean(&ideal)));
    }
    // Blocking one end leaves its partner's onions alone: a pair less in either kind of network.
    let [idle, talking] = means[..] else { panic!("two worlds") };
    println!("{idle:?} {talking:?}");
    assert!((idle.1 - talking.1 - 1.0).abs() < 0.15, "{idle:?} {talking:?}");
    assert!((idle.0 - talking.0 - 1.0).abs() < 1.0, "{idle:?} {talking:?}");
}
