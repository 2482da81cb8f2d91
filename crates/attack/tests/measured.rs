//! Every strategy stays within the guarantee of an intact network, and notices the broken ones that it
//! has to. Seeds are fixed; an interval of 99 % would fail once in two hundred others.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use antiphon_attack::ideal::Broken;
use antiphon_attack::{
    Against, AttackError, MAX_TRIALS, Measurement, Options, Size, Strategy, Verdict, all, measure,
    named, suite,
};

fn played(name: &str, options: &Options) -> Measurement {
    let measured = measure(named(name).unwrap(), options).unwrap();
    println!("{measured:?}");
    measured
}

fn in_trials(trials: u64) -> Options {
    Options { trials: Some(trials), ..Options::default() }
}

/// Whether the guarantee holds in this many trials, and is one.
fn holds(name: &str, against: Against, trials: u64) -> Measurement {
    let measured = played(name, &Options { against, ..in_trials(trials) });
    assert!(!measured.caught(), "{measured:?}");
    assert!(measured.bound.total() < 0.5, "{measured:?}");
    measured
}

fn notices(name: &str, broken: Broken, trials: u64) {
    let measured = played(name, &Options { broken: Some(broken), ..in_trials(trials) });
    assert!(measured.caught(), "{measured:?}");
}

/// Whether the advantage may well be this one.
fn agrees(measured: &Measurement, advantage: f64) {
    assert!((measured.ci_low..=measured.ci_high).contains(&advantage), "{measured:?}");
}

#[test]
fn following_onions_tells_no_more_than_delta_mix() {
    for name in ["passive", "n-minus-one", "sybil", "joint"] {
        holds(name, Against::Idle, 500);
    }
    holds("n-minus-one", Against::Pattern, 500);
}

#[test]
fn four_onions_followed_jointly_are_found_as_often_as_their_likelihoods_say() {
    // Two hops, so that there is much to find.
    let size = Size { mixing_hops: Some(2), ..Size::default() };
    let measured = played("joint", &Options { size, ..in_trials(1500) });
    assert!(measured.expected > 0.2, "{measured:?}");
    agrees(&measured, measured.expected);
}

#[test]
fn an_onion_that_is_dropped_leaves_another_to_follow() {
    holds("drop-follow", Against::Idle, 300);
    notices("drop-follow", Broken::NoShuffle, 100);
    notices("drop-follow", Broken::NoNoise, 100);
}

#[test]
fn looking_before_disturbing_gains_more_than_mixing_alone_allows_and_no_more_than_the_peek() {
    let measured = holds("peek", Against::Idle, 600);
    // What stood there before is not enough, and what stands there now is.
    assert!(measured.ci_low > measured.bound.without_peek(), "{measured:?}");
    assert_eq!(measured.verdict(), Verdict::Within, "{measured:?}");
    // As often as one of four onions has malicious hops alone, and for certain.
    let rate = 4.0 * libm::pow(0.4, f64::from(measured.mixing_hops));
    agrees(&measured, 1.0 - libm::exp(-rate * f64::from(measured.rounds)));
    notices("peek", Broken::WeightByShard, 60);
}

#[test]
fn what_clients_count_bounds_how_often_they_can_be_attacked() {
    holds("close-in-flight", Against::Idle, 1500);
    notices("close-in-flight", Broken::FreeCloses, 500);
    holds("small-network", Against::Idle, 1500);
    notices("small-network", Broken::LoneWithholder, 500);
    holds("attempts", Against::Idle, 800);
    notices("attempts", Broken::UncountedAborts, 300);
}

#[test]
fn documents_that_are_accepted_keep_what_the_policy_promises() {
    for name in ["thin-noise", "narrow-noise", "many-pairs", "seizure", "short-paths", "absent"] {
        holds(name, Against::Idle, 300);
        notices(name, Broken::NoPolicy, 300);
    }
}

/// Each of these passed once.
#[test]
fn documents_that_former_rules_let_through_are_noticed() {
    notices("narrow-noise", Broken::StatedVariance, 300);
    notices("many-pairs", Broken::AnyPairs, 300);
    notices("seizure", Broken::EndlessEpochs, 300);
}

#[test]
fn large_networks_can_be_attacked() {
    let size = Size { shards: Some(100), users: Some(2000), mixing_hops: Some(14) };
    for (name, broken) in [("passive", None), ("drop-one-each", Some(Broken::NoNoise))] {
        let measured = played(name, &Options { size, broken, ..in_trials(20) });
        assert_eq!((measured.shards, measured.users, measured.mixing_hops), (100, 2000, 14));
        assert_eq!(measured.caught(), broken.is_some());
    }
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
    for (name, against) in [("drop-one-each", Against::Idle), ("drop-both", Against::Pattern)] {
        let measured = holds(name, against, 10_000);
        agrees(&measured, measured.bound.total());
    }
}

#[test]
fn what_is_verified_cannot_be_dropped_and_what_is_aborted_says_nothing() {
    let measured = holds("drop-noise", Against::Idle, 150);
    // Nothing is opened, so nothing is learnt.
    agrees(&measured, 0.0);
    // Nor what look-alikes are sent for: their owner's salt is not known.
    let measured = holds("filter-stuffing", Against::Idle, 300);
    agrees(&measured, 0.0);
    holds("left-out", Against::Idle, 400);
    holds("aborts", Against::Idle, 300);
    holds("equivocation", Against::Idle, 1000);
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
    notices("drop-noise", Broken::EarlyOpen, 2400);
    notices("aborts", Broken::EarlyOpen, 150);
}

#[test]
fn other_missing_defences_are_noticed() {
    notices("missing-replies", Broken::NoFill, 400);
    notices("left-out", Broken::NoCover, 800);
    notices("filter-stuffing", Broken::KnownFilterKeys, 4000);
    notices("equivocation", Broken::NoQuorum, 2000);
}

#[test]
fn every_strategy_has_a_broken_network_to_notice() {
    for strategy in all() {
        let profile = strategy.profile();
        assert!(!profile.notices.is_empty(), "{}", profile.name);
        assert_eq!(named(profile.name).unwrap().profile().name, profile.name);
    }
    for broken in Broken::ALL {
        assert!(
            all().iter().any(|strategy| strategy.profile().notices.contains(&broken)),
            "{broken}"
        );
        assert_eq!(broken.name().parse(), Ok(broken));
    }
}

#[test]
fn the_same_seed_gives_the_same_figures_on_any_number_of_cores() {
    let options = in_trials(200);
    let measured = played("drop-one-each", &options);
    assert_eq!(measured, played("drop-one-each", &options));
    assert_eq!(measured.right, 123);
    let other = played("drop-one-each", &Options { seed: 2, ..options });
    assert_ne!(measured.right, other.right);
}

#[test]
fn a_suite_has_every_strategy_and_every_broken_network_and_says_how_many_it_compares() {
    let plays = suite(None, &[1, 2], Some(10), true);
    for play in &plays {
        assert_eq!(play.options.comparisons as usize, plays.len());
    }
    for strategy in all() {
        for broken in strategy.profile().notices {
            for seed in [1, 2] {
                let found = plays.iter().any(|play| {
                    play.strategy.profile().name == strategy.profile().name
                        && play.options.broken == Some(*broken)
                        && play.options.seed == seed
                });
                assert!(found, "{} {broken}", strategy.profile().name);
            }
        }
    }
    // Looking at many makes each interval wider.
    let one = in_trials(100);
    let many = Options { comparisons: 100, ..one };
    assert!(played("drop-both", &many).ci_low < played("drop-both", &one).ci_low);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let refused = |strategy: &dyn Strategy, options| measure(strategy, &options).unwrap_err();
    let passive = named("passive").unwrap();
    for trials in [0, MAX_TRIALS + 1] {
        assert_eq!(refused(passive, in_trials(trials)), AttackError::Trials(trials));
    }
    for (size, error) in [
        (Size { shards: Some(1), ..Size::default() }, AttackError::Shards(1)),
        (Size { shards: Some(4), ..Size::default() }, AttackError::MaliciousShare(4)),
        (Size { users: Some(1), ..Size::default() }, AttackError::Users { users: 1, least: 2 }),
        (Size { mixing_hops: Some(1), ..Size::default() }, AttackError::MixingHops(1)),
    ] {
        assert_eq!(refused(passive, Options { size, ..Options::default() }), error);
    }
    let size = Size { shards: Some(100), ..Size::default() };
    let own = named("thin-noise").unwrap();
    assert_eq!(
        refused(own, Options { size, ..Options::default() }),
        AttackError::OneSize("thin-noise")
    );
    let options = Options { rounds: Some(0), ..Options::default() };
    assert_eq!(refused(passive, options), AttackError::Rounds(0));
    let options = Options { against: Against::Pattern, ..Options::default() };
    assert_eq!(refused(named("left-out").unwrap(), options), AttackError::IdleOnly("left-out"));
    let unknown = named("bribe").map(|_| ()).unwrap_err().to_string();
    assert!(unknown.contains("bribe") && unknown.contains("drop-one-each"), "{unknown}");
    let unknown = "no-door".parse::<Broken>().unwrap_err().to_string();
    assert!(unknown.contains("no-door") && unknown.contains("no-noise"), "{unknown}");
}
