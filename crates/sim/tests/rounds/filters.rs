//! False filters and verdicts.

use std::rc::Rc;

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::{RoundReport, RoundResult};
use antiphon_sim::Network;
use antiphon_sim::adversary::{
    Adversary, Delay, FalseComplaint, FalseFilter, FilterLie, FilterStuffer, InRounds, Kind,
    LeftOut, Target, round_of,
};
use antiphon_sim::scenario::{Talk, index_of, named, quick};
use antiphon_wire::{IdentityKey, Layer, Reason, Round, ShardIndex};

const ROUND: Round = Round(3);
const SPOILER: usize = 2;

/// Sees that the round is aborted at no cost, and returns who is named and why, and the spoiler.
fn aborted(
    attack: impl Adversary + 'static,
) -> (Vec<IdentityKey>, Reason, IdentityKey, ShardIndex) {
    let mut talk = Talk::start(quick(4), InRounds::one(ROUND, attack));
    talk.network.run_until(60_000, |network| network.record.outcome(0, Round(1)).is_some());
    let index = index_of(&mut talk.network, SPOILER);
    let verdict = talk.judge(ROUND);
    verdict.nothing_opened(&[]);
    verdict.all_clients(Outcome::FreeAbort);
    let (who, reason) = named(&verdict.report);
    (who, reason.expect("some shard gives a cause"), talk.network.identity(SPOILER), index)
}

#[test]
fn an_unusable_filter_names_its_owner() {
    for (lie, full) in
        [(FilterLie::WrongSize, false), (FilterLie::CountAbsurd, false), (FilterLie::AllOnes, true)]
    {
        let (who, reason, spoiler, shard) = aborted(FalseFilter { shard: SPOILER, lie });
        let expected =
            if full { Reason::FullFilter { shard } } else { Reason::BadFilter { shard } };
        assert_eq!(reason, expected, "{lie:?}");
        assert_eq!(who, [spoiler], "{lie:?}");
    }
}

#[test]
fn a_filter_of_other_onions_is_complained_about() {
    for lie in [FilterLie::Empty, FilterLie::CountOneMore] {
        let (who, reason, spoiler, _) = aborted(FalseFilter { shard: SPOILER, lie });
        assert!(matches!(reason, Reason::MissingOnions { .. }), "{lie:?} {reason:?}");
        assert!(who.contains(&spoiler), "{lie:?}");
    }
}

#[test]
fn a_filter_that_did_not_come_or_is_not_signed_names_its_owner() {
    let (who, reason, spoiler, shard) = aborted(Delay::forever(Target::all(SPOILER, Kind::Filter)));
    assert_eq!((who, reason), (vec![spoiler], Reason::MissingFilter { shard }));
    let lie = FilterLie::Signature;
    let (who, reason, spoiler, shard) = aborted(FalseFilter { shard: SPOILER, lie });
    assert_eq!((who, reason), (vec![spoiler], Reason::MissingFilter { shard }));
}

#[test]
fn different_filters_for_different_shards_are_noticed() {
    let lie = FilterLie::OtherTo(0);
    let (_, reason, ..) = aborted(FalseFilter { shard: SPOILER, lie });
    assert!(matches!(reason, Reason::OtherFilters { .. }), "{reason:?}");
}

#[test]
fn a_verdict_that_did_not_come_names_who_owes_it() {
    for to in [None, Some(0)] {
        let target = Target { from: SPOILER, to, kind: Kind::Verdict };
        let mut talk = Talk::start(quick(4), InRounds::one(ROUND, Delay::forever(target)));
        talk.network.run_until(60_000, |network| network.record.outcome(0, Round(1)).is_some());
        let shard = index_of(&mut talk.network, SPOILER);
        let verdict = talk.judge(ROUND);
        let (who, reason) = named(&verdict.report);
        assert_eq!(reason, Some(Reason::MissingVerdict { shard }));
        assert_eq!(who, [talk.network.identity(SPOILER)]);
        verdict.nothing_opened(&[]);
        // One operator that withheld alone proves nothing, honest as it is here: it might be the adversary's, which
        // opens alone. So whoever keeps its verdict from one shard costs a round what spoiling replies costs.
        let alone = to.is_some();
        verdict.all_clients(if alone { Outcome::ChargedAbort } else { Outcome::FreeAbort });
    }
}

#[test]
fn a_false_complaint_aborts_at_no_cost_and_shows_who_complained() {
    let attack = FalseComplaint { shard: SPOILER, about: ShardIndex(0) };
    let (_, reason, _, complainant) = aborted(attack);
    let at = ShardIndex(0);
    assert_eq!(reason, Reason::MissingOnions { complainant, at, missing: 1 });
}

#[test]
fn onions_chosen_to_fill_an_honest_filter_abort_nothing() {
    let mut setup = quick(4);
    setup.clients = 0;
    let target = Target::onions(SPOILER, 0, Layer(3));
    let attack = FilterStuffer { target, added: Rc::default() };
    let added = Rc::clone(&attack.added);
    let mut network = Network::with_adversary(setup, InRounds::one(ROUND, attack));
    network.run_ms(30_000);
    assert!(added.get() > 50, "{}", added.get());
    let report = network.record.rounds().find(|report| report.round == ROUND);
    assert_eq!(report.map(|report| &report.result), Some(&RoundResult::Delivered));
}

/// Rounds in which shard 2 left one onion out of its filter, and how many of them were aborted.
fn noticed(last_hop: usize, with: &'static [usize]) -> (usize, usize) {
    let mut setup = quick(4);
    setup.clients = 0;
    setup.coordinator.epoch_rounds = 64;
    let mut attack = LeftOut::new(SPOILER, last_hop, with, Layer(3));
    let times = Rc::clone(&attack.times);
    let mut network = Network::with_adversary(
        setup,
        move |now, sent: antiphon_sim::Sent, keys: &_| match round_of(&sent.payload) {
            Some(round) if round.0 % 2 == 0 => attack.on_message(now, sent, keys),
            _ => vec![(0, sent)],
        },
    );
    network.run_ms(72_000);
    let aborted = |report: &&RoundReport| matches!(report.result, RoundResult::Aborted { .. });
    (times.get(), network.record.rounds().filter(aborted).count())
}

#[test]
fn an_onion_of_an_honest_last_hop_is_always_missed() {
    let (attacked, aborted) = noticed(1, &[]);
    assert!(attacked > 20);
    assert_eq!(aborted, attacked);
}

#[test]
fn an_onion_whose_last_two_hops_are_malicious_is_missed_half_the_time() {
    let (attacked, aborted) = noticed(3, &[3]);
    println!("noticed in {aborted} of {attacked} rounds");
    let share = aborted as f64 / attacked as f64;
    assert!(attacked > 20);
    // Half of the noise is the attackers' own, which nobody else checks: that leaves a quarter, and a
    // few for onions that share the missing bit and that the attackers did not see.
    assert!((0.1..0.6).contains(&share), "{aborted} of {attacked}");
}
