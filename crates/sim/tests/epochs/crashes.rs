//! Shards that crash, at every step of a round, and come back.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::cell::Cell;
use std::rc::Rc;

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::{Notice, RoundResult};
use antiphon_sim::scenario::{Verdict, converse, layers, log};
use antiphon_sim::{Network, Party, Payload, Sent, Setup};
use antiphon_wire::{Direction, FromClient, PeerMessage, Round, ToCoordinator};

const SHARDS: usize = 4;
const VICTIM: usize = 2;

/// A step of a round, known by what others than the victim send in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Noise is built and the round not open yet.
    Ready,
    Submissions,
    /// Batches for a layer.
    Onions(u8),
    Filters,
    Verdicts,
    Keys,
    /// Replies leave a layer.
    Replies(u8),
}

fn step(sent: &Sent) -> Option<(Round, Step)> {
    if sent.from == Party::Shard(VICTIM) {
        return None;
    }
    Some(match &sent.payload {
        Payload::ToCoordinator(ToCoordinator::Ready { round, .. }) => (*round, Step::Ready),
        Payload::FromClient(FromClient::Submit { round, .. }) => (*round, Step::Submissions),
        Payload::Batch { header, .. } => {
            let header = header.claimed();
            match header.direction {
                Direction::Forward => (header.round, Step::Onions(header.layer.0)),
                Direction::Reply => (header.round, Step::Replies(header.layer.0)),
            }
        }
        Payload::Peer(PeerMessage::Filter { filter }) => (filter.claimed().round, Step::Filters),
        Payload::Peer(PeerMessage::Verdict { verdict }) => {
            (verdict.claimed().round, Step::Verdicts)
        }
        Payload::Peer(PeerMessage::Statements { statements }) => {
            (statements.first()?.claimed().round, Step::Keys)
        }
        _ => return None,
    })
}

fn setup() -> Setup {
    let mut setup = Setup::small(SHARDS, 4).with_little_noise();
    setup.coordinator.epoch_rounds = 10;
    setup.coordinator.prepare_ahead_rounds = 4;
    setup
}

/// A network in which clients 0 and 1, and 2 and 3, talk, and what the last of the four steps of
/// interest is that was seen.
struct Crash {
    network: Network,
    round: Round,
}

/// Runs until `at` is reached in the fourth round, and crashes the victim there.
fn crash(at: Step) -> Crash {
    let seen = Rc::new(Cell::new(false));
    let round = Round(4);
    let watch = Rc::clone(&seen);
    let mut network = Network::with_adversary(
        setup(),
        move |_, sent: Sent, _: &antiphon_sim::adversary::Keys| {
            watch.set(watch.get() || step(&sent) == Some((round, at)));
            vec![(0, sent)]
        },
    );
    for (a, b) in [(0, 1), (2, 3)] {
        let (a_id, b_id) = converse(&mut network, a, b);
        for number in 0..12u8 {
            network.client(a).send(a_id, vec![number; 100]).unwrap();
            network.client(b).send(b_id, vec![100 + number; 100]).unwrap();
        }
    }
    assert!(network.run_until(60_000, |_| seen.get()), "{at:?} is not reached");
    network.crash(VICTIM);
    // Its client looks for another gateway.
    network.move_client(VICTIM, 3);
    Crash { network, round }
}

fn assert_everything_arrived(network: &Network) {
    for client in 0..4 {
        let from = if client % 2 == 0 { 100 } else { 0 };
        let expected: Vec<_> = (0..12u8).map(|number| vec![from + number; 100]).collect();
        let received: Vec<_> = network.record.received(client).collect();
        let first: Vec<_> = received.iter().map(|message| message[0]).collect();
        assert!(received == expected, "client {client} received {first:?}\n{}", log(network));
    }
}

/// The steps after which the victim's absence cannot be told before the seal: rounds abort.
fn aborting() -> Vec<Step> {
    let (_, seal, _) = layers(&setup());
    let mut steps = vec![Step::Ready, Step::Submissions];
    steps.extend((1..=seal.0).map(Step::Onions));
    steps.extend([Step::Filters, Step::Verdicts]);
    steps
}

fn outcomes(crash: &Crash) -> Verdict {
    Verdict::of(&crash.network, crash.round)
}

/// A new epoch without the victim, then one with it again; everything arrives.
fn heals(crash: &mut Crash, at: Step) {
    let network = &mut crash.network;
    let without = |network: &Network| network.record.epochs().any(|(.., n)| n == SHARDS - 1);
    assert!(network.run_until(30_000, without), "{at:?}: no epoch without it\n{}", log(network));
    let rounds = network.record.rounds().count();
    network.run_until(10_000, |network| network.record.rounds().count() > rounds + 3);
    let delivered =
        network.record.rounds().skip(rounds).filter(|r| r.result == RoundResult::Delivered);
    assert!(delivered.count() >= 2, "{at:?}: no rounds without it\n{}", log(network));

    network.restart(VICTIM);
    let before = network.record.epochs().count();
    let back = |network: &Network| network.record.epochs().skip(before).any(|(.., n)| n == SHARDS);
    assert!(network.run_until(60_000, back), "{at:?}: it does not come back\n{}", log(network));
    // Into the epoch with it: its rounds go through.
    let (epoch, ..) = network.record.epochs().last().unwrap();
    let served = |network: &Network| {
        let of = network.record.rounds().filter(|report| report.epoch >= epoch);
        of.filter(|report| report.result == RoundResult::Delivered).count() >= 2
    };
    assert!(network.run_until(30_000, served), "{at:?}: no round with it\n{}", log(network));
    let all_in =
        |network: &Network| (0..4).all(|client| network.record.received(client).count() >= 12);
    network.run_until(120_000, all_in);
    network.run_ms(3_000);
    assert_everything_arrived(network);
    network.record.promises.assert_kept();
}

#[test]
fn before_the_seal_a_crash_aborts_the_round_and_costs_nobody_anything() {
    for at in aborting() {
        let mut crash = crash(at);
        heals(&mut crash, at);
        let opened = crash.network.record.rounds().any(|report| report.round == crash.round);
        if at == Step::Ready && !opened {
            // The round number went to the next epoch, or to nobody.
            continue;
        }
        let verdict = outcomes(&crash);
        if verdict.report.epoch > antiphon_wire::Epoch(1) {
            // The number was not used yet: the next epoch took it.
            continue;
        }
        if at == Step::Verdicts && matches!(verdict.report.result, RoundResult::Partial { .. }) {
            // Its own verdict had left before the first of another shard, so that only its key is missing.
            continue;
        }
        assert!(matches!(verdict.report.result, RoundResult::Aborted { .. }), "{at:?} {verdict:?}");
        assert!(verdict.report.silent.contains(&crash.network.identity(VICTIM)), "{at:?}");
        for client in [0, 1, 3] {
            assert_eq!(verdict.clients[client], Some(Outcome::FreeAbort), "{at:?} {verdict:?}");
        }
        assert_eq!(verdict.report.totals.pairs + verdict.report.totals.singles, 0, "{at:?}");
        let suspended = crash.network.record.coordinator.iter().any(|(_, notice)| {
            matches!(notice, Notice::ShardSuspended { shard, .. } if *shard == crash.network.identity(VICTIM))
        });
        assert!(suspended, "{at:?}");
    }
}

#[test]
fn after_the_seal_a_crash_disturbs_the_round_but_loses_no_message() {
    let (_, _, last) = layers(&setup());
    let mut steps = vec![Step::Keys, Step::Onions(last.0)];
    steps.extend([last.0, 1].map(Step::Replies));
    for at in steps {
        let mut crash = crash(at);
        heals(&mut crash, at);
        let verdict = outcomes(&crash);
        for client in [0, 1, 3] {
            let outcome = verdict.clients[client];
            // Never free: something was opened.
            assert!(
                matches!(outcome, Some(Outcome::Undisturbed | Outcome::Disturbed)),
                "{at:?} {verdict:?}"
            );
        }
        // Its own client lost its link.
        assert_ne!(verdict.clients[VICTIM], Some(Outcome::FreeAbort), "{at:?}");
    }
}

#[test]
fn without_a_quorum_the_network_waits_and_then_goes_on() {
    let mut setup = setup();
    setup.coordinator.epoch_rounds = 30;
    let mut network = Network::new(setup);
    let (a, _) = converse(&mut network, 0, 1);
    network.run_ms(8_000);
    for shard in [2, 3] {
        network.crash(shard);
    }
    // Two of four operators are no more than half.
    network.client(0).send(a, b"before".to_vec()).unwrap();
    let epochs = network.record.epochs().count();
    network.run_ms(30_000);
    assert_eq!(network.record.epochs().count(), epochs, "{}", log(&network));
    assert!(
        network.record.coordinator.iter().any(|(_, n)| matches!(n, Notice::WaitingForQuorum(_)))
    );
    assert_eq!(network.record.received(1).count(), 0);
    network.restart(2);
    let arrived = network.run_until(60_000, |network| network.record.received(1).count() == 1);
    assert!(arrived, "{}", log(&network));
    network.record.promises.assert_kept();
}
