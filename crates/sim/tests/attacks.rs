//! Every strategy stays within the guarantee of an intact network, and notices the broken ones that it
//! has to. Seeds are fixed; an interval of 99 % would fail once in two hundred others.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_sim::attack::{
    Against, AttackError, MAX_TRIALS, Measurement, Options, Strategy, all, measure, named,
};
use antiphon_sim::ideal::Broken;

const INTACT: Options =
    Options { broken: None, against: Against::Idle, trials: None, rounds: None, seed: 1 };

fn played(name: &str, options: &Options) -> Measurement {
    let measured = measure(named(name).unwrap(), options).unwrap();
    println!("{measured:?}");
    measured
}

/// Whether the guarantee holds in this many trials, and is one.
fn holds(name: &str, against: Against, trials: u64) {
    let measured = played(name, &Options { against, trials: Some(trials), ..INTACT });
    assert!(!measured.caught(), "{measured:?}");
    assert!(measured.bound.total() < 0.5, "{measured:?}");
}

fn notices(name: &str, broken: Broken, trials: u64) {
    let options = Options { broken: Some(broken), trials: Some(trials), ..INTACT };
    let measured = played(name, &options);
    assert!(measured.caught(), "{measured:?}");
}

#[test]
fn following_onions_tells_no_more_than_delta_mix() {
    for name in ["passive", "n-minus-one", "sybil"] {
        holds(name, Against::Idle, 500);
    }
    holds("n-minus-one", Against::Pattern, 500);
}

#[test]
fn counting_pairs_tells_no_more_than_the_noise_leaves() {
    for name in ["drop-one-each", "drop-both", "drop-layers", "last-shards", "missing-replies"] {
        holds(name, Against::Idle, 2000);
    }
    holds("drop-both", Against::Pattern, 2000);
    for name in ["repeated", "withholder"] {
        holds(name, Against::Idle, 300);
    }
}

#[test]
fn the_best_guess_from_one_count_is_as_good_as_the_bound_says_and_no_better() {
    let measured = played("drop-one-each", &Options { trials: Some(10_000), ..INTACT });
    assert!(
        measured.ci_low <= measured.bound.total() && measured.bound.total() <= measured.ci_high
    );
    let twice = Options { against: Against::Pattern, trials: Some(10_000), ..INTACT };
    let measured = played("drop-both", &twice);
    assert!(
        measured.ci_low <= measured.bound.total() && measured.bound.total() <= measured.ci_high
    );
}

#[test]
fn what_is_verified_cannot_be_dropped_and_what_is_aborted_says_nothing() {
    holds("drop-noise", Against::Idle, 150);
    holds("left-out", Against::Idle, 400);
    holds("aborts", Against::Idle, 300);
    holds("equivocation", Against::Idle, 1000);
    // Nothing is opened, so nothing is learnt.
    let measured = played("drop-noise", &Options { trials: Some(150), ..INTACT });
    assert!(measured.ci_low < 0.0 && 0.0 < measured.ci_high, "{measured:?}");
}

#[test]
fn missing_defences_of_the_mixing_are_noticed() {
    notices("passive", Broken::NoShuffle, 100);
    notices("n-minus-one", Broken::NoShuffle, 100);
    notices("sybil", Broken::WeightByShard, 100);
}

#[test]
fn missing_noise_is_noticed() {
    for name in ["drop-one-each", "drop-both", "repeated", "withholder", "last-shards"] {
        notices(name, Broken::NoNoise, 1000);
    }
    notices("drop-layers", Broken::NoNoise, 20_000);
}

#[test]
fn noise_that_nobody_looks_for_is_noticed() {
    notices("drop-noise", Broken::NoVerification, 1200);
}

#[test]
fn a_seal_that_opens_early_is_noticed() {
    notices("drop-noise", Broken::EarlyOpen, 1200);
    notices("aborts", Broken::EarlyOpen, 150);
}

#[test]
fn other_missing_defences_are_noticed() {
    notices("missing-replies", Broken::NoFill, 400);
    notices("left-out", Broken::NoCover, 800);
    notices("equivocation", Broken::NoQuorum, 2000);
}

#[test]
fn every_strategy_has_a_broken_network_to_notice() {
    for strategy in all() {
        assert!(!strategy.notices().is_empty(), "{}", strategy.name());
        assert_eq!(named(strategy.name()).unwrap().name(), strategy.name());
    }
    for broken in Broken::ALL {
        assert!(all().iter().any(|strategy| strategy.notices().contains(&broken)), "{broken}");
        assert_eq!(broken.name().parse(), Ok(broken));
    }
}

#[test]
fn the_same_seed_gives_the_same_figures() {
    let options = Options { trials: Some(200), ..INTACT };
    assert_eq!(played("drop-one-each", &options), played("drop-one-each", &options));
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let refused = |strategy: &dyn Strategy, options| measure(strategy, &options).unwrap_err();
    let passive = named("passive").unwrap();
    for trials in [0, MAX_TRIALS + 1] {
        let options = Options { trials: Some(trials), ..INTACT };
        assert_eq!(refused(passive, options), AttackError::Trials(trials));
    }
    let options = Options { rounds: Some(0), ..INTACT };
    assert_eq!(refused(passive, options), AttackError::Rounds(0));
    let options = Options { against: Against::Pattern, ..INTACT };
    assert_eq!(refused(named("left-out").unwrap(), options), AttackError::IdleOnly("left-out"));
    let unknown = named("bribe").map(Strategy::name).unwrap_err().to_string();
    assert!(unknown.contains("bribe") && unknown.contains("drop-one-each"), "{unknown}");
    let unknown = "no-door".parse::<Broken>().unwrap_err().to_string();
    assert!(unknown.contains("no-door") && unknown.contains("no-noise"), "{unknown}");
}
