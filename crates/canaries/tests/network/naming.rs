//! Garblers are named or left out, and nobody else is.

use std::collections::BTreeSet;

use antiphon_canaries::{Court, Member};

use crate::model::{Act, Network, Trouble};

/// Rounds of two epochs with beats.
const TWO_EPOCHS: u64 = 24;

/// The first round after which somebody is named, all who are, and who is left out for deadlines.
fn outcome(network: &mut Network, rounds: u64, most: u64) -> (Option<u64>, Vec<u16>, Vec<u16>) {
    let positions = |named: BTreeSet<Member>| named.into_iter().map(|member| member.operator.0);
    let (mut garblers, mut late) = (BTreeSet::new(), BTreeSet::new());
    let (mut court, mut first) = (Court::default(), None);
    for round in 0..rounds {
        network.round(round, &mut court);
        let named = court.name(|_| 1, most);
        if !named.garblers.is_empty() {
            first = first.or(Some(round));
        }
        garblers.extend(positions(named.garblers));
        late.extend(positions(named.late));
    }
    (first, garblers.into_iter().collect(), late.into_iter().collect())
}

#[test]
fn a_garbler_of_one_cell_in_a_hundred_is_named_within_two_epochs_and_nobody_else_is() {
    let act = Act::Garble { per_million: 10_000, from: 0 };
    let mut network = Network::new(5, [(3, act)], 6);
    let (first, named, late) = outcome(&mut network, TWO_EPOCHS, 1);
    assert!(first.is_some_and(|round| round < TWO_EPOCHS), "{first:?}");
    assert_eq!((named, late), (vec![3], vec![]));
}

#[test]
fn a_garbler_is_named_though_batches_are_late_and_a_shard_crashes() {
    let act = Act::Garble { per_million: 200_000, from: 16 };
    let mut network = Network::new(5, [(3, act)], 7);
    network.trouble = Trouble { late: 5, crashed: Some(0) };
    let (first, named, _) = outcome(&mut network, TWO_EPOCHS, 1);
    assert!(first.is_some(), "within {TWO_EPOCHS} rounds");
    assert_eq!(named, [3]);
}

#[test]
fn whoever_hides_a_garbled_cell_behind_a_lie_is_named() {
    let per_million = 100_000;
    for act in [
        Act::GarbleAndLieReceived { per_million },
        Act::GarbleAndLieSent { per_million },
        Act::Swap,
        Act::Copies,
        Act::OpensOther,
        Act::OpensWhole,
    ] {
        let (_, named, late) = outcome(&mut Network::new(5, [(3, act)], 8), 8, 1);
        assert_eq!((named, late), (vec![3], vec![]), "{act:?}");
    }
}

#[test]
fn whoever_hides_behind_silence_or_late_batches_has_missed_deadlines() {
    let per_million = 100_000;
    for act in [Act::GarbleAndFill { per_million }, Act::GarbleSilently { per_million }] {
        let (_, named, late) = outcome(&mut Network::new(5, [(3, act)], 9), 8, 1);
        assert_eq!(late, [3], "{act:?}");
        // Its own canaries can name it besides.
        assert!(named.iter().all(|shard| *shard == 3), "{act:?}: {named:?}");
    }
}

#[test]
fn two_that_garble_together_are_both_named() {
    let garbles = Act::Garble { per_million: 50_000, from: 0 };
    let mut network = Network::new(10, [(3, garbles), (7, garbles)], 10);
    let (_, named, late) = outcome(&mut network, TWO_EPOCHS, 2);
    assert_eq!((named, late), (vec![3, 7], vec![]));
}

#[test]
fn a_threshold_below_the_malicious_weight_would_name_honest_shards() {
    // With room for one of two malicious operators nobody explains the marks of both: the threshold is what protects.
    let act = Act::Garble { per_million: 1_000_000, from: 0 };
    let (_, named, _) = outcome(&mut Network::new(10, [(3, act), (7, act)], 11), 2, 1);
    assert!(named.iter().any(|shard| ![3, 7].contains(shard)), "{named:?}");
}

#[test]
fn where_nobody_counts_as_malicious_no_honest_shard_is_named_beside_the_garbler() {
    let act = Act::Garble { per_million: 1_000_000, from: 0 };
    let (_, named, _) = outcome(&mut Network::new(5, [(3, act)], 11), 2, 0);
    assert_eq!(named, [3]);
}

#[test]
fn whoever_asks_or_opens_too_late_makes_nobody_look_late() {
    for act in [Act::AsksTooLate, Act::OpensTooLate] {
        let mut network = Network::new(5, [(3, act)], 12);
        network.beats = 4;
        let (_, named, late) = outcome(&mut network, 8, 1);
        assert!(late.iter().chain(&named).all(|shard| *shard == 3), "{act:?}: {named:?} {late:?}");
    }
}
