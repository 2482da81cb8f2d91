//! Rounds that overlap: faster than a round takes, and in nobody's way when one of them fails.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use antiphon_client_core::{Event, Outcome};
use antiphon_coordinator_core::{Notice, RoundResult};
use antiphon_sim::adversary::{Adversary, Delay, Honest, InRounds, Keys, Target, round_of};
use antiphon_sim::scenario::{converse, layers, log};
use antiphon_sim::{LinkModel, Network, Party, Payload, START, Sent, Setup};
use antiphon_wire::{Direction, Epoch, IdentityKey, Layer, Round, Timestamp};

const SHARDS: usize = 4;
const CLIENTS: usize = 4;
const MESSAGES: u8 = 20;
const IN_FLIGHT: u8 = 4;
/// What an incident may cost a client: the rounds in flight, and where it made the partner meet more
/// rarely, three disturbed meetings and those in flight until they are known.
const MOST_COSTLY: usize = 2 * IN_FLIGHT as usize + 3;

/// Links that take most of a round: about 1.3 seconds, with rounds wanted every 200 ms. Epochs last
/// for longer than most of the tests.
fn setup(rounds_in_flight: u8) -> Setup {
    let mut setup = Setup::small(SHARDS, CLIENTS).with_little_noise();
    setup.link = LinkModel { delay_ms: 80, jitter_ms: 10, loss_ppm: 0 };
    setup.policy.least_round_interval_ms = 200;
    setup.policy.disturbed_rounds = 40;
    setup.coordinator.interval_ms = 200;
    setup.coordinator.rounds_in_flight = rounds_in_flight;
    setup.coordinator.epoch_rounds = 400;
    setup.coordinator.prepare_ahead_rounds = 20;
    setup
}

/// Clients 0 and 1, and 2 and 3, talk.
fn talking(setup: Setup, adversary: impl Adversary + 'static) -> Network {
    let mut network = Network::with_adversary(setup, adversary);
    for (a, b) in [(0, 1), (2, 3)] {
        let (a_id, b_id) = converse(&mut network, a, b);
        for number in 0..MESSAGES {
            network.client(a).send(a_id, vec![number; 500]).unwrap();
            network.client(b).send(b_id, vec![100 + number; 500]).unwrap();
        }
    }
    network
}

fn assert_everything_arrives(network: &mut Network) {
    let all = |network: &Network| {
        (0..CLIENTS).all(|c| network.record.received(c).count() >= usize::from(MESSAGES))
    };
    assert!(network.run_until(120_000, all), "{}", log(network));
    network.run_ms(5_000);
    for client in 0..CLIENTS {
        let from = if client % 2 == 0 { 100 } else { 0 };
        let expected: Vec<_> = (from..from + MESSAGES).map(|number| vec![number; 500]).collect();
        let received: Vec<_> = network.record.received(client).collect();
        assert!(received == expected, "client {client}\n{}", log(network));
    }
    network.record.promises.assert_kept();
}

fn delivered(network: &Network) -> usize {
    network.record.rounds().filter(|report| report.result == RoundResult::Delivered).count()
}

/// The most rounds that were open at once, and how many were opened.
fn opened(network: &Network) -> (usize, usize) {
    let (mut open, mut most, mut all) = (0, 0, 0);
    for (_, notice) in &network.record.coordinator {
        match notice {
            Notice::RoundOpened { .. } => (open, all) = (open + 1, all + 1),
            Notice::RoundEnded(_) => open -= 1,
            _ => {}
        }
        most = most.max(open);
    }
    (most, all)
}

fn suspended(network: &Network) -> BTreeMap<IdentityKey, u32> {
    let mut epochs = BTreeMap::new();
    for (_, notice) in &network.record.coordinator {
        if let Notice::ShardSuspended { shard, epochs: of, .. } = notice {
            let most: &mut u32 = epochs.entry(*shard).or_default();
            *most = (*most).max(*of);
        }
    }
    epochs
}

/// The rounds that cost client `client` something.
fn costly(network: &Network, client: usize) -> BTreeSet<Round> {
    let events = network.record.events[client].iter();
    events
        .filter_map(|(_, event)| match event {
            Event::RoundEnded { round, outcome } => {
                matches!(outcome, Outcome::Disturbed | Outcome::ChargedAbort).then_some(*round)
            }
            _ => None,
        })
        .collect()
}

fn assert_nobody_charged(network: &mut Network) {
    for client in 0..CLIENTS {
        assert_eq!(network.client(client).ledger().charged(), 0, "{}", log(network));
    }
}

#[test]
fn four_in_flight_give_several_times_the_rounds_and_the_same_messages() {
    let mut rounds = Vec::new();
    for in_flight in [1, 2, IN_FLIGHT, 8] {
        let mut network = talking(setup(in_flight), Honest);
        network.run_ms(40_000);
        let (most, all) = opened(&network);
        assert_eq!(most, usize::from(in_flight).min(7), "{}", log(&network));
        rounds.push(delivered(&network));
        assert!(all - delivered(&network) <= most, "{}", log(&network));
        for client in 0..CLIENTS {
            let observed = &network.record.observed[client];
            let sizes: BTreeSet<_> = observed.iter().filter(|o| o.up).map(|o| o.bytes).collect();
            assert_eq!(sizes.len(), 1);
            // One submission for each round that it has heard of.
            let up = observed.iter().filter(|o| o.up).count();
            assert!((all - 1..=all).contains(&up), "{up} submissions in {all} rounds");
        }
        assert_everything_arrives(&mut network);
        assert_nobody_charged(&mut network);
        assert!(suspended(&network).is_empty());
    }
    println!("rounds in 40 s with 1, 2, 4 and 8 in flight: {rounds:?}");
    let ratio = |i: usize| rounds[i] as f64 / rounds[0] as f64;
    assert!(ratio(1) > 1.8 && ratio(2) > 3.5 && ratio(3) > 4.5, "{rounds:?}");
    // One every 200 ms, from when the first epoch is there.
    assert!(rounds[3] > 160, "{rounds:?}");
}

#[test]
fn epochs_follow_each_other_while_rounds_of_both_are_open() {
    let mut setup = setup(IN_FLIGHT);
    setup.coordinator.interval_ms = 350;
    setup.coordinator.epoch_rounds = 20;
    setup.coordinator.prepare_ahead_rounds = 9;
    let mut network = talking(setup, Honest);
    network.run_ms(30_000);
    let numbers: Vec<_> = network.record.rounds().map(|report| report.round.0).collect();
    let mut sorted = numbers.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (1..=numbers.len() as u64).collect::<Vec<_>>());
    assert!(network.record.rounds().all(|report| report.result == RoundResult::Delivered));
    let epochs: BTreeSet<_> = network.record.rounds().map(|report| report.epoch).collect();
    assert!(epochs.len() >= 4, "{epochs:?}");
    // A round of the next epoch opens before the last one of this epoch has ended.
    let mut open: BTreeMap<Round, Epoch> = BTreeMap::new();
    let mut together = 0;
    for (_, notice) in &network.record.coordinator {
        match notice {
            Notice::RoundOpened { epoch, round, .. } => {
                together += usize::from(open.values().any(|of| of != epoch));
                open.insert(*round, *epoch);
            }
            Notice::RoundEnded(report) => drop(open.remove(&report.round)),
            _ => {}
        }
    }
    assert!(together >= 4, "{}", log(&network));
    assert_everything_arrives(&mut network);
    assert_nobody_charged(&mut network);
}

#[test]
fn links_look_the_same_whatever_users_do() {
    let exact = LinkModel { delay_ms: 80, jitter_ms: 0, loss_ppm: 0 };
    let setup = || Setup { link: exact, ..setup(IN_FLIGHT) };
    // One round is aborted, and replies of another are lost.
    let spoil = || {
        |_: Timestamp, sent: Sent, _: &Keys| {
            let Payload::Batch { header, .. } = &sent.payload else { return vec![(0, sent)] };
            let header = header.claimed();
            let place = (header.round.0, header.layer.0, header.direction);
            let lost = sent.from == Party::Shard(1)
                && matches!(place, (30, 2, Direction::Forward) | (45, 3, Direction::Reply));
            if lost { vec![] } else { vec![(0, sent)] }
        }
    };
    let mut idle = Network::with_adversary(setup(), spoil());
    let mut busy = talking(setup(), spoil());
    for network in [&mut idle, &mut busy] {
        network.run_ms(30_000);
    }
    assert!(busy.record.received(1).count() > 0);
    for client in 0..CLIENTS {
        let (idle, busy) = (&idle.record.observed[client], &busy.record.observed[client]);
        assert!(idle.len() > 100);
        assert_eq!(idle, busy, "client {client}");
    }
}

#[test]
fn a_batch_that_never_comes_spoils_its_round_and_no_other() {
    let round = Round(25);
    let lost = Delay::forever(Target::onions(1, 2, Layer(2)));
    let mut network = talking(setup(IN_FLIGHT), InRounds::one(round, lost));
    network.run_ms(25_000);
    for report in network.record.rounds() {
        let aborted = matches!(report.result, RoundResult::Aborted { .. });
        assert_eq!(aborted, report.round == round, "{}", log(&network));
        // Others are as fast as ever.
        assert!(aborted || report.latency_ms < 1_400, "{report:?}");
    }
    // Others opened while it was waited for: the three that there is room for. The next one takes as long as
    // the wait for the batch and the word of it, so that it ends in the same moment, give or take some ms.
    let at = |wanted: &dyn Fn(&Notice) -> bool| {
        let mut notices = network.record.coordinator.iter();
        notices.find(|(_, notice)| wanted(notice)).map(|(at, _)| *at)
    };
    let opened = |of: u64| {
        at(&|notice| matches!(notice, Notice::RoundOpened { round, .. } if round.0 == of)).unwrap()
    };
    let ended = |of: u64| {
        at(&|notice| matches!(notice, Notice::RoundEnded(report) if report.round.0 == of)).unwrap()
    };
    assert!((26..=28).all(|of| opened(of) < ended(25)), "{}", log(&network));
    assert!(ended(26).ms_since(ended(25)) <= 60, "{}", log(&network));
    for client in 0..CLIENTS {
        assert_eq!(network.record.outcome(client, round), Some(Outcome::FreeAbort));
    }
    assert!(suspended(&network).is_empty());
    assert_everything_arrives(&mut network);
    assert_nobody_charged(&mut network);
}

#[test]
fn a_link_that_stalls_for_a_moment_costs_rounds_and_no_shard_its_place() {
    // All that shard 1 sends shard 2 within a second comes too late: for several rounds in flight.
    let stall = |now: Timestamp, sent: Sent, _: &Keys| {
        let hit = sent.from == Party::Shard(1)
            && sent.to == Party::Shard(2)
            && (10_000..11_000).contains(&now.ms_since(START));
        vec![(if hit { 4_000 } else { 0 }, sent)]
    };
    let mut network = talking(setup(8), stall);
    network.run_ms(30_000);
    let aborted = network
        .record
        .rounds()
        .filter(|report| matches!(report.result, RoundResult::Aborted { .. }))
        .count();
    assert!(aborted >= 3, "{}", log(&network));
    assert!(suspended(&network).is_empty(), "{}", log(&network));
    assert_eq!(network.record.epochs().count(), 1, "{}", log(&network));
    assert_everything_arrives(&mut network);
}

#[test]
fn ledgers_are_charged_for_the_rounds_that_were_disturbed_and_for_no_other() {
    let setup = setup(IN_FLIGHT);
    let (.., last) = layers(&setup);
    let spoilt = [Round(30), Round(31), Round(33)];
    let target = Target::all(1, antiphon_sim::adversary::Kind::Replies(last));
    let mut attack = Delay::forever(target);
    let adversary = move |now: Timestamp, sent: Sent, keys: &Keys| {
        let hit = round_of(&sent.payload).is_some_and(|round| spoilt.contains(&round));
        if hit { attack.on_message(now, sent, keys) } else { vec![(0, sent)] }
    };
    let mut network = talking(setup, adversary);
    network.run_ms(30_000);
    let mut all = BTreeSet::new();
    for client in 0..CLIENTS {
        let costly = costly(&network, client);
        assert_eq!(network.client(client).ledger().charged() as usize, costly.len());
        all.extend(costly);
    }
    assert!(!all.is_empty() && all.iter().all(|round| spoilt.contains(round)), "{all:?}");
    assert!(suspended(&network).is_empty());
    assert_everything_arrives(&mut network);
}

/// Runs until a message of the kind is under way in the round, and crashes shard 2 there.
fn crash_at(setup: Setup, is_there: fn(&Payload) -> bool) -> Network {
    let round = Round(21);
    let seen = Rc::new(Cell::new(false));
    let watch = Rc::clone(&seen);
    let mut network = talking(setup, move |_: Timestamp, sent: Sent, _: &Keys| {
        let there = round_of(&sent.payload) == Some(round) && is_there(&sent.payload);
        watch.set(watch.get() || there && sent.from != Party::Shard(2));
        vec![(0, sent)]
    });
    assert!(network.run_until(60_000, |_| seen.get()), "{}", log(&network));
    network.crash(2);
    network.move_client(2, 3);
    network
}

#[test]
fn a_crash_with_four_rounds_in_flight_loses_no_message_and_costs_no_other_shard_anything() {
    let steps: [fn(&Payload) -> bool; 4] = [
        |payload| matches!(payload, Payload::FromClient(_)),
        |payload| matches!(payload, Payload::Batch { header, .. } if header.claimed().layer == Layer(2)),
        |payload| matches!(payload, Payload::Peer(antiphon_wire::PeerMessage::Verdict { .. })),
        |payload| {
            matches!(payload, Payload::Batch { header, .. }
                if header.claimed().direction == Direction::Reply)
        },
    ];
    for is_there in steps {
        let mut setup = setup(IN_FLIGHT);
        // Short epochs: whoever sits one out is soon back.
        setup.coordinator.interval_ms = 350;
        setup.coordinator.epoch_rounds = 40;
        let mut network = crash_at(setup, is_there);
        let victim = network.identity(2);
        let open = opened(&network);
        assert!(open.0 == usize::from(IN_FLIGHT), "{open:?}");
        let without = |network: &Network| network.record.epochs().any(|(.., n)| n == SHARDS - 1);
        assert!(network.run_until(30_000, without), "{}", log(&network));
        let before = delivered(&network);
        let goes_on = |network: &Network| delivered(network) > before + 10;
        assert!(network.run_until(30_000, goes_on), "{}", log(&network));
        network.restart(2);
        let epochs = network.record.epochs().count();
        let back =
            |network: &Network| network.record.epochs().skip(epochs).any(|(.., n)| n == SHARDS);
        assert!(network.run_until(90_000, back), "{}", log(&network));
        assert_everything_arrives(&mut network);
        // One failure, however many rounds it spoilt.
        assert_eq!(suspended(&network), BTreeMap::from([(victim, 1)]), "{}", log(&network));
        for client in 0..CLIENTS {
            let costly = costly(&network, client);
            assert!(costly.len() <= MOST_COSTLY, "{costly:?}");
            // Rounds in which no conversation meets cost nothing: after three in a row every second one at most.
            let charged = network.client(client).ledger().charged() as usize;
            let least = costly.len().min(3) + costly.len().saturating_sub(3) / 2;
            assert!((least..=costly.len()).contains(&charged), "{charged} of {costly:?}");
        }
    }
}

#[test]
fn the_next_epoch_does_not_wait_for_rounds_that_a_crash_left_behind() {
    let is_reply = |payload: &Payload| {
        matches!(payload, Payload::Batch { header, .. }
            if header.claimed().direction == Direction::Reply)
    };
    let mut setup = setup(IN_FLIGHT);
    setup.coordinator.reply_ms = 10_000;
    setup.coordinator.layer_ms = 5_000;
    let mut network = crash_at(setup, is_reply);
    network.run_ms(6_000);
    let of_next = network.record.rounds().filter(|report| report.epoch > Epoch(1));
    let delivered = of_next.filter(|report| report.result == RoundResult::Delivered).count();
    assert!(delivered > 5, "{}", log(&network));
    let ended: BTreeSet<_> = network.record.rounds().map(|report| report.round).collect();
    assert!(!ended.contains(&Round(21)), "{}", log(&network));
    assert_everything_arrives(&mut network);
}

#[test]
fn a_shard_that_is_slow_for_a_while_is_named_alone_and_once() {
    let slow = |now: Timestamp, sent: Sent, _: &Keys| {
        let between = matches!(sent.payload, Payload::Peer(_) | Payload::Batch { .. });
        let hit = between
            && (sent.from == Party::Shard(2) || sent.to == Party::Shard(2))
            && (10_000..13_000).contains(&now.ms_since(START));
        vec![(if hit { 5_000 } else { 0 }, sent)]
    };
    let mut network = talking(setup(IN_FLIGHT), slow);
    network.run_ms(40_000);
    let victim = network.identity(2);
    assert_eq!(suspended(&network), BTreeMap::from([(victim, 1)]), "{}", log(&network));
    assert!(delivered(&network) > 80, "{}", log(&network));
    assert_everything_arrives(&mut network);
    for client in 0..CLIENTS {
        let costly = costly(&network, client);
        assert!(costly.len() <= MOST_COSTLY, "{costly:?}");
        assert_eq!(network.client(client).ledger().charged() as usize, costly.len());
    }
}

#[test]
fn a_coordinator_that_is_restarted_with_rounds_in_flight_uses_no_number_twice() {
    let mut network = talking(setup(IN_FLIGHT), Honest);
    network.run_ms(10_050);
    for _ in 0..3 {
        network.restart_coordinator(0);
        network.run_ms(1_500);
    }
    let mut numbers: Vec<_> = network
        .record
        .coordinator
        .iter()
        .filter_map(|(_, notice)| match notice {
            Notice::RoundOpened { round, .. } => Some(*round),
            _ => None,
        })
        .collect();
    let count = numbers.len();
    assert!(numbers.is_sorted());
    numbers.dedup();
    assert_eq!(numbers.len(), count);
    assert_everything_arrives(&mut network);
    assert_nobody_charged(&mut network);
    assert!(suspended(&network).is_empty());
}
