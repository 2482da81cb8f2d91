//! Attempts played out deposit by deposit, with coins, false positives and pairs.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::composition::{Aim, composed};
use crate::distribution::{PairDistribution, Sigma};
use crate::mechanism::Mechanism;
use crate::sampler::PairSampler;

const VOLUME: usize = 16;
const DROPPED: usize = 4;
const FALSE_POSITIVE: f64 = 0.2;
const ATTEMPTS: u32 = 60;
const ROUNDS: u32 = 3;
const TRIALS: u32 = 60_000;

fn shard() -> PairDistribution {
    PairDistribution::new(VOLUME as u32, Sigma::from_units(1400).unwrap()).unwrap()
}

/// The pairs among a shard's deposits of which none is missing: the adversary takes some that it
/// knows nothing about, so the first few.
fn pairs_left(pairs: u32, dropped: usize, rng: &mut impl Rng) -> u32 {
    let mut order: Vec<usize> = (0..VOLUME).collect();
    for i in (1..VOLUME).rev() {
        order.swap(i, rng.random_range(0..=i));
    }
    let paired = order.chunks(2).take(pairs as usize);
    paired.filter(|pair| pair.iter().all(|&at| at >= dropped)).count() as u32
}

/// The law of the count with so many missing from one of two shards.
fn law(dropped: usize) -> Vec<f64> {
    let whole = shard().pmf();
    let mut thinned = whole.clone();
    for left in (0..VOLUME).rev().take(dropped) {
        let hit = |x: usize| (2.0 * x as f64 / (left + 1) as f64).min(1.0);
        thinned = (0..thinned.len())
            .map(|x| {
                let above = thinned.get(x + 1).map_or(0.0, |p| p * hit(x + 1));
                thinned[x] * (1.0 - hit(x)) + above
            })
            .collect();
    }
    let mut sum = vec![0.0; 2 * whole.len() - 1];
    for (i, p) in whole.iter().enumerate() {
        for (j, q) in thinned.iter().enumerate() {
            sum[i + j] += p * q;
        }
    }
    sum
}

/// Plays an adversary that drops onions in every attempt until enough rounds have opened. Returns the losses
/// of all trials, and the share of attempts that opened.
fn play() -> (Vec<f64>, f64) {
    let (sampler, law) = (PairSampler::new(shard()), law(DROPPED));
    let mut rng = ChaCha20Rng::seed_from_u64(34);
    let (mut attempts, mut opened) = (0.0, 0.0);
    let mut losses = Vec::new();
    for _ in 0..TRIALS {
        let (mut loss, mut rounds) = (0.0, 0);
        for _ in 0..ATTEMPTS {
            if rounds == ROUNDS {
                break;
            }
            attempts += 1.0;
            let missed =
                (0..DROPPED).any(|_| rng.random::<bool>() && rng.random::<f64>() >= FALSE_POSITIVE);
            if missed {
                continue;
            }
            opened += 1.0;
            rounds += 1;
            let (a, b) = (sampler.sample(&mut rng), sampler.sample(&mut rng));
            let seen = pairs_left(a, 0, &mut rng) + pairs_left(b, DROPPED, &mut rng);
            // Idle shows the count itself, talking one more.
            let (idle, talking) =
                (law[seen as usize], seen.checked_sub(1).map(|y| law[y as usize]));
            loss += talking.map_or(f64::INFINITY, |talking| libm::log(idle / talking));
        }
        losses.push(loss);
    }
    (losses, opened / attempts)
}

/// The account's delta, with the levels it has or the first alone.
fn bound(epsilon: f64, levels: usize) -> f64 {
    let attempts = Attempts::new(ATTEMPTS, 1 << 40, 1, FALSE_POSITIVE).unwrap();
    let mut all = Mechanism::ConstantVolume(vec![shard(); 2]).losses(1);
    if levels == 1 {
        all = vec![(1000, all.swap_remove(0).1)];
    }
    let aim = Aim::Epsilon(epsilon);
    let (parts, failing) = attempts.losses(&all, ROUNDS, aim.tail());
    composed(parts, 0.0, aim).failing(failing).delta(epsilon)
}

#[test]
fn an_adversary_that_tries_again_and_again_stays_within_the_account() {
    let (losses, opened) = play();
    let n = f64::from(TRIALS);
    // Unnoticed with the base (1 + p)/2, and not one half.
    let expected = libm::pow(0.5 * (1.0 + FALSE_POSITIVE), DROPPED as f64);
    let attempts = n * f64::from(ROUNDS) / opened;
    assert!((opened - expected).abs() < 5.0 * (expected / attempts).sqrt(), "{opened}");
    assert!(opened > 1.9 * libm::pow(0.5, DROPPED as f64));
    for epsilon in [0.5, 1.0, 1.5, 2.0] {
        let shares: Vec<f64> =
            losses.iter().map(|loss| (1.0 - libm::exp(epsilon - loss)).max(0.0)).collect();
        let mean = shares.iter().sum::<f64>() / n;
        let squares = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / n;
        let error = 5.0 * (squares / n).sqrt();
        let account = bound(epsilon, usize::MAX);
        assert!(mean <= account + error, "{epsilon}: {mean} > {account}");
        // Were lost deposits not counted, it would be refuted.
        let without = bound(epsilon, 1);
        assert!(mean > without + error, "{epsilon}: {mean} +- {error}, {without} would do");
    }
}
