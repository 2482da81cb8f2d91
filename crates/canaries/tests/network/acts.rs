//! What each kind of misbehaviour leads to, and what honest shards are safe from.

use std::collections::BTreeSet;

use antiphon_canaries::{Court, Finding};
use antiphon_wire::{Direction, ShardIndex};
use proptest::prelude::*;

use crate::model::{Act, Network, Trouble};

fn acts() -> impl Strategy<Value = Act> {
    let per_million = prop_oneof![Just(3_000u32), Just(100_000), Just(1_000_000)];
    prop_oneof![
        (per_million.clone(), 0usize..60)
            .prop_map(|(per_million, from)| Act::Garble { per_million, from }),
        per_million.clone().prop_map(|per_million| Act::GarbleAndFill { per_million }),
        per_million.clone().prop_map(|per_million| Act::GarbleSilently { per_million }),
        per_million.clone().prop_map(|per_million| Act::GarbleAndLieReceived { per_million }),
        per_million.prop_map(|per_million| Act::GarbleAndLieSent { per_million }),
        Just(Act::Swap),
        Just(Act::Copies),
        Just(Act::OpensOther),
        Just(Act::OpensWhole),
        Just(Act::AsksTooLate),
        Just(Act::OpensTooLate),
    ]
}

/// The findings of so many rounds.
fn findings(network: &mut Network, rounds: u64) -> Vec<Finding> {
    let mut court = Court::default();
    (0..rounds).flat_map(|round| network.round(round, &mut court).findings).collect()
}

fn marks(findings: &[Finding]) -> impl Iterator<Item = &BTreeSet<ShardIndex>> {
    findings.iter().filter_map(|finding| match finding {
        Finding::Mark { members, .. } => Some(members),
        _ => None,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_mark_has_a_malicious_member_whatever_is_lost_late_or_lied_about(
        acts in prop::collection::btree_map(0usize..6, acts(), 0..4),
        late in prop_oneof![Just(0u32), Just(20), Just(300)],
        crashed in prop::option::of(0usize..6),
        seed: u64,
    ) {
        let mut network = Network::new(6, acts, seed);
        network.trouble = Trouble { late, crashed };
        let malicious: BTreeSet<_> =
            network.acts.keys().map(|shard| ShardIndex(*shard as u16)).collect();
        for members in marks(&findings(&mut network, 2)) {
            prop_assert!(!members.is_disjoint(&malicious), "{members:?}");
        }
    }
}

#[test]
fn nothing_comes_of_late_batches_and_crashes_but_that_they_were_late() {
    let mut network = Network::new(5, [], 1);
    network.trouble = Trouble { late: 30, crashed: Some(2) };
    let findings = findings(&mut network, 6);
    assert!(!findings.is_empty(), "something was lost");
    assert_eq!(marks(&findings).count(), 0, "{findings:?}");
    let silent = |finding: &Finding| *finding == Finding::Silent(ShardIndex(2));
    assert!(findings.iter().any(silent), "who crashed states nothing");
}

#[test]
fn a_network_without_trouble_asks_for_nothing() {
    let mut network = Network::new(5, [], 2);
    assert_eq!(findings(&mut network, 2), []);
}

/// For each way to go wrong: the marks of some rounds are not empty, and all have the shard that did it.
#[test]
fn whoever_does_it_is_in_every_mark() {
    let garbles = Act::Garble { per_million: 1_000_000, from: 0 };
    let tails = Act::Garble { per_million: 1_000_000, from: 40 };
    let acts = [garbles, tails, Act::Swap, Act::Copies, Act::OpensOther, Act::OpensWhole];
    for act in acts {
        let mut network = Network::new(5, [(3, act)], 4);
        let findings = findings(&mut network, 3);
        assert!(marks(&findings).count() > 0, "{act:?}");
        assert!(
            marks(&findings).all(|members| members.contains(&ShardIndex(3))),
            "{act:?}: {findings:?}"
        );
    }
}

/// Who sends last before a cell is lost may be honest: a mark of the sender alone, without the maker, or without those
/// beside it, would be of honest shards alone.
#[test]
fn no_mark_could_do_with_the_sender_alone() {
    let tails = Act::Garble { per_million: 1_000_000, from: 40 };
    let both = [Direction::Forward, Direction::Reply];
    for (act, directions) in
        [(Act::OpensOther, &both[..1]), (tails, &both), (Act::Copies, &both), (Act::Swap, &both)]
    {
        let mut network = Network::new(8, [(3, act)], 5);
        let findings = findings(&mut network, 6);
        let lost = findings.iter().filter_map(|finding| match finding {
            Finding::Mark { lost_on, .. } => *lost_on,
            _ => None,
        });
        let honest: Vec<_> = lost.filter(|leg| leg.sender != ShardIndex(3)).collect();
        for direction in directions {
            assert!(honest.iter().any(|leg| leg.direction == *direction), "{act:?} {direction:?}");
        }
    }
}
