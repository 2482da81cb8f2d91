//! The solver finds the protocol's reference points, and what it finds passes the check.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_dp_noise::{
    Budget, CheckError, Cut, NoiseAllocation, OperatorShare, PairDistribution, ShareError, Sigma,
    SolveError, Step, check, epsilon, solve, solve_beyond,
};

fn equal(operators: usize) -> Vec<OperatorShare> {
    vec![OperatorShare { weight: 1, shards: 1 }; operators]
}

#[test]
fn the_reference_table_is_met() {
    let (strict, loose) = (Budget::default(), Budget::new(4.0_f64.ln(), 1e-4, 245).unwrap());
    for (operators, malicious, budget, volume, sigma) in [
        (5, 1, loose, 304, 18.85),
        (5, 1, strict, 1616, 100.8),
        (10, 2, strict, 1144, 71.3),
        (100, 20, loose, 68, 4.21),
        (100, 20, strict, 364, 22.5),
    ] {
        let noise = solve(&budget, &equal(operators), malicious).unwrap();
        let each = noise.per_operator[0];
        assert!(noise.per_operator.iter().all(|other| *other == each));
        assert!((f64::from(each.volume()) / f64::from(volume) - 1.0).abs() < 0.03);
        assert!((each.sigma().pairs() / sigma - 1.0).abs() < 0.03);
        let achieved = check(&noise, &equal(operators), malicious, &budget).unwrap();
        assert!(achieved.epsilon <= budget.epsilon() && achieved.delta <= budget.delta());
        assert!(achieved.epsilon_of_patterns > achieved.epsilon);
    }
}

#[test]
fn the_volume_is_the_least() {
    let budget = Budget::default();
    let each = solve(&budget, &equal(5), 1).unwrap().per_operator[0];
    let volume = each.volume() - 4;
    // The widest noise that fits into one step less.
    let smaller = PairDistribution::new(volume, Sigma::from_units(64 * volume).unwrap()).unwrap();
    let noise = NoiseAllocation { per_operator: vec![smaller; 5] };
    assert!(matches!(check(&noise, &equal(5), 1, &budget), Err(CheckError::TooWeak { .. })));
}

#[test]
fn a_single_honest_shard_gets_a_wider_cut() {
    let budget = Budget::default();
    let noise = solve(&budget, &equal(2), 1).unwrap();
    let each = noise.per_operator[0];
    assert!(f64::from(each.centre()) > 5.0 * each.sigma().pairs());
    assert!(check(&noise, &equal(2), 1, &budget).is_ok());
}

#[test]
fn shards_divide_their_operators_variance() {
    let shares = [
        OperatorShare { weight: 2, shards: 1 },
        OperatorShare { weight: 2, shards: 4 },
        OperatorShare { weight: 1, shards: 1 },
        OperatorShare { weight: 2, shards: 16 },
        OperatorShare { weight: 3, shards: 3 },
    ];
    let budget = Budget::default();
    let noise = solve(&budget, &shares, 2).unwrap();
    let per_weight = |at: usize| {
        let sigma = noise.per_operator[at].sigma().pairs();
        sigma * sigma * f64::from(shares[at].shards) / f64::from(shares[at].weight)
    };
    for at in 1..shares.len() {
        // Volumes come in steps of four, which is what the ratio may be off by.
        let step = 2.0 * 4.0 / f64::from(noise.per_operator[at].volume());
        assert!((per_weight(at) / per_weight(0) - 1.0).abs() < step + 0.01);
    }
    // Running four shards for one costs the operator twice the volume, the root of four.
    let [one, four] = [0, 1].map(|at| f64::from(noise.per_operator[at].volume()));
    assert!((4.0 * four / one - 2.0).abs() < 0.05);
    assert!(check(&noise, &shares, 2, &budget).is_ok());
}

#[test]
fn the_check_covers_every_set_of_malicious_operators() {
    let shares = [(3, 1), (2, 3), (2, 1), (1, 2), (1, 1), (4, 2)]
        .map(|(weight, shards)| OperatorShare { weight, shards });
    let budget = Budget::new(1.0, 1e-5, 100).unwrap();
    let malicious = 3;
    let noise = solve(&budget, &shares, malicious).unwrap();
    let reported = check(&noise, &shares, malicious, &budget).unwrap().epsilon;
    let mut worst = 0.0_f64;
    for mask in 0_u32..1 << shares.len() {
        let is_malicious = |at: usize| mask >> at & 1 == 1;
        let weight: u64 = (0..shares.len())
            .filter(|&at| is_malicious(at))
            .map(|at| u64::from(shares[at].weight))
            .sum();
        if weight <= malicious {
            let honest = (0..shares.len())
                .filter(|&at| !is_malicious(at))
                .flat_map(|at| [noise.per_operator[at]].repeat(shares[at].shards.into()));
            worst = worst.max(epsilon(honest, 1e-5, 100, Step::One));
        }
    }
    assert_eq!(reported, worst);
}

/// Noise that is enough in all, but not each operator's own share of it: whoever is honest then decides how
/// much is left, and much of it can stand at few shards.
#[test]
fn noise_that_is_not_divided_by_weight_is_refused_however_much_it_is() {
    let shares = [(1, 1), (1, 2), (2, 1), (1, 1), (3, 1), (1, 4), (1, 1)]
        .map(|(weight, shards)| OperatorShare { weight, shards });
    let budget = Budget::default();
    let noise = solve(&budget, &shares, 2).unwrap();
    for at in 0..shares.len() {
        let each = noise.per_operator[at];
        for (volume, units) in [
            (2 * each.volume(), 2 * each.sigma().units()),
            (2 * each.volume(), each.sigma().units()),
            (each.volume() + 8, each.sigma().units()),
            (each.volume(), each.sigma().units() - 1),
        ] {
            let mut odd = noise.clone();
            let sigma = Sigma::from_units(units).unwrap();
            odd.per_operator[at] = PairDistribution::new(volume, sigma).unwrap();
            let refused = check(&odd, &shares, 2, &budget).unwrap_err();
            assert!(matches!(refused, CheckError::NotDivided(_)), "{at}: {refused}");
        }
    }
    // Twice as much of everything is another matter.
    let stricter = Budget::new(budget.epsilon() / 2.0, 1e-6, 1000).unwrap();
    let more = solve(&stricter, &shares, 2).unwrap();
    assert!(check(&more, &shares, 2, &budget).is_ok());
}

/// The count of pairs moves by as many as a conversation has.
#[test]
fn a_conversation_of_more_pairs_needs_as_many_times_wider_noise() {
    let one = Budget::default();
    let at = |budget: &Budget| solve(budget, &equal(5), 1).unwrap();
    for pairs in [2_u8, 4] {
        let budget = one.with_pairs(pairs).unwrap();
        let noise = at(&budget);
        let ratio =
            noise.per_operator[0].sigma().pairs() / at(&one).per_operator[0].sigma().pairs();
        assert!((ratio / f64::from(pairs) - 1.0).abs() < 0.01, "{ratio}");
        assert!(check(&noise, &equal(5), 1, &budget).is_ok());
        // The noise for one pair, with the epsilon that the count then really has.
        let weak = check(&at(&one), &equal(5), 1, &budget).unwrap_err();
        let CheckError::TooWeak { achieved, .. } = weak else { panic!("{weak}") };
        assert!(achieved > f64::from(pairs) * 0.67, "{achieved}");
    }
    // Two pairs are as two patterns of four users with one: both move the count by two.
    let two = epsilon(vec![at(&one).per_operator[0]; 4], 1e-6, 1000, Step::Two);
    let weak = check(&at(&one), &equal(5), 1, &one.with_pairs(2).unwrap());
    let Err(CheckError::TooWeak { achieved, .. }) = weak else { panic!("{weak:?}") };
    assert_eq!(achieved, two);
    assert!(one.with_pairs(0).is_err() && one.with_pairs(17).is_err());
}

#[test]
fn unequal_weights_are_solved_alike_every_time() {
    let shares: Vec<_> =
        (0..40).map(|i| OperatorShare { weight: 50 + 7 * i, shards: 1 + i as u16 % 5 }).collect();
    let total: u64 = shares.iter().map(|share| u64::from(share.weight)).sum();
    let budget = Budget::default();
    let noise = solve(&budget, &shares, total / 5).unwrap();
    assert_eq!(noise, solve(&budget, &shares, total / 5).unwrap());
    assert!(check(&noise, &shares, total / 5, &budget).is_ok());
}

#[test]
fn a_very_easy_budget_needs_the_least_volume() {
    let budget = Budget::new(30.0, 0.4, 1).unwrap();
    let noise = solve(&budget, &equal(20), 4).unwrap();
    assert!(noise.per_operator.iter().all(|each| each.volume() <= 8));
}

#[test]
fn without_the_four_sigma_rule_less_volume_would_do() {
    let budget = Budget::new(4.0_f64.ln(), 1e-4, 245).unwrap();
    let volume = |quarters| {
        let cut = Cut::from_quarters(quarters).unwrap();
        let noise = solve_beyond(&budget, &equal(80), 0, cut).unwrap();
        let honest = vec![noise.per_operator[0]; 80];
        assert!(epsilon(honest, 1e-4, 245, Step::One) <= budget.epsilon());
        noise.per_operator[0].volume()
    };
    let volumes = [16, 12, 8, 4, 0].map(volume);
    assert!(volumes.is_sorted_by(|a, b| a >= b), "{volumes:?}");
    assert_eq!((volumes[0], volumes[4]), (68, 28));
    assert_eq!(
        solve(&budget, &equal(80), 0),
        solve_beyond(&budget, &equal(80), 0, Cut::FOUR_SIGMA)
    );
}

#[test]
fn small_deltas_do_not_drown_in_rounding_errors() {
    let volume = |delta| {
        let budget = Budget::new(2.0_f64.ln(), delta, 1000).unwrap();
        f64::from(solve(&budget, &equal(5), 1).unwrap().per_operator[0].volume())
    };
    let volumes = [1e-6, 1e-9, 1e-12, 1e-15].map(volume);
    assert!(volumes.is_sorted(), "{volumes:?}");
    // Sigma grows as the root of ln(1/delta), roughly, and the cut goes with it.
    assert!((1.4..2.1).contains(&(volumes[3] / volumes[0])), "{volumes:?}");
}

#[test]
fn bad_input_is_named() {
    let budget = Budget::default();
    assert_eq!(
        solve(&budget, &equal(5), 5),
        Err(SolveError::Share(ShareError::NobodyHonest { malicious: 5 }))
    );
    let idle = [OperatorShare { weight: 1, shards: 1 }, OperatorShare { weight: 1, shards: 0 }];
    assert_eq!(solve(&budget, &idle, 0), Err(SolveError::Share(ShareError::Empty(1))));
    let hopeless = Budget::new(0.06, 1e-6, 1000).unwrap();
    assert_eq!(solve(&hopeless, &equal(5), 1), Err(SolveError::OutOfReach));
    let margin = Budget::new(0.04, 1e-6, 1000).unwrap();
    let error = solve(&margin, &equal(5), 1).unwrap_err();
    assert!(matches!(error, SolveError::Margin { margin: 0.05, .. }), "{error}");
    assert!(error.to_string().contains("fewer than 800 rounds"), "{error}");

    let noise = solve(&budget, &equal(5), 1).unwrap();
    assert_eq!(
        check(&noise, &equal(6), 1, &budget),
        Err(CheckError::Length { allocated: 5, operators: 6 })
    );
    let wide = PairDistribution::new(1616, Sigma::from_units(64 * 1616 + 1).unwrap()).unwrap();
    let cut = NoiseAllocation { per_operator: vec![wide; 5] };
    assert_eq!(check(&cut, &equal(5), 1, &budget), Err(CheckError::Cut(0)));
}
