//! What an account counts beside the noise, and the mechanisms it compares.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::iter::repeat_n;

use antiphon_dp_noise::{
    Account, AccountError, Budget, LaplaceNoise, MAX_LOST_NOISE, Mechanism, PairDistribution,
    PoissonNoise, Sigma, Step, delta, epsilon,
};
use proptest::prelude::*;

fn dist(volume: u32, units: u32) -> PairDistribution {
    PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap()
}

fn constant(shard: PairDistribution, shards: usize) -> Account {
    Account::new(Mechanism::ConstantVolume(vec![shard; shards])).unwrap()
}

/// The default network's noise.
fn default_network() -> Account {
    constant(dist(1616, 103_424), 4)
}

#[test]
fn without_extras_an_account_is_what_documents_are_verified_with() {
    let shard = dist(304, 19_302);
    let account = constant(shard, 4);
    for step in [Step::One, Step::Two] {
        assert_eq!(account.epsilon(1e-4, 245, step), epsilon(repeat_n(shard, 4), 1e-4, 245, step));
        assert_eq!(account.delta(1.2, 245, step), delta(repeat_n(shard, 4), 1.2, 245, step));
    }
}

#[test]
fn rounds_are_the_most_that_keep_the_budget() {
    let account = default_network();
    let budget = Budget::default();
    for step in [Step::One, Step::Two] {
        let rounds = account.rounds(budget.epsilon(), budget.delta(), step).unwrap();
        assert!(account.epsilon(budget.delta(), rounds, step) <= budget.epsilon());
        assert!(account.epsilon(budget.delta(), rounds + 1, step) > budget.epsilon());
    }
    let rounds = account.rounds(budget.epsilon(), budget.delta(), Step::One).unwrap();
    assert!((1000..1010).contains(&rounds), "{rounds}");
    assert_eq!(account.rounds(1e-6, 1e-9, Step::One), Ok(0));
    assert!(account.rounds(0.0, 1e-6, Step::One).is_err());
    let easy = account.rounds(1e9, 0.9, Step::One).unwrap();
    assert_eq!(easy, Budget::MAX_DISTURBED_ROUNDS);
}

#[test]
fn lost_noise_costs_more_the_more_is_lost() {
    let at = |lost| default_network().with_lost_noise(lost).unwrap().epsilon(1e-6, 1000, Step::One);
    let epsilons: Vec<f64> = [0, 1, 4, MAX_LOST_NOISE].map(at).to_vec();
    assert!(epsilons.is_sorted(), "{epsilons:?}");
    // Each lost deposit takes about 4/V off one shard's variance: twelve of 6464 in all, a share
    // of 0.7 % of the sum's variance and half of that of epsilon.
    let growth = epsilons[3] / epsilons[0] - 1.0;
    assert!((0.002..0.008).contains(&growth), "{growth}");
}

#[test]
fn lost_noise_is_counted_for_the_worst_shard_and_number() {
    // Brute force over what is lost where, for one round of two unequal shards.
    let shards = [dist(12, 1500), dist(20, 3000)];
    let account = Account::new(Mechanism::ConstantVolume(shards.to_vec())).unwrap();
    let account = account.with_lost_noise(2).unwrap();
    let thinned = |d: PairDistribution, lost: u32| {
        let mut pmf = d.pmf();
        for left in (0..d.volume()).rev().take(lost as usize) {
            let hit = |x: usize| (2.0 * x as f64 / f64::from(left + 1)).min(1.0);
            pmf = (0..pmf.len())
                .map(|x| {
                    let above = pmf.get(x + 1).map_or(0.0, |p| p * hit(x + 1));
                    pmf[x] * (1.0 - hit(x)) + above
                })
                .collect();
        }
        pmf
    };
    for target in [0.05_f64, 0.3, 1.0] {
        let mut worst = 0.0_f64;
        for (first, second) in [(0, 0), (1, 0), (0, 1), (1, 1), (2, 0), (0, 2)] {
            let (a, b) = (thinned(shards[0], first), thinned(shards[1], second));
            let mut sum = vec![0.0; a.len() + b.len() - 1];
            for (i, p) in a.iter().enumerate() {
                for (j, q) in b.iter().enumerate() {
                    sum[i + j] += p * q;
                }
            }
            let at = |x: isize| usize::try_from(x).ok().and_then(|x| sum.get(x)).copied();
            for way in [1, -1] {
                let exact: f64 = (0..sum.len() as isize)
                    .map(|x| at(x).unwrap_or(0.0) - target.exp() * at(x + way).unwrap_or(0.0))
                    .map(|difference| difference.max(0.0))
                    .sum();
                worst = worst.max(exact);
            }
        }
        // Beside the margin of one round, the account is exact.
        let bound = account.delta(target + 5e-5, 1, Step::One);
        assert!((bound / worst - 1.0).abs() < 1e-6, "{bound} for {worst}");
    }
}

#[test]
fn left_out_onions_cost_little_and_more_with_every_attempt() {
    let at = |attempts| {
        default_network().with_left_out_attempts(attempts).unwrap().epsilon(1e-6, 1000, Step::One)
    };
    let base = default_network().epsilon(1e-6, 1000, Step::One);
    assert_eq!(at(0), base);
    let (few, many) = (at(100), at(10_000));
    assert!(base < few && few < many, "{base} {few} {many}");
    // A variance of 3 (8 / 6464)^2 for each attempt, beside (1 / 202)^2 for each round.
    assert!((few / base - 1.0) < 0.02 && (many / base - 1.0) < 0.8, "{base} {few} {many}");
}

#[test]
fn false_positives_only_make_more_onions_as_good_as_unchecked() {
    let at = |attempts, rate| {
        default_network().with_attempts(attempts, rate).unwrap().epsilon(1e-6, 1000, Step::One)
    };
    let alone = default_network().epsilon(1e-6, 1000, Step::One);
    assert_eq!(at(0, 0.01), alone);
    let (none, usual, many) = (at(1000, 0.0), at(1000, 1.0 / f64::from(1 << 20)), at(1000, 0.01));
    assert!(alone < none && none < usual && usual < many && many.is_finite());
    // A rate of 2^-20 adds a relative 1e-6 to the base of one half.
    assert!(usual / none - 1.0 < 1e-6, "{none} {usual}");
}

#[test]
fn attempts_cost_what_is_told_and_little_for_what_is_lost() {
    for (account, shards) in
        [(constant(dist(1616, 103_424), 4), 4), (constant(dist(364, 23_296), 20), 20)]
    {
        let mut before = 0.0;
        for attempts in [1, 100, 3000] {
            let told = account.clone().with_left_out_attempts(attempts).unwrap();
            let told = told.epsilon(1e-6, 500, Step::One);
            let all = account.clone().with_attempts(attempts, 1e-6).unwrap();
            let all = all.epsilon(1e-6, 500, Step::One);
            assert!(told < all && all < 1.02 * told, "{shards}, {attempts}: {told} {all}");
            assert!(all > before);
            before = all;
        }
    }
}

#[test]
fn what_cannot_be_counted_is_refused() {
    let none = Account::new(Mechanism::ConstantVolume(Vec::new()));
    assert_eq!(none, Err(AccountError::NobodyHonest));
    let account = default_network();
    assert_eq!(account.clone().with_lost_noise(13), Err(AccountError::LostNoise(13)));
    for rate in [-0.1, 0.3, 1.0, f64::NAN] {
        assert!(account.clone().with_attempts(1, rate).is_err());
    }
    let lost = account.with_lost_noise(1).unwrap();
    assert_eq!(lost.with_attempts(1, 0.0), Err(AccountError::LostTwice));
    let small = constant(dist(12, 614), 1);
    assert!(matches!(
        small.with_left_out_attempts(1),
        Err(AccountError::TooFewOnions { onions: 12, users: 4 })
    ));
    let each = PoissonNoise::new(10.0, 5.0).unwrap();
    let poisson = Account::new(Mechanism::Poisson { shards: 2, each }).unwrap();
    assert_eq!(poisson.clone().with_lost_noise(1), Err(AccountError::VolumeNotFixed));
    assert_eq!(poisson.with_left_out_attempts(1), Err(AccountError::VolumeNotFixed));
}

#[test]
fn vuvuzelas_theorem_is_an_upper_bound() {
    for (mean, scale) in [(240.0, 12.0), (30.0, 4.5), (900.0, 60.5), (8.0, 6.0), (13_800.0, 300.0)]
    {
        let each = LaplaceNoise::new(mean, scale).unwrap();
        let account = Account::new(Mechanism::Laplace { shards: 1, each }).unwrap();
        let (formula_epsilon, formula_delta) = each.vuvuzela_bound();
        // Beside the margin of one round for each of two counts.
        let computed = account.delta(formula_epsilon + 1.01e-4, 1, Step::One);
        // Sums drop up to 1e-22 at an end and count it as lost.
        assert!(computed <= formula_delta + 1e-21, "{mean}, {scale}: {computed} > {formula_delta}");
        let computed = account.epsilon(formula_delta.max(1e-12), 1, Step::One);
        assert!(computed <= formula_epsilon + 1.01e-4, "{mean}, {scale}: {computed}");
    }
}

#[test]
fn poisson_noise_of_one_round_is_exact() {
    // Both counts, by listing all outcomes.
    let (singles, pairs) = (9.0, 6.0);
    let each = PoissonNoise::new(singles, pairs).unwrap();
    let account = Account::new(Mechanism::Poisson { shards: 1, each }).unwrap();
    let pmf = |mean: f64| {
        let mut p = vec![(-mean).exp()];
        for x in 1..120 {
            p.push(p[x - 1] * mean / x as f64);
        }
        p
    };
    let (s, d) = (pmf(singles), pmf(pairs));
    for (step, by) in [(Step::One, 1_isize), (Step::Two, 2)] {
        for epsilon in [0.2_f64, 1.0, 2.5] {
            let mut worst = 0.0_f64;
            for way in [1, -1] {
                let mut exact = 0.0;
                for (x, p) in s.iter().enumerate() {
                    for (y, q) in d.iter().enumerate() {
                        let at = |v: &[f64], i: isize| {
                            usize::try_from(i).ok().and_then(|i| v.get(i)).copied().unwrap_or(0.0)
                        };
                        let other =
                            at(&s, x as isize - 2 * by * way) * at(&d, y as isize + by * way);
                        exact += (p * q - epsilon.exp() * other).max(0.0);
                    }
                }
                worst = worst.max(exact);
            }
            // Beside the margin of one round for each of two counts.
            let bound = account.delta(epsilon + 1e-4, 1, step);
            assert!((bound / worst - 1.0).abs() < 1e-9, "{bound} for {worst}");
        }
    }
}

#[test]
fn shards_of_poisson_noise_add_up_to_one() {
    let epsilon = |shards, singles, pairs| {
        let each = PoissonNoise::new(singles, pairs).unwrap();
        let account = Account::new(Mechanism::Poisson { shards, each }).unwrap();
        account.epsilon(1e-6, 50, Step::One)
    };
    let (many, one) = (epsilon(16, 20.0, 10.0), epsilon(1, 320.0, 160.0));
    assert!((many / one - 1.0).abs() < 1e-9);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_mechanism_gets_a_number_and_more_shards_tell_less(
        singles in 0.01_f64..300.0,
        ratio in 0.1_f64..3.0,
        shards in 1_u32..6,
        rounds in 1_u32..300,
    ) {
        let poisson = |shards| Mechanism::Poisson {
            shards,
            each: PoissonNoise::new(singles, ratio * singles).unwrap(),
        };
        let laplace = |shards| Mechanism::Laplace {
            shards,
            each: LaplaceNoise::new(singles, 0.1 + ratio * singles / 10.0).unwrap(),
        };
        for kind in [&poisson as &dyn Fn(u32) -> Mechanism, &laplace] {
            let at = |shards| Account::new(kind(shards)).unwrap().delta(1.0, rounds, Step::One);
            let (few, more) = (at(shards), at(shards + 1));
            prop_assert!((0.0..=1.0).contains(&few) && more <= 1.002 * few + 1e-9, "{few} {more}");
        }
    }
}
