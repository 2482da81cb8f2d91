//! The sampler draws from the distribution it says.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_dp_noise::{PairDistribution, PairSampler, Sigma};
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

const DRAWS: u32 = 400_000;

fn dist(volume: u32, units: u32) -> PairDistribution {
    PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap()
}

fn histogram(distribution: PairDistribution, seed: u64) -> Vec<u32> {
    let sampler = PairSampler::new(distribution);
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut counts = vec![0; distribution.pairs_max() as usize + 1];
    for _ in 0..DRAWS {
        counts[sampler.sample(&mut rng) as usize] += 1;
    }
    counts
}

#[test]
fn draws_pass_a_chi_square_test() {
    for (distribution, seed) in [(dist(12, 614), 1), (dist(68, 4352), 2), (dist(304, 19_302), 3)] {
        let counts = histogram(distribution, seed);
        // Cells expecting fewer than ten draws go into one.
        let (mut statistic, mut cells) = (0.0, 0);
        let (mut rare_expected, mut rare_seen) = (0.0, 0.0);
        for (p, &count) in distribution.pmf().iter().zip(&counts) {
            let (expected, seen) = (p * f64::from(DRAWS), f64::from(count));
            if expected < 10.0 {
                rare_expected += expected;
                rare_seen += seen;
            } else {
                statistic += (seen - expected).powi(2) / expected;
                cells += 1;
            }
        }
        if rare_expected > 1.0 {
            statistic += (rare_seen - rare_expected).powi(2) / rare_expected;
            cells += 1;
        }
        // Mean and variance of chi-square; four standard deviations.
        let freedom = f64::from(cells - 1);
        let bound = freedom + 4.0 * (2.0 * freedom).sqrt();
        assert!(statistic < bound, "{distribution:?}: {statistic} > {bound}");
    }
}

#[test]
fn draws_have_the_mean_and_width_of_the_distribution() {
    let distribution = dist(304, 19_302);
    let (mut mean, mut square) = (0.0, 0.0);
    for (x, &count) in (0_u32..).zip(&histogram(distribution, 4)) {
        let d = f64::from(x) - f64::from(distribution.centre());
        mean += d * f64::from(count) / f64::from(DRAWS);
        square += d * d * f64::from(count) / f64::from(DRAWS);
    }
    let sigma = distribution.sigma().pairs();
    let sqrt_draws = f64::from(DRAWS).sqrt();
    assert!(mean.abs() < 4.0 * sigma / sqrt_draws);
    // The cut at four sigma takes a thousandth off the variance.
    assert!((square / sigma.powi(2) - 0.9989).abs() < 4.0 * 2.0_f64.sqrt() / sqrt_draws);
}

#[test]
fn tails_are_reached_as_often_as_they_should() {
    let distribution = dist(68, 4352);
    let counts = histogram(distribution, 5);
    let beyond = 3 * distribution.sigma().units() / Sigma::UNITS_PER_PAIR;
    let (low, high) = (distribution.centre() - beyond, distribution.centre() + beyond);
    for ends in [0..=low, high..=distribution.pairs_max()] {
        let range = *ends.start() as usize..=*ends.end() as usize;
        let expected = distribution.pmf()[range.clone()].iter().sum::<f64>() * f64::from(DRAWS);
        let seen = f64::from(counts[range].iter().sum::<u32>());
        assert!(expected > 100.0 && (seen - expected).abs() < 4.0 * expected.sqrt());
    }
}

#[test]
fn both_halves_and_neighbouring_draws_are_alike() {
    // Sign against sign of the next draw, and size against size: four cells each, chi-square with
    // one degree of freedom; 19.5 is beaten once in 100,000 times.
    let distribution = dist(304, 19_302);
    let sampler = PairSampler::new(distribution);
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let (centre, width) = (distribution.centre(), 13);
    let mut cells = [[0.0_f64; 4]; 2];
    let mut pairs = 0.0;
    while pairs < 200_000.0 {
        let (a, b) = (sampler.sample(&mut rng), sampler.sample(&mut rng));
        if a == centre || b == centre {
            continue;
        }
        pairs += 1.0;
        cells[0][2 * usize::from(a > centre) + usize::from(b > centre)] += 1.0;
        let wide = |x: u32| usize::from(x.abs_diff(centre) > width);
        cells[1][2 * wide(a) + wide(b)] += 1.0;
    }
    for [low_low, low_high, high_low, high_high] in cells {
        let cross = low_low * high_high - low_high * high_low;
        let (first, second) = (low_low + low_high, low_low + high_low);
        let statistic =
            pairs * cross * cross / (first * (pairs - first) * second * (pairs - second));
        assert!(statistic < 19.5, "{statistic}");
    }
    let [low_low, low_high, high_low, _] = cells[0];
    let half = pairs / 2.0;
    assert!((low_low + low_high - half).abs() < 4.0 * (pairs / 4.0).sqrt());
    assert!((low_low + high_low - half).abs() < 4.0 * (pairs / 4.0).sqrt());
}

#[test]
fn the_far_tails_of_a_wide_table_are_reached_as_often_as_they_should() {
    for (distribution, seed) in [(dist(1616, 103_424), 7), (dist(4596, 213_922), 8)] {
        let counts = histogram(distribution, seed);
        let pmf = distribution.pmf();
        for tenths in [15, 20, 25, 30, 35] {
            let beyond = tenths * distribution.sigma().units() / Sigma::UNITS_PER_PAIR / 10;
            let low = (distribution.centre() - beyond) as usize;
            let high = (distribution.centre() + beyond) as usize;
            let mass: f64 = pmf[..=low].iter().sum::<f64>() + pmf[high..].iter().sum::<f64>();
            let seen = counts[..=low].iter().sum::<u32>() + counts[high..].iter().sum::<u32>();
            let expected = mass * f64::from(DRAWS);
            assert!((f64::from(seen) - expected).abs() < 4.5 * expected.sqrt(), "{tenths}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn draws_stay_in_range_and_follow_the_seed(
        quarter in 1_u32..300,
        units in 64_u32..400_000,
        seed: u64,
    ) {
        let distribution = dist(4 * quarter, units);
        let sampler = PairSampler::new(distribution);
        let draw = || sampler.sample(&mut ChaCha20Rng::seed_from_u64(seed));
        prop_assert!(draw() <= distribution.pairs_max());
        prop_assert_eq!(draw(), draw());
    }
}
