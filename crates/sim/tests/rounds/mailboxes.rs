//! Mailbox rounds: calls and invitations reach whom they are for, nobody's link shows it, and hosts and gateways that lie are
//! found out.

use antiphon_client_core::{BoxRefusal, Event, Item, Outcome, Posting};
use antiphon_contacts::{
    BoxAddress, CallRoot, CallRound, Expiry, Intent, Introduction, Invitation, InvitationRound,
    InvitationSecret, NetworkMark, OwnCodes, Roots, Side,
};
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{converse, log};
use antiphon_sim::{Network, Observed, Party, Payload, Sent, Setup};
use antiphon_wire::{
    Blob, BoxContent, BoxStatement, CallBox, Encode as _, Epoch, PeerMessage, Round, RoundKind,
    Services, Signed, Timestamp, ToClient,
};
use rand::SeedableRng as _;
use rand_chacha::ChaCha20Rng;

/// Every third round is for mailboxes, and every third of those for invitations.
const SERVICES: Services = Services {
    dead_drop_rounds: 2,
    mailbox_rounds: 1,
    invitations_every: 3,
    call_boxes: 2,
    invitation_boxes: 1,
};

fn setup() -> Setup {
    let mut setup = Setup::small(4, 6);
    setup.policy.services = SERVICES;
    setup
}

/// A call root that clients 0 and 1 have in common, and the box of the second.
fn contacts() -> ([Roots; 2], BoxAddress) {
    let mut rng = ChaCha20Rng::seed_from_u64(5);
    let [first, second] = Introduction::draw(BoxAddress(3), BoxAddress(200), &mut rng);
    let roots = [(&first, Side::First), (&second, Side::Second)];
    let roots = roots.map(|(half, side)| Roots::new(side, &CallRoot::of_introduction(half), 1000));
    (roots, BoxAddress(200))
}

/// The boxes that a client was handed, with their rounds and numbers.
fn boxes(network: &Network, client: usize) -> Vec<(Round, u16, &BoxContent)> {
    let events = network.record.events[client].iter();
    let boxes = events.filter_map(|(_, event)| match event {
        Event::Box { round, number, content } => Some((*round, *number, content)),
        _ => None,
    });
    boxes.collect()
}

fn posted(network: &Network, client: usize) -> Vec<(Round, bool)> {
    let events = network.record.events[client].iter();
    let posted = events.filter_map(|(_, event)| match event {
        Event::Posted { round, arrived } => Some((*round, *arrived)),
        _ => None,
    });
    posted.collect()
}

/// Runs until every client has taken part in a few rounds.
fn begin(network: &mut Network) {
    let began = network.run_until(60_000, |network| {
        (0..6).all(|client| {
            let events = network.record.events[client].iter();
            events.filter(|(_, event)| matches!(event, Event::RoundEnded { .. })).count() > 2
        })
    });
    assert!(began, "{}", log(network));
}

/// Has client 0 call at the box of client 1. Returns the round.
fn call(network: &mut Network, caller: &Roots, callee: BoxAddress) -> Round {
    let round = network.client(0).next_mailbox_round(RoundKind::Calls).expect("there are some");
    let token = caller.token(CallRound(round.0), Intent::Call).expect("the round is to come");
    let number = callee.number(SERVICES.call_boxes);
    let posting = Posting { round, number, item: Item::Call(token) };
    network.client(0).post(posting).expect("the round is to come");
    round
}

/// The times from `from` on at which gateways told client 3 of a round, which is when they tell everybody.
fn openings(network: &Network, from: Timestamp) -> Vec<Timestamp> {
    let opened = ToClient::Opened { epoch: Epoch(1), round: Round(1), closes_in_ms: 1 };
    let bytes = opened.to_bytes().len();
    let seen = network.record.observed[3].iter();
    seen.filter(|seen| !seen.up && seen.bytes == bytes && seen.at >= from)
        .map(|seen| seen.at)
        .collect()
}

/// What travels on a client's link between two openings: when, and how long. What a gateway sends a client in one round
/// comes in any order.
fn links(
    network: &Network,
    client: usize,
    up: bool,
    (from, until): (Timestamp, Timestamp),
) -> Vec<(Timestamp, usize)> {
    let seen = network.record.observed[client].iter();
    let seen = seen.filter(|seen: &&Observed| seen.up == up && seen.at >= from && seen.at < until);
    let mut seen: Vec<_> =
        seen.map(|seen| (if up { seen.at } else { Timestamp(0) }, seen.bytes)).collect();
    seen.sort_unstable();
    seen
}

#[test]
fn calls_and_invitations_reach_whom_they_are_for_and_no_link_shows_who_made_them() {
    let mut setup = setup();
    // So that links are the same if what is on them is.
    setup.link.jitter_ms = 0;
    let mut network = Network::new(setup);
    let ([caller, callee], address) = contacts();
    // Clients 4 and 5 talk, 0 calls 1, 2 invites 3.
    converse(&mut network, 4, 5);
    begin(&mut network);
    let (mark, now) = (NetworkMark::of(&network.file().id()), network.now());
    let from = now.plus_ms(1);
    let called = call(&mut network, &caller, address);
    let mut rng = ChaCha20Rng::seed_from_u64(6);
    let mut codes = OwnCodes::default();
    let own = codes.make("for Carol", mark, BoxAddress(9), Expiry::NEVER, &mut rng);
    let code = *own.expect("there is room").code();
    let invited = network.client(2).next_mailbox_round(RoundKind::Invitations);
    let invited = invited.expect("there are some");
    let round = InvitationRound(invited.0);
    let secret = InvitationSecret::draw(&mut rng);
    let root = secret.root(&code, BoxAddress(77));
    let invitation = Invitation::seal(&code, (BoxAddress(77), &secret), round, &mut rng);
    let item = Item::Invitation(*invitation.bytes());
    let posting = Posting { round: invited, number: 0, item };
    network.client(2).post(posting).expect("the round is to come");
    network.run_ms(15_000);

    assert_eq!(posted(&network, 0), [(called, true)], "{}", log(&network));
    assert_eq!(posted(&network, 2), [(invited, true)]);
    // Everybody has every box, and the callee alone hears the call.
    let last = called.max(invited);
    let until_then = |client| {
        let mut boxes = boxes(&network, client);
        boxes.retain(|(round, ..)| *round <= last);
        // Those of one round come in any order.
        boxes.sort_by_key(|(round, number, _)| (*round, *number));
        boxes
    };
    let all = until_then(0);
    assert!(all.len() > 3, "{all:?}");
    for client in 1..6 {
        assert_eq!(until_then(client), all, "client {client}");
    }
    let heard: Vec<_> = all
        .iter()
        .filter_map(|(round, number, content)| match content {
            BoxContent::Calls(calls) => {
                let heard = callee.heard(CallRound(round.0), calls)?;
                Some((heard.round, heard.intent, *number))
            }
            BoxContent::Invitations(_) => None,
        })
        .collect();
    assert_eq!(heard, [(CallRound(called.0), Intent::Call, address.number(2))]);
    let found: Vec<_> = all
        .iter()
        .filter_map(|(round, _, content)| match content {
            BoxContent::Invitations(items) => {
                Some(codes.knocks(items, InvitationRound(round.0), now).knocks)
            }
            BoxContent::Calls(_) => None,
        })
        .flatten()
        .collect();
    let [knock] = <[_; 1]>::try_from(found).expect("one invitation");
    assert_eq!(knock.label(), "for Carol");
    let accepted = knock.accept();
    assert_eq!(accepted.partner, BoxAddress(77));
    let secret = |side, root: &CallRoot| Roots::new(side, root, 9).session(CallRound(500)).unwrap();
    assert_eq!(secret(Side::First, &root).0, secret(Side::Second, &accepted.root).0);
    // Rounds with and without items, of those who talk, call, are called, invite, and do nothing: byte by byte the same.
    let opened = openings(&network, from);
    let (first, last) = (opened[0], opened[opened.len() - 1]);
    for up in [true, false] {
        let idle = links(&network, 3, up, (first, last));
        assert!(idle.len() >= opened.len() - 1, "{}", idle.len());
        for client in 0..6 {
            let found = links(&network, client, up, (first, last));
            assert_eq!(found, idle, "client {client}, up: {up}");
        }
    }
    let all_well = |client| {
        let events: &Vec<(Timestamp, Event)> = &network.record.events[client];
        events.iter().all(|(_, event)| match event {
            Event::RoundEnded { outcome, .. } => *outcome == Outcome::Undisturbed,
            Event::BoxMissing { .. } | Event::BoxRefused { .. } => false,
            _ => true,
        })
    };
    assert!((0..4).all(all_well), "{}", log(&network));
    let lacking = (0..4).flat_map(|shard| &network.record.shards[shard]);
    let lacking = lacking.filter(|(_, notice)| notice.contains("Box"));
    assert_eq!(lacking.count(), 0);
}

#[test]
fn a_box_has_noise_whoever_calls_and_its_count_varies() {
    let mut network = Network::new(setup());
    begin(&mut network);
    network.run_ms(60_000);
    let counts = |number| {
        let boxes = boxes(&network, 0).into_iter();
        let calls = boxes.filter(move |(_, of, content)| {
            *of == number && matches!(content, BoxContent::Calls(_))
        });
        calls.map(|(_, _, content)| content.len()).collect::<Vec<_>>()
    };
    let (one, other) = (counts(0), counts(1));
    assert!(one.len() > 10 && one.len() == other.len());
    let all: std::collections::BTreeSet<_> = one.iter().chain(&other).collect();
    assert!(all.len() > 3 && !all.contains(&0), "{all:?}");
}

/// What becomes of messages with boxes.
type Play = fn(&Signed<BoxStatement>, &Keys, usize) -> Option<Signed<BoxStatement>>;

/// Runs a network in which the host of a call's box plays with what it tells shard 1, and shard 1 is the gateway of client 1.
fn hosts_play(play: Play) -> Network {
    let adversary = move |_: Timestamp, mut sent: Sent, keys: &Keys| {
        if let (
            Party::Shard(host),
            Party::Shard(1),
            Payload::Peer(PeerMessage::Box { published }),
        ) = (sent.from, sent.to, &mut sent.payload)
        {
            match play(published, keys, host) {
                Some(other) => *published = other,
                None => return vec![],
            }
        }
        vec![(0, sent)]
    };
    let mut network = Network::with_adversary(setup(), adversary);
    begin(&mut network);
    network.run_ms(30_000);
    network
}

fn notices(network: &Network, shard: usize, word: &str) -> usize {
    network.record.shards[shard].iter().filter(|(_, notice)| notice.contains(word)).count()
}

fn missing(network: &Network, client: usize) -> usize {
    let events = network.record.events[client].iter();
    events.filter(|(_, event)| matches!(event, Event::BoxMissing { .. })).count()
}

/// The content of the statement, changed and signed anew by the host.
fn signed_anew(
    published: &Signed<BoxStatement>,
    keys: &Keys,
    host: usize,
    change: impl Fn(&mut Vec<u8>),
) -> Option<Signed<BoxStatement>> {
    let mut statement = published.claimed().clone();
    change(&mut statement.content.0);
    Some(Signed::new(statement, keys.shard(host)))
}

#[test]
fn a_box_that_does_not_come_is_missed_by_the_shard_and_by_its_clients() {
    let network = hosts_play(|_, _, _| None);
    assert!(notices(&network, 1, "BoxMissing") > 3, "{}", log(&network));
    assert!(missing(&network, 1) > 3);
    // The others have it all the same.
    assert_eq!((notices(&network, 0, "BoxMissing"), missing(&network, 0)), (0, 0));
}

#[test]
fn a_garbled_box_is_its_hosts_fault_and_goes_to_nobody() {
    let network = hosts_play(|published, keys, host| {
        signed_anew(published, keys, host, |content| content.push(1))
    });
    assert!(notices(&network, 1, "publishes a box that is garbled") > 3, "{}", log(&network));
    assert!(notices(&network, 1, "BoxMissing") > 3);
    let refused = network.record.events[1].iter();
    assert!(!refused.clone().any(|(_, event)| matches!(event, Event::BoxRefused { .. })));
    assert!(missing(&network, 1) > 3);
}

#[test]
fn a_box_that_its_host_has_not_signed_goes_to_nobody() {
    let network =
        hosts_play(|published, keys, host| signed_anew(published, keys, (host + 1) % 4, |_| {}));
    assert!(
        notices(&network, 1, "publishes a box that it has not signed") > 3,
        "{}",
        log(&network)
    );
    assert!(missing(&network, 1) > 3);
}

#[test]
fn a_second_box_in_the_place_of_the_first_is_its_hosts_fault() {
    let adversary = |_: Timestamp, sent: Sent, keys: &Keys| {
        let mut all = vec![(0, sent.clone())];
        if let (Party::Shard(host), Payload::Peer(PeerMessage::Box { published })) =
            (sent.from, &sent.payload)
            && let Some(other) = signed_anew(published, keys, host, |_| {})
        {
            let payload = Payload::Peer(PeerMessage::Box { published: other });
            all.push((50, Sent { payload, ..sent }));
        }
        all
    };
    let mut network = Network::with_adversary(setup(), adversary);
    begin(&mut network);
    network.run_ms(10_000);
    assert!(notices(&network, 1, "publishes a second box") > 0, "{}", log(&network));
}

#[test]
fn noise_that_a_host_leaves_out_is_missed_by_who_made_it() {
    // Every item of a call box, which has some of shard 1's.
    let network = hosts_play(|published, keys, host| {
        signed_anew(published, keys, host, |content| {
            if CallBox::from_bytes(content).is_ok() {
                *content = CallBox::new(Vec::new()).expect("there is room").to_bytes();
            }
        })
    });
    assert!(notices(&network, 1, "BoxLacksNoise") > 3, "{}", log(&network));
    assert_eq!(notices(&network, 0, "BoxLacksNoise"), 0);
}

#[test]
fn a_gateway_that_changes_a_box_or_keeps_it_back_is_found_out_by_its_clients() {
    let adversary = |_: Timestamp, mut sent: Sent, _: &Keys| {
        match (&mut sent.payload, sent.to) {
            (Payload::ToClient(ToClient::Box { published }), Party::Client(1)) => {
                let mut statement = published.claimed().clone();
                statement.content =
                    Blob(CallBox::new(Vec::new()).expect("there is room").to_bytes());
                // Signed by a key that is nobody's.
                let key = ed25519_dalek::SigningKey::from_bytes(&[99; 32]);
                *published = Signed::new(statement, &key);
            }
            (Payload::ToClient(ToClient::Box { .. }), Party::Client(2)) => return vec![],
            _ => {}
        }
        vec![(0, sent)]
    };
    let mut network = Network::with_adversary(setup(), adversary);
    begin(&mut network);
    network.run_ms(30_000);
    let refused = network.record.events[1].iter().filter(|(_, event)| {
        matches!(event, Event::BoxRefused { error: BoxRefusal::Unsigned, .. })
    });
    assert!(refused.count() > 3, "{}", log(&network));
    assert!(missing(&network, 1) > 3 && missing(&network, 2) > 3);
    assert_eq!(missing(&network, 0), 0);
}

#[test]
fn a_call_whose_round_is_lost_is_told_and_a_client_that_comes_back_is_handed_what_it_missed() {
    let mut network = Network::new(setup());
    let ([caller, callee], address) = contacts();
    begin(&mut network);
    network.run_ms(5_000);
    let called = call(&mut network, &caller, address);
    // A link that is gone for a while, with the rounds that it is in.
    let before = boxes(&network, 1).len();
    network.lose_gateway(1);
    network.run_ms(9_000);
    network.relink_client(1);
    network.run_ms(9_000);
    assert_eq!(posted(&network, 0), [(called, true)], "{}", log(&network));
    let later = boxes(&network, 1);
    assert!(later.len() > before);
    let heard = later.iter().any(|(round, _, content)| match content {
        BoxContent::Calls(calls) => callee.heard(CallRound(round.0), calls).is_some(),
        BoxContent::Invitations(_) => false,
    });
    assert!(heard, "{}", log(&network));
}

#[test]
fn beats_go_on_over_mailbox_rounds_and_calls_arrive() {
    let mut setup = Setup::small(4, 6).with_little_noise();
    setup.policy.services = Services { dead_drop_rounds: 1, mailbox_rounds: 2, ..SERVICES };
    setup.policy.least_round_interval_ms = 10_000;
    let coordinator = &mut setup.coordinator;
    coordinator.interval_ms = 10_000;
    coordinator.epoch_rounds = 20;
    coordinator.prepare_ahead_rounds = 3;
    coordinator.beats = 80;
    coordinator.beat_ms = 1000;
    coordinator.beat_layer_ms = 80;
    coordinator.first_beat_ms = 5000;
    let mut network = Network::new(setup);
    let ([caller, callee], address) = contacts();
    begin(&mut network);
    network.run_ms(40_000);
    let from = network.now();
    let called = call(&mut network, &caller, address);
    network.run_ms(70_000);
    assert_eq!(posted(&network, 0), [(called, true)], "{}", log(&network));
    let heard = boxes(&network, 1).into_iter().any(|(round, _, content)| match content {
        BoxContent::Calls(calls) => callee.heard(CallRound(round.0), calls).is_some(),
        BoxContent::Invitations(_) => false,
    });
    assert!(heard);
    // A beat a second, and nothing is lost in them.
    let beats = network.record.events[3].iter().filter(|(at, _)| *at >= from);
    let beats = beats.filter_map(|(_, event)| match event {
        Event::BeatEnded { arrived, .. } => Some(*arrived),
        _ => None,
    });
    let beats: Vec<_> = beats.collect();
    assert!((66..=72).contains(&beats.len()), "{}", beats.len());
    assert!(beats.iter().all(|arrived| *arrived == 2), "{beats:?}");
}
