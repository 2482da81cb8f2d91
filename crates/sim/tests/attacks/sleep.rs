//! Clients that sleep: what their links and those between shards show, and what arrives.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::sync::{Arc, Mutex};

use antiphon_client_core::{
    ConversationId, ConversationSecret, Event, MessageId, Opening, Role, Start,
};
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::log;
use antiphon_sim::{LinkModel, Network, Observed, Party, Payload, Sent, Setup};
use antiphon_wire::Timestamp;

const CLIENTS: usize = 4;
/// One that sleeps, one with whom it may talk, and one that sleeps and idles.
const SLEEPER: usize = 0;
const PARTNER: usize = 1;
const IDLER: usize = 2;

/// Three shards with rounds every `interval_ms`, beats every second, and beats for two intervals.
fn setup(interval_ms: u32) -> Setup {
    let mut setup = Setup::small(3, CLIENTS).with_little_noise();
    setup.link = LinkModel { delay_ms: 20, jitter_ms: 0, loss_ppm: 0 };
    setup.policy.least_round_interval_ms = interval_ms;
    let coordinator = &mut setup.coordinator;
    coordinator.interval_ms = interval_ms;
    coordinator.epoch_rounds = 24;
    coordinator.prepare_ahead_rounds = 3;
    coordinator.beats = (2 * interval_ms / 1000) as u16;
    coordinator.beat_ms = 1000;
    coordinator.beat_layer_ms = 80;
    coordinator.first_beat_ms = 5000;
    setup
}

/// Opens a conversation between the sleeper and its partner, who has been verified.
fn converse(network: &mut Network) -> [ConversationId; 2] {
    let opening = |role| Opening {
        verified: true,
        ..Opening::new(ConversationSecret([7; 32]), role, Start::Dense)
    };
    [(SLEEPER, Role::First), (PARTNER, Role::Second)]
        .map(|(client, role)| network.client(client).open_conversation(&opening(role)).unwrap())
}

fn beats_of(network: &Network, client: usize) -> usize {
    let events = network.record.events[client].iter();
    events.filter(|(_, event)| matches!(event, Event::BeatEnded { .. })).count()
}

fn run_until_asleep(network: &mut Network, client: usize) {
    let falls = network.run_until(120_000, |network| network.is_asleep(client));
    assert!(falls, "{}", log(network));
}

fn run_until_awake(network: &mut Network, client: usize) {
    let wakes = network.run_until(900_000, |network| !network.is_asleep(client));
    assert!(wakes, "{}", log(network));
}

/// What users do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Use {
    /// No conversation is open.
    Nothing,
    /// One is, and nobody says anything.
    Silence,
    /// Full queues at both ends before, and more from the partner meanwhile.
    Much,
}

/// Whose cells and replies are lost: none, or those of one shard in most beats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Loss {
    None,
    Cells,
}

/// A message between shards: when it left, who sent it to whom, and how many bytes it has.
type Between = (Timestamp, Party, Party, usize);

/// All that an onlooker sees of a network in which two clients sleep through three rounds and come back.
struct Seen {
    clients: Vec<Vec<Observed>>,
    between: Vec<Between>,
    received: usize,
}

fn seen(of: Use, loss: Loss) -> Seen {
    let between: Arc<Mutex<Vec<Between>>> = Arc::default();
    let notes = Arc::clone(&between);
    let adversary = move |now: Timestamp, sent: Sent, _: &Keys| {
        let bytes = match &sent.payload {
            Payload::Cells { batch, bytes } => {
                let is_lost = loss == Loss::Cells && batch.beat % 3 != 0;
                if is_lost && sent.from == Party::Shard(1) {
                    return vec![];
                }
                bytes.len()
            }
            Payload::Batch { bytes, .. } => bytes.len(),
            _ => return vec![(0, sent)],
        };
        notes.lock().unwrap().push((now, sent.from, sent.to, bytes));
        vec![(0, sent)]
    };
    let mut network = Network::with_adversary(setup(20_000), adversary);
    let talks = (of != Use::Nothing).then(|| converse(&mut network));
    let says = |network: &mut Network, client: usize, bytes: usize| {
        if let (Some(ids), Use::Much) = (talks, of) {
            network.client(client).send(ids[client], vec![client as u8; bytes]).unwrap();
        }
    };
    says(&mut network, SLEEPER, 50_000);
    says(&mut network, PARTNER, 100);
    network.run_ms(60_000);
    for client in [SLEEPER, IDLER] {
        network.sleep(client, 55_000).unwrap();
    }
    run_until_asleep(&mut network, SLEEPER);
    assert!(network.is_asleep(IDLER), "both at once");
    network.run_ms(5000);
    says(&mut network, PARTNER, 3000);
    run_until_awake(&mut network, SLEEPER);
    network.run_ms(60_000);
    let received = network.record.received(SLEEPER).count();
    let fetched = network.record.events[SLEEPER].iter();
    let fetched = fetched.filter(|(_, event)| matches!(event, Event::Fetched { .. })).count();
    assert_eq!(fetched, 3, "{}", log(&network));
    let between = std::mem::take(&mut *between.lock().unwrap());
    Seen { clients: network.record.observed.clone(), between, received }
}

#[test]
fn sleepers_links_look_the_same_to_the_millisecond_whatever_they_slept_through() {
    for loss in [Loss::None, Loss::Cells] {
        let silent = seen(Use::Silence, loss);
        assert!(silent.clients[SLEEPER].len() > 150 && silent.between.len() > 1000);
        for of in [Use::Nothing, Use::Much] {
            let other = seen(of, loss);
            assert_eq!(other.received > 0, of == Use::Much);
            for client in 0..CLIENTS {
                let (one, two) = (&silent.clients[client], &other.clients[client]);
                let differs = one.iter().zip(two).find(|(one, two)| one != two);
                assert_eq!(differs, None, "client {client}, {of:?}, {loss:?}");
                assert_eq!(one.len(), two.len(), "client {client}, {of:?}, {loss:?}");
            }
            // Whoever opens a conversation draws for it, and its onions take other ways.
            if of == Use::Much {
                assert_eq!(silent.between, other.between, "{loss:?}");
            }
        }
        // Of two that sleep, one talks.
        let idle = seen(Use::Much, loss).clients;
        let sizes = |client: usize| idle[client].iter().map(|seen| (seen.at, seen.bytes, seen.up));
        assert!(sizes(SLEEPER).eq(sizes(IDLER)), "{loss:?}");
    }
}

#[test]
fn a_sleeper_gets_what_was_sent_meanwhile_once_and_answers_go_on() {
    const MINUTES: u64 = 10;
    let mut network = Network::new(setup(60_000));
    let ids = converse(&mut network);
    assert!(network.run_until(200_000, |network| beats_of(network, SLEEPER) > 5));
    network.client(SLEEPER).send(ids[SLEEPER], b"good night".to_vec()).unwrap();
    network.sleep(SLEEPER, MINUTES * 60_000 - 30_000).unwrap();
    run_until_asleep(&mut network, SLEEPER);
    let asleep = network.now();
    for number in 0..20u8 {
        network.client(PARTNER).send(ids[PARTNER], vec![number; 150]).unwrap();
        network.run_ms(20_000);
    }
    let received = |network: &Network, client| -> Vec<Vec<u8>> {
        network.record.received(client).map(<[u8]>::to_vec).collect()
    };
    assert!(network.is_asleep(SLEEPER));
    assert_eq!(received(&network, SLEEPER), Vec::<Vec<u8>>::new());
    assert_eq!(received(&network, PARTNER), [b"good night".to_vec()], "what it left arrives");
    run_until_awake(&mut network, SLEEPER);
    let slept_ms = network.now().ms_since(asleep);
    assert!(slept_ms > (MINUTES - 2) * 60_000, "{slept_ms}");
    // At once, and not when the partner sends it anew.
    network.run_ms(500);
    let expected: Vec<_> = (0..20u8).map(|number| vec![number; 150]).collect();
    let numbers: Vec<_> = received(&network, SLEEPER).iter().map(|it| it[0]).collect();
    assert_eq!(numbers, (0..20).collect::<Vec<_>>(), "{}", network.now().ms_since(asleep));
    assert_eq!(received(&network, SLEEPER), expected);
    network.client(SLEEPER).send(ids[SLEEPER], b"good morning".to_vec()).unwrap();
    network.run_ms(120_000);
    assert_eq!(received(&network, SLEEPER), expected, "nothing twice");
    assert_eq!(received(&network, PARTNER), [&b"good night"[..], b"good morning"]);
    let acknowledged = network.record.events[PARTNER].iter().filter_map(|(_, event)| match event {
        Event::Acknowledged { message, .. } => Some(*message),
        _ => None,
    });
    assert_eq!(acknowledged.collect::<Vec<_>>(), (0..20).map(MessageId).collect::<Vec<_>>());
    for client in [SLEEPER, PARTNER] {
        assert_eq!(network.client(client).ledger().charged(), 0, "{}", log(&network));
    }
}

#[test]
fn more_than_a_window_waits_with_the_partner_and_comes_once_in_order() {
    let mut network = Network::new(setup(20_000));
    let ids = converse(&mut network);
    assert!(network.run_until(200_000, |network| beats_of(network, SLEEPER) > 5));
    network.sleep(SLEEPER, 100_000).unwrap();
    run_until_asleep(&mut network, SLEEPER);
    let sent: Vec<Vec<u8>> = (0..60u8).map(|number| vec![number; 400]).collect();
    for message in &sent {
        network.client(PARTNER).send(ids[PARTNER], message.clone()).unwrap();
    }
    run_until_awake(&mut network, SLEEPER);
    network.run_ms(2000);
    let fetched = network.record.received(SLEEPER).count();
    assert!(0 < fetched && fetched < 30, "33 fragments at most: {fetched} messages");
    network.run_ms(200_000);
    let received: Vec<_> = network.record.received(SLEEPER).map(<[u8]>::to_vec).collect();
    assert_eq!(received, sent, "{}", log(&network));
}

#[test]
fn a_sleeper_whose_gateway_was_started_again_loses_no_message() {
    for is_back in [true, false] {
        let mut network = Network::new(setup(20_000));
        let ids = converse(&mut network);
        assert!(network.run_until(200_000, |network| beats_of(network, SLEEPER) > 5));
        network.sleep(SLEEPER, 60_000).unwrap();
        run_until_asleep(&mut network, SLEEPER);
        network.run_ms(3000);
        network.crash(SLEEPER);
        if is_back {
            network.restart(SLEEPER);
        }
        network.client(PARTNER).send(ids[PARTNER], b"are you there".to_vec()).unwrap();
        run_until_awake(&mut network, SLEEPER);
        if !is_back {
            network.run_ms(10_000);
            network.restart(SLEEPER);
        }
        network.run_ms(400_000);
        let received: Vec<_> = network.record.received(SLEEPER).map(<[u8]>::to_vec).collect();
        assert_eq!(received, [b"are you there"], "{}", log(&network));
        // The rounds that it left, and what the outage cost besides.
        let charged = network.client(SLEEPER).ledger().charged();
        assert!(charged <= 8, "{charged}");
    }
}

#[test]
fn a_client_sleeps_once_a_round_has_opened_and_not_twice_at_once() {
    use antiphon_client_core::SleepError;

    let mut network = Network::new(setup(20_000));
    assert_eq!(network.sleep(SLEEPER, 1000), Err(SleepError::NoRound));
    network.run_ms(60_000);
    network.sleep(SLEEPER, u64::MAX / 2).unwrap();
    assert_eq!(network.sleep(SLEEPER, 1000), Err(SleepError::Asleep));
    run_until_asleep(&mut network, SLEEPER);
    let from = network.now();
    run_until_awake(&mut network, SLEEPER);
    let slept_ms = network.now().ms_since(from);
    assert!((200_000..250_000).contains(&slept_ms), "twelve rounds at most: {slept_ms}");
    network.run_ms(30_000);
    network.sleep(SLEEPER, 1000).unwrap();
    run_until_asleep(&mut network, SLEEPER);
    run_until_awake(&mut network, SLEEPER);
    let mut classic = Network::new(Setup::small(3, CLIENTS).with_little_noise());
    classic.run_ms(20_000);
    assert_eq!(classic.sleep(SLEEPER, 1000), Err(SleepError::Classic));
}
