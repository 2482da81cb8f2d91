//! Shards that play with their seal keys.

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::adversary::{InRounds, Keys, SealPlay, SealSpoiler};
use antiphon_sim::scenario::{Talk, Verdict, quick};
use antiphon_sim::{Party, Payload, Sent, Setup};
use antiphon_wire::{
    PeerMessage, Reason, Round, RoundOutcome, SealAct, SealStatement, Signed, Suite, Timestamp,
};

const ROUND: Round = Round(3);
const SPOILER: usize = 2;

fn play(setup: Setup, play: SealPlay) -> (Talk, Verdict) {
    let attack = SealSpoiler { shard: SPOILER, play };
    let mut talk = Talk::start(setup, InRounds::one(ROUND, attack));
    let verdict = talk.judge(ROUND);
    (talk, verdict)
}

/// Five operators, one of which may be malicious: what depends on weights.
fn fifth() -> Setup {
    let mut setup = quick(5).with_malicious_fifth();
    setup.coordinator.epoch_rounds = 5;
    setup.coordinator.prepare_ahead_rounds = 2;
    setup
}

#[test]
fn a_key_withheld_before_the_others_are_released_makes_a_free_abort() {
    let (mut talk, verdict) = play(fifth(), SealPlay::WithholdEarly);
    verdict.nothing_opened(&[SPOILER]);
    verdict.all_clients(Outcome::FreeAbort);
    talk.charges_match();
}

/// A quantum computer would open it, with the ML-KEM secrets of malicious seal shards.
#[test]
fn the_same_abort_is_charged_in_suite_2() {
    let mut setup = fifth();
    setup.policy.suite = Suite::Hybrid;
    let (mut talk, verdict) = play(setup, SealPlay::WithholdEarly);
    verdict.nothing_opened(&[SPOILER]);
    verdict.all_clients(Outcome::ChargedAbort);
    talk.charges_match();
}

#[test]
fn a_key_withheld_after_the_others_are_released_is_charged() {
    let (mut talk, verdict) = play(fifth(), SealPlay::Withhold);
    verdict.nothing_opened(&[SPOILER]);
    for (client, outcome) in verdict.clients.iter().enumerate() {
        // The spoiler is a gateway, too, and has replies of its own making for its client.
        let told = if client == SPOILER { Outcome::Disturbed } else { Outcome::ChargedAbort };
        assert_eq!(*outcome, Some(told), "{verdict:?}");
    }
    talk.charges_match();
}

#[test]
fn a_shard_that_says_nothing_disturbs_the_round_and_is_named() {
    for how in [SealPlay::Silent, SealPlay::WrongSecret] {
        let (mut talk, verdict) = play(quick(4), how.clone());
        let spoiler = talk.network.identity(SPOILER);
        assert_eq!(verdict.report.result, RoundResult::Partial { missing: vec![spoiler] });
        // Only the spoiler has all keys: nothing is opened but what it holds itself.
        for (shard, ended) in verdict.shards.iter().enumerate() {
            let not_opened = matches!(ended, Some((RoundOutcome::NotOpened { .. }, _)));
            assert_eq!(not_opened, shard != SPOILER, "{verdict:?}");
        }
        verdict.all_clients(Outcome::Disturbed);
        talk.charges_match();
    }
}

#[test]
fn a_key_released_to_some_reaches_all() {
    for some in [vec![0], vec![0, 3]] {
        let (_, verdict) = play(quick(4), SealPlay::ReleaseTo(some));
        assert_eq!(verdict.report.result, RoundResult::Delivered);
        assert_eq!(verdict.deposits(), verdict.onions());
        verdict.all_clients(Outcome::Undisturbed);
    }
}

#[test]
fn a_key_released_and_withheld_opens() {
    for how in [SealPlay::Both(true), SealPlay::Both(false), SealPlay::BothTo(vec![0])] {
        let (_, verdict) = play(quick(4), how.clone());
        assert_eq!(verdict.report.result, RoundResult::Delivered, "{how:?}");
        let (outcome, _) = verdict.shards[1].unwrap();
        assert_eq!(outcome, RoundOutcome::Delivered, "{how:?}");
        verdict.all_clients(Outcome::Undisturbed);
    }
}

/// Signs, in the round before, that the spoiler withholds its key in `ROUND`.
fn withheld_before_it_opens(_: Timestamp, sent: Sent, keys: &Keys) -> Vec<(u64, Sent)> {
    let Payload::Peer(PeerMessage::Filter { filter }) = &sent.payload else {
        return vec![(0, sent)];
    };
    let claims = filter.claimed();
    if sent.from != Party::Shard(SPOILER) || claims.round.next() != ROUND {
        return vec![(0, sent)];
    }
    let statement = SealStatement {
        network: keys.network(),
        epoch: claims.epoch,
        round: ROUND,
        shard: claims.shard,
        act: SealAct::Withheld { reason: Reason::NotPrepared },
    };
    let statements = vec![Signed::new(statement, keys.shard(SPOILER))];
    let payload = Payload::Peer(PeerMessage::Statements { statements });
    let early = Sent { payload, ..sent };
    vec![(0, sent), (0, early)]
}

#[test]
fn a_key_withheld_before_its_round_opens_aborts_it_and_no_honest_shard_falls_silent() {
    let mut talk = Talk::start(quick(4), withheld_before_it_opens);
    let verdict = talk.judge(ROUND);
    assert!(matches!(verdict.report.result, RoundResult::Aborted { .. }), "{verdict:?}");
    assert!(verdict.report.silent.is_empty());
    verdict.nothing_opened(&[]);
    // Clients of honest gateways are not even asked for onions.
    let gateway = |client: usize| client % 4;
    for (client, outcome) in verdict.clients.iter().enumerate() {
        assert!(gateway(client) == SPOILER || outcome.is_none(), "{verdict:?}");
    }
}
