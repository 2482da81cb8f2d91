//! Two users over a whole network, on profiles that are closed and opened again.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

#[path = "two_users/calls.rs"]
mod calls;

use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_client::{ClientConfig, Coordinator};
use antiphon_coordinator::CoordinatorConfig;
use antiphon_messenger::{Expiry, Messenger, TalkState};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{EventId, EventKind, KeyCost, MessageState, Profile, Unlock};
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions};
use antiphon_wire::{Policy, Services};
use tokio::time::timeout;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);
/// As cheap as argon2 can be.
const CHEAP: KeyCost = KeyCost { memory_kib: 8, passes: 1, lanes: 1 };

/// Three shards with little noise, and quick rounds.
fn network(services: Services) -> EmbeddedNetwork {
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        disturbed_rounds: 1000,
        least_mixing_hops: 3,
        least_round_interval_ms: 200,
        total_delta: 1.0,
        services,
        ..Policy::DEFAULT
    };
    let coordinator =
        CoordinatorConfig { epoch_rounds: 200, interval_ms: 200, ..CoordinatorConfig::default() };
    let options = EmbeddedOptions { sockets: 8, ..EmbeddedOptions::new(3, policy, coordinator) };
    EmbeddedNetwork::start(&options, |_| None).unwrap()
}

fn unlock() -> Unlock {
    Unlock::passphrase("correct horse")
}

fn make(path: &Path) {
    Profile::create(path, &unlock(), CHEAP, SystemClock::now(), &mut entropy()).unwrap();
}

fn start(path: &Path, network: &EmbeddedNetwork) -> Messenger {
    let profile = Profile::open(path, &unlock(), SystemClock::now(), &mut entropy()).unwrap();
    let coordinator = Coordinator {
        address: network.client_address().to_string(),
        identity: network.coordinator_identity(),
    };
    Messenger::start(profile, ClientConfig::new(network.file().clone(), vec![coordinator])).unwrap()
}

/// The texts that have come, in the order of their events, once there are so many.
async fn received(messenger: &Messenger, count: usize) -> Vec<String> {
    let mut newest = messenger.newest_event();
    let waited = timeout(PATIENCE, async {
        loop {
            newest.borrow_and_update();
            let events = messenger.events_after(EventId(0), 10_000).await.unwrap();
            let came = events.iter().filter_map(|event| match event.kind {
                EventKind::Received(id) => Some(id),
                _ => None,
            });
            let came: Vec<_> = came.collect();
            if came.len() >= count {
                break came;
            }
            newest.changed().await.unwrap();
        }
    });
    let mut texts = Vec::new();
    for id in waited.await.expect("they come") {
        let (message, _) = messenger.message(id).await.unwrap();
        texts.push(String::from_utf8(message.body.clone()).unwrap());
    }
    texts
}

/// Waits until all that was sent is delivered.
async fn delivered(messenger: &Messenger) {
    let mut newest = messenger.newest_event();
    let waited = timeout(PATIENCE, async {
        loop {
            newest.borrow_and_update();
            if messenger.standing().await.counts.open_messages == 0 {
                break;
            }
            newest.changed().await.unwrap();
        }
    });
    waited.await.expect("all is delivered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_both_codes_messages_arrive_once_and_in_order_over_restarts_of_both_ends() {
    talk_over_restarts(&network(Services::NONE)).await;
}

/// Two users become contacts by both codes, and talk while they are started again and again.
async fn talk_over_restarts(network: &EmbeddedNetwork) {
    let folder = tempfile::tempdir().unwrap();
    let paths = ["alice", "bob"].map(|name| folder.path().join(name));
    paths.iter().for_each(|path| make(path));
    let mut alice = start(&paths[0], network);
    let mut bob = start(&paths[1], network);
    let for_bob = alice.make_code("bob", Expiry::NEVER).await.unwrap().code().to_text();
    let alices = bob.add_contact("alice", &for_bob, None).await.unwrap();
    // What is said before the other end knows the contact waits for it.
    bob.send(alices.id(), b"early".to_vec(), None).await.unwrap();
    let for_alice = alices.own_code().to_text();
    let bobs = alice.add_contact("bob", &for_alice, None).await.unwrap();
    assert_eq!(bobs.safety_number(), alices.safety_number());
    let long = "long ".repeat(300);
    alice.send(bobs.id(), long.clone().into_bytes(), None).await.unwrap();
    let mut expected = vec![long];
    assert_eq!(received(&alice, 1).await, ["early"]);
    assert_eq!(received(&bob, 1).await, expected);
    assert_eq!(alice.talk_state(bobs.id()), TalkState::Met);
    let tested = alice.self_test(2).await;
    assert!(tested.is_alive() && tested.rounds == 2, "{tested:?}");
    let standing = alice.standing().await;
    assert!(standing.clock_ahead_ms.is_some_and(|ahead_ms| ahead_ms.abs() < 5000), "{standing:?}");
    assert!(!standing.warnings().iter().any(|words| words.contains("clock")), "{standing:?}");
    let data = standing.data.days().next_back().unwrap().1;
    assert!(data.sent > 1000 && data.received > 1000, "{data:?}");
    for turn in 0..3 {
        for number in 0..3 {
            let text = format!("message {number} of turn {turn}");
            alice.send(bobs.id(), text.clone().into_bytes(), None).await.unwrap();
            expected.push(text);
        }
        // With some of it under way.
        match turn {
            0 => {
                alice.shut_down().await;
                drop(alice);
                alice = start(&paths[0], network);
                let after = alice.standing().await.data.days().next_back().unwrap().1;
                assert!(after.sent > data.sent, "data use is kept over a restart: {after:?}");
            }
            1 => {
                bob.shut_down().await;
                drop(bob);
                bob = start(&paths[1], network);
            }
            _ => {
                // As by a crash: nothing is waited for.
                drop(alice);
                drop(bob);
                tokio::time::sleep(Duration::from_millis(300)).await;
                alice = start(&paths[0], network);
                bob = start(&paths[1], network);
            }
        }
        assert_eq!(received(&bob, expected.len()).await, expected);
    }
    delivered(&alice).await;
    assert_eq!(received(&bob, expected.len()).await, expected, "and nothing comes again");
    let messages = alice.messages(bobs.id(), 0, 100).await.unwrap();
    let sent = messages.iter().filter(|(message, _)| message.state != MessageState::Received);
    for (message, _) in sent {
        assert!(matches!(message.state, MessageState::Delivered { .. }), "{message:?}");
    }
    alice.shut_down().await;
    bob.shut_down().await;
}
