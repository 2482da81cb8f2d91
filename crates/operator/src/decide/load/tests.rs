//! Loads that stay as they are, and what must not be made of any.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_model::{MachineFigures, Placement, Scenario, predict};
use antiphon_wire::IdentityKey;
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

use super::*;
use crate::observed::{List, Lists, Pod};

/// Something that takes a part of a shard's time whatever the number of shards, and something that they share, in
/// thousandths. The same for the time of rounds.
#[derive(Clone, Copy, Debug)]
struct Constant {
    computing: (u32, u32),
    took: (u32, u32),
    others: u16,
}

impl Constant {
    /// The observation of it with `wanted` shards that have settled, measured `noise` percent too high.
    fn seen(self, wanted: u16, scaling: Scaling, noise: i32) -> Observed {
        let in_network = wanted + self.others;
        let measured = |(fixed, shared): (u32, u32), shards: u16| {
            let true_share = fixed + shared / u32::from(shards);
            Permille(true_share * (100 + noise) as u32 / 100)
        };
        let pod = Pod { running: true, ready: true, ..Pod::default() };
        let computing = measured(self.computing, wanted);
        let newest = List { number: 1, first_epoch: 1, last_epoch: 1001, shards: BTreeSet::new() };
        Observed {
            wanted,
            pods: (0..wanted).map(|shard| (Ordinal(shard), pod)).collect(),
            computing: (0..wanted).map(|shard| (Ordinal(shard), computing)).collect(),
            lists: Some(Lists { newest, ended: None }),
            network: Some(Network {
                epoch: Some(3),
                newest_epoch: 3,
                rounds_run: MEASURED_OVER,
                took: Some(measured(self.took, in_network)),
                epoch_shards: in_network,
                ..Network::default()
            }),
            scaling: Some(scaling),
            ..Observed::default()
        }
    }
}

fn asked(seen: &Observed) -> Option<u16> {
    follow(seen, &Decision::default()).steps.iter().find_map(|step| match step {
        Step::Scale { to, .. } => Some(*to),
        _ => None,
    })
}

fn said(seen: &Observed) -> (&'static str, String) {
    let outlook = follow(seen, &Decision::default()).scaling.unwrap();
    (outlook.reason, outlook.words)
}

fn constant() -> impl Strategy<Value = Constant> {
    let share = || (0..400_u32, 0..20_000_u32);
    (share(), share(), 0..150_u16).prop_map(|(computing, took, others)| Constant {
        computing,
        took,
        others,
    })
}

fn scaling() -> impl Strategy<Value = Scaling> {
    (1..40_u16, 0..40_u16, 200..900_u32).prop_map(|(least, more, target)| Scaling {
        least,
        most: least + more,
        target: Permille(target),
    })
}

proptest! {
    #[test]
    fn on_a_constant_load_the_number_goes_one_way_within_its_bounds_and_comes_to_rest(
        load in constant(),
        scaling in scaling(),
        start in 1..90_u16,
        noise in proptest::collection::vec(-5..=5_i32, 100),
    ) {
        let mut shards = start;
        let mut directions = BTreeSet::new();
        let bounds = scaling.least..=scaling.most;
        for noise in noise.into_iter().chain([0; 90]) {
            if let Some(to) = asked(&load.seen(shards, scaling, noise)) {
                prop_assert!(bounds.contains(&to), "{to}");
                if bounds.contains(&shards) {
                    directions.insert(to > shards);
                }
                shards = to;
            }
        }
        prop_assert!(directions.len() <= 1, "it flaps around {shards}");
        prop_assert_eq!(asked(&load.seen(shards, scaling, 0)), None);
    }

    #[test]
    fn it_never_grows_a_network_beyond_where_more_shards_help(
        load in constant(),
        scaling in scaling(),
        start in 1..40_u16,
    ) {
        let wanted = start.clamp(scaling.least, scaling.most);
        if let Some(to) = asked(&load.seen(wanted, scaling, 0)).filter(|to| *to > wanted) {
            prop_assert!(to + load.others <= MOST_HELPFUL);
        }
    }
}

const BOUNDS: Scaling = Scaling { least: 2, most: 8, target: Permille(600) };

/// Four shards of which each computes so much, in rounds that take so much of what they may.
fn four(computing: u32, took: u32) -> Observed {
    Constant { computing: (computing, 0), took: (took, 0), others: 10 }.seen(4, BOUNDS, 0)
}

#[test]
fn a_load_takes_as_many_shards_as_bring_it_to_the_target() {
    assert_eq!(asked(&four(650, 300)), None);
    assert_eq!(asked(&four(700, 300)), Some(5));
    assert_eq!(asked(&four(900, 300)), Some(6));
    assert_eq!(asked(&four(400, 900)), Some(6));
    assert_eq!(asked(&four(3000, 300)), Some(8));
    assert_eq!(asked(&four(350, 350)), Some(3));
    assert_eq!(asked(&four(370, 300)), None);
    assert_eq!(asked(&four(300, 370)), None);
}

#[test]
fn shares_grow_by_the_shard_that_is_busiest() {
    let mut seen = four(300, 300);
    seen.computing.insert(Ordinal(2), Permille(900));
    assert_eq!(asked(&seen), Some(6));
}

#[test]
fn rounds_that_are_long_without_computing_get_no_shards() {
    let (reason, words) = said(&four(100, 900));
    assert_eq!(reason, "MoreWouldNotHelp");
    assert!(words.contains("Look at links and their delays"), "{words}");
}

#[test]
fn what_keeps_the_number_is_said_in_words() {
    let full = Constant { computing: (900, 0), took: (300, 0), others: 196 };
    let (reason, words) = said(&full.seen(4, BOUNDS, 0));
    assert_eq!(reason, "NetworkIsFull");
    assert!(words.contains("200 shards of all operators"), "{words}");
    let mut seen = four(900, 300);
    seen.scaling = Some(Scaling { most: 4, ..BOUNDS });
    assert!(matches!(said(&seen), ("AtMost", words) if words.contains("4 is the most")));
    let mut seen = four(100, 100);
    seen.scaling = Some(Scaling { least: 4, ..BOUNDS });
    assert!(matches!(said(&seen), ("AtLeast", words) if words.contains("4 is the least")));
    seen.scaling = Some(Scaling { least: 6, ..BOUNDS });
    assert_eq!(asked(&seen), Some(6));
}

#[test]
fn after_a_change_two_epochs_pass_before_the_next() {
    let mut seen = four(900, 300);
    let network = seen.network.as_mut().unwrap();
    network.epoch = Some(2);
    let (reason, words) = said(&seen);
    assert_eq!((reason, asked(&seen)), ("CoolsDown", None));
    assert!(words.contains("again in epoch 3"), "{words}");
}

#[test]
fn nothing_is_made_of_what_is_not_known() {
    for hide in [
        (|seen| seen.network = None) as fn(&mut Observed),
        |seen| seen.network.as_mut().unwrap().took = None,
        |seen| seen.network.as_mut().unwrap().rounds_run -= 1,
        |seen| seen.computing = BTreeMap::new(),
    ] {
        let mut seen = four(900, 900);
        hide(&mut seen);
        assert_eq!((said(&seen).0, asked(&seen)), ("NotKnown", None));
    }
    // One that is not heard of may be the busiest.
    let mut seen = four(100, 100);
    seen.computing.remove(&Ordinal(3));
    assert_eq!((said(&seen).0, asked(&seen)), ("Waits", None));
}

#[test]
fn shards_that_run_and_do_not_get_into_an_epoch_are_helped_and_never_fewer() {
    let waits = Decision::waits("waits for shard 1 to be in an epoch".to_owned());
    let up = |seen: &Observed| !follow(seen, &waits).steps.is_empty();
    let listed = |mut seen: Observed| {
        let identity = |seed| IdentityKey::of(&SigningKey::from_bytes(&[seed; 32]));
        seen.keys = (0..4).map(|shard| (Ordinal(shard.into()), identity(shard))).collect();
        seen.lists.as_mut().unwrap().newest.shards = seen.keys.values().copied().collect();
        seen
    };
    assert!(up(&listed(four(900, 300))));
    assert!(!up(&listed(four(100, 100))));
    let mut seen = listed(four(900, 300));
    seen.pods.get_mut(&Ordinal(1)).unwrap().outdated = true;
    assert!(!up(&seen));
    let outlook = follow(&seen, &waits).scaling.unwrap();
    assert!(outlook.words.contains("waits for shard 1"), "{outlook:?}");
}

/// `plan --users 2000000 --cores 8 --link-gbps 10 --delay-ms 50`, of which the book speaks.
#[test]
fn by_the_model_rounds_get_longer_with_more_shards_than_that() {
    let latency = |shards: u16| {
        let usual = Scenario::usual(2_000_000, u32::from(shards), 15, 1616);
        let scenario = Scenario { placement: Placement::Apart { cores: 8 }, ..usual };
        predict(&scenario, &MachineFigures::REFERENCE).unwrap().latency_ms
    };
    assert!(latency(MOST_HELPFUL) < latency(MOST_HELPFUL / 4));
    assert!(latency(MOST_HELPFUL) < latency(5 * MOST_HELPFUL));
    assert!(latency(2 * MOST_HELPFUL) > 0.97 * latency(MOST_HELPFUL));
}
