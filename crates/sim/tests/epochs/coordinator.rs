//! A coordinator that says the right things to the wrong shards, twice, late, or not at all.

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_fixture::Scripted;
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{Talk, Verdict, log};
use antiphon_sim::{Network, Party, Payload, Sent, Setup};
use antiphon_wire::{Epoch, Reason, Round, RoundOutcome, Timestamp, ToCoordinator, ToShard};

use crate::open;

fn setup() -> Setup {
    let mut setup = Setup::small(4, 4).with_little_noise();
    setup.coordinator.epoch_rounds = 10;
    setup.coordinator.prepare_ahead_rounds = 4;
    setup
}

fn to_shard(sent: &Sent) -> Option<(usize, &ToShard)> {
    match (&sent.to, &sent.payload) {
        (Party::Shard(i), Payload::ToShard(message)) => Some((*i, message)),
        _ => None,
    }
}

fn nobody_charged(network: &mut Network) {
    for client in 0..4 {
        assert_eq!(network.client(client).ledger().charged(), 0, "client {client}");
    }
}

#[test]
fn saying_everything_again_later_changes_nothing() {
    let mut talk = Talk::start(setup(), |_: Timestamp, sent: Sent, _: &Keys| {
        let again = to_shard(&sent).is_some();
        let copies = if again { vec![700, 2_900, 12_000] } else { vec![] };
        let mut sent_on = vec![(0, sent.clone())];
        sent_on.extend(copies.into_iter().map(|extra| (extra, sent.clone())));
        sent_on
    });
    talk.finish();
    talk.network.run_ms(15_000);
    assert!(talk.network.record.epochs().count() >= 2);
    for report in talk.network.record.rounds() {
        assert_eq!(report.result, RoundResult::Delivered, "{}", log(&talk.network));
    }
    nobody_charged(&mut talk.network);
    talk.network.record.promises.assert_kept();
}

#[test]
fn a_round_opened_to_half_of_the_shards_is_aborted_and_free() {
    let round = Round(5);
    let mut talk = Talk::start(setup(), move |_: Timestamp, sent: Sent, _: &Keys| {
        let hidden = to_shard(&sent).is_some_and(|(shard, message)| {
            shard < 2
                && matches!(message, ToShard::Open { announcement } if announcement.round == round)
        });
        if hidden { vec![] } else { vec![(0, sent)] }
    });
    let verdict = talk.judge(round);
    assert!(matches!(verdict.report.result, RoundResult::Aborted { .. }), "{verdict:?}");
    assert_eq!(verdict.deposits(), 0);
    // Clients of the first two did not hear of it; the others sent onions that nobody opened.
    let free = Some(Outcome::FreeAbort);
    assert_eq!(verdict.clients, [None, None, free, free], "{}", log(&talk.network));
    talk.network.record.promises.assert_kept();
}

#[test]
fn a_round_opened_late_at_one_shard_is_delivered_or_free() {
    for late_ms in [100, 300, 900, 2_000] {
        let round = Round(5);
        let mut talk = Talk::start(setup(), move |_: Timestamp, sent: Sent, _: &Keys| {
            let late = to_shard(&sent).is_some_and(|(shard, message)| {
                shard == 2 && matches!(message, ToShard::Open { announcement } if announcement.round == round)
            });
            vec![(if late { late_ms } else { 0 }, sent)]
        });
        let verdict = talk.judge(round);
        let expected = match verdict.report.result {
            RoundResult::Delivered => Outcome::Undisturbed,
            RoundResult::Aborted { .. } => Outcome::FreeAbort,
            RoundResult::Partial { .. } => panic!("{late_ms} ms: {verdict:?}"),
        };
        verdict.all_clients(expected);
        let aborted = expected == Outcome::FreeAbort;
        assert_eq!(aborted, late_ms >= 900, "{late_ms} ms: {verdict:?}");
        nobody_charged(&mut talk.network);
        talk.network.record.promises.assert_kept();
    }
}

#[test]
fn a_document_kept_from_one_shard_costs_rounds_but_nothing_else() {
    let mut talk = Talk::start(setup(), |_: Timestamp, sent: Sent, _: &Keys| {
        let hidden = to_shard(&sent).is_some_and(|(shard, message)| match message {
            ToShard::Publish { document } => shard == 3 && document.document.epoch == Epoch(2),
            _ => false,
        });
        if hidden { vec![] } else { vec![(0, sent)] }
    });
    talk.finish();
    talk.network.run_ms(20_000);
    let rounds: Vec<_> = talk.network.record.rounds().map(|report| report.round).collect();
    let mut aborted = 0;
    for round in rounds {
        let verdict = Verdict::of(&talk.network, round);
        if verdict.report.result != RoundResult::Delivered {
            assert_eq!(verdict.deposits(), 0, "{}", log(&talk.network));
            aborted += 1;
        }
    }
    assert!((1..4).contains(&aborted), "{aborted}\n{}", log(&talk.network));
    assert!(talk.network.record.epochs().any(|(.., shards)| shards == 3));
    nobody_charged(&mut talk.network);
    talk.network.record.promises.assert_kept();
}

#[test]
fn a_shard_serves_no_round_of_an_expired_epoch() {
    let mut shards = Scripted::new(Setup::small(3, 0));
    let signed = shards.signed(1, (1, 20));
    let expiry = signed.document.expires_at;
    for i in 0..3 {
        shards.tell(i, ToShard::Publish { document: signed.clone() });
        shards.tell(i, open(Epoch(1), Round(1)));
        assert_eq!(shards.saved(i).served_round, Round(1));
    }
    shards.now = expiry;
    for i in 0..3 {
        let said = shards.tell(i, open(Epoch(1), Round(2)));
        // Nobody waits for the round that was open: its keys are gone.
        let outcome = RoundOutcome::Withheld { reason: Reason::NotPrepared };
        assert!(
            matches!(said[..], [ToCoordinator::Ended { round: Round(1), outcome: ended, .. }]
                if ended == outcome),
            "{said:?}"
        );
        assert_eq!(shards.saved(i).served_round, Round(1));
        // Publishing it again brings nothing back.
        shards.tell(i, ToShard::Publish { document: signed.clone() });
        shards.tell(i, open(Epoch(1), Round(3)));
        assert_eq!(shards.saved(i).served_round, Round(1));
    }
}
