//! Properties of the accountant that budgets and verifiers rely on.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::iter::repeat_n;

use antiphon_dp_noise::{MAX_VOLUME, PairDistribution, Sigma, Step, delta, epsilon};
use proptest::prelude::*;

fn dist(volume: u32, units: u32) -> PairDistribution {
    PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap()
}

#[test]
fn nobody_honest_hides_nothing() {
    assert_eq!(epsilon([], 1e-6, 1, Step::One), f64::INFINITY);
    assert_eq!(delta([], 1.0, 1, Step::One), 1.0);
}

#[test]
fn a_cut_that_shows_has_no_epsilon() {
    // One shard cut at four sigma shows its edge once in three million draws.
    let shard = dist(1616, 103_424);
    assert_eq!(epsilon([shard], 1e-6, 1000, Step::One), f64::INFINITY);
    assert!(delta([shard], 50.0, 1000, Step::One) > 1e-4);
}

#[test]
fn delta_inverts_epsilon() {
    let honest = || repeat_n(dist(304, 19_302), 4);
    for target in [1e-2, 1e-4, 1e-6] {
        let at = epsilon(honest(), target, 245, Step::One);
        let back = delta(honest(), at, 245, Step::One);
        assert!((back / target - 1.0).abs() < 1e-2, "{back} for {target}");
    }
}

#[test]
fn differing_shards_count_for_what_they_add() {
    let (wide, narrow) = (dist(608, 38_604), dist(304, 19_302));
    let at = |honest: &[PairDistribution]| epsilon(honest.iter().copied(), 1e-4, 245, Step::One);
    // One wide shard has the variance of four narrow ones.
    let mixed = at(&[wide, narrow, narrow, narrow, narrow]);
    let alike = at(&[narrow; 8]);
    assert!((mixed / alike - 1.0).abs() < 0.01);
    assert_eq!(mixed, at(&[narrow, narrow, wide, narrow, narrow]));
}

#[test]
fn two_steps_tell_more_than_one() {
    let honest = || repeat_n(dist(1616, 103_219), 4);
    let one = epsilon(honest(), 1e-6, 1000, Step::One);
    let two = epsilon(honest(), 1e-6, 1000, Step::Two);
    assert!(two > 1.9 * one && two < 2.5 * one);
}

#[test]
fn thousands_of_shards_and_the_longest_ledger_are_bounded() {
    let many = epsilon(repeat_n(dist(1616, 103_219), 5000), 1e-6, 1000, Step::One);
    assert!(many.is_finite());
    let widest = dist(MAX_VOLUME, Sigma::MAX.units());
    assert!(epsilon(repeat_n(widest, 60), 1e-6, 1000, Step::One) < 0.2);
    let long = epsilon(repeat_n(dist(1616, 103_219), 4), 1e-6, 1 << 20, Step::One);
    assert!(long > 10.0);
}

/// P(sum of loss > epsilon) and the hockey-stick divergence by listing every outcome of two rounds.
fn exhaustive_two_rounds(shard: PairDistribution, shift: usize, epsilon: f64, up: bool) -> f64 {
    let pmf = shard.pmf();
    let at = |x: usize, moved: bool| -> f64 {
        let x = if moved { x.checked_sub(shift) } else { Some(x) };
        x.and_then(|x| pmf.get(x).copied()).unwrap_or(0.0)
    };
    let mut delta = 0.0;
    for x in 0..pmf.len() + shift {
        for y in 0..pmf.len() + shift {
            let p = at(x, up) * at(y, up);
            let q = at(x, !up) * at(y, !up);
            delta += (p - epsilon.exp() * q).max(0.0);
        }
    }
    delta
}

#[test]
fn the_bound_holds_in_both_directions_and_is_close() {
    let shard = dist(48, 2662);
    for (step, shift) in [(Step::One, 1), (Step::Two, 2)] {
        for at in [0.1, 0.5, 1.0, 2.0] {
            let bound = delta([shard], at, 2, step);
            for up in [false, true] {
                let exact = exhaustive_two_rounds(shard, shift, at, up);
                assert!(bound >= exact && bound < 1.002 * exact, "{bound} for {exact}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn wider_noise_tells_less(
        quarter in 20_u32..200,
        shards in 2_usize..8,
        rounds in 1_u32..500,
    ) {
        // Both within the cut of four sigma, where width helps.
        let (wide, narrow) = (dist(4 * quarter, 230 * quarter), dist(4 * quarter, 180 * quarter));
        let at = |d| epsilon(repeat_n(d, shards), 1e-4, rounds, Step::One);
        prop_assert!(at(wide) <= at(narrow));
    }

    #[test]
    fn more_shards_more_delta_and_fewer_rounds_tell_less(
        quarter in 5_u32..60,
        shards in 2_usize..6,
        rounds in 2_u32..300,
    ) {
        let shard = dist(4 * quarter, 200 * quarter);
        let at = |n, delta, k| epsilon(repeat_n(shard, n), delta, k, Step::One);
        let base = at(shards, 1e-4, rounds);
        // The grids differ, by less than a thousandth.
        prop_assert!(at(shards + 1, 1e-4, rounds) <= base * 1.001);
        prop_assert!(at(shards, 2e-4, rounds) <= base * 1.001);
        prop_assert!(at(shards, 1e-4, rounds - 1) <= base * 1.001);
    }

    #[test]
    fn any_distribution_gets_a_number(
        quarter in 1_u32..500,
        units in 64_u32..1_000_000,
        shards in 1_usize..4,
        rounds in 1_u32..2000,
    ) {
        let honest = || repeat_n(dist(4 * quarter, units), shards);
        prop_assert!(epsilon(honest(), 1e-6, rounds, Step::One) >= 0.0);
        prop_assert!((0.0..=1.0).contains(&delta(honest(), 1.0, rounds, Step::Two)));
    }
}
