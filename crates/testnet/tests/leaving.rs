//! Clients of a shard that leaves at a hand-over.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use antiphon_client::{Client, ClientConfig, Coordinator, CoreEvent, Event, Events, Outcome};
use antiphon_coordinator::{CoordinatorConfig, Notice, RoundResult};
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions};
use antiphon_wire::{Epoch, Policy, Round};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);
const CLIENTS: usize = 12;

fn options(coordinator: &CoordinatorConfig) -> EmbeddedOptions {
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        disturbed_rounds: 1000,
        least_mixing_hops: 3,
        least_round_interval_ms: 200,
        total_delta: 1.0,
        ..Policy::DEFAULT
    };
    let coordinator = CoordinatorConfig {
        epoch_rounds: 300,
        rounds_in_flight: 1,
        submit_ms: 10_000,
        layer_ms: 20_000,
        verify_ms: 20_000,
        reply_ms: 20_000,
        ready_ms: 60_000,
        ..coordinator.clone()
    };
    // Each client has up to three links.
    let sockets = 4 * CLIENTS as u32;
    EmbeddedOptions { sockets, ..EmbeddedOptions::new(5, policy, coordinator) }
}

async fn connected(network: &EmbeddedNetwork) -> Vec<Client> {
    let coordinator = Coordinator {
        address: network.client_address().to_string(),
        identity: network.coordinator_identity(),
    };
    let config = ClientConfig::new(network.file().clone(), vec![coordinator]);
    let mut connecting: JoinSet<_> =
        (0..CLIENTS).map(|_| Client::connect(config.clone())).collect();
    let mut clients = Vec::new();
    while let Some(client) = connecting.join_next().await {
        clients.push(client.unwrap().unwrap());
    }
    clients
}

/// The rounds that were delivered, with their epochs, until `done` says that these are enough.
async fn delivered(
    notices: &mut broadcast::Receiver<Notice>,
    done: impl Fn(&BTreeMap<Round, Epoch>) -> bool,
) -> BTreeMap<Round, Epoch> {
    let mut rounds = BTreeMap::new();
    let all = async {
        while !done(&rounds) {
            if let Notice::RoundEnded(report) = notices.recv().await.unwrap() {
                assert_eq!(report.result, RoundResult::Delivered, "{report:?}");
                rounds.insert(report.round, report.epoch);
            }
        }
    };
    timeout(PATIENCE, all).await.expect("rounds go on");
    rounds
}

/// The rounds from `first` to `last` that a client took part in, and those whose beats brought cells.
async fn taken_part(
    events: &mut Events,
    (first, last): (Round, Round),
) -> (BTreeSet<Round>, BTreeSet<Round>) {
    let (mut rounds, mut with_beats) = (BTreeSet::new(), BTreeSet::new());
    let all = async {
        while rounds.last() < Some(&last) {
            match events.next().await.unwrap() {
                // The ones before opened while clients were linking.
                Event::Core(CoreEvent::RoundEnded { round, outcome }) if round >= first => {
                    assert_eq!(outcome, Outcome::Undisturbed, "{round}");
                    rounds.insert(round);
                }
                Event::Core(CoreEvent::BeatEnded { round, arrived: 1.., .. }) => {
                    with_beats.insert(round);
                }
                Event::EventsMissed(missed) => panic!("{missed} events were missed"),
                _ => {}
            }
        }
    };
    timeout(PATIENCE, all).await.expect("the client takes part");
    (rounds, with_beats)
}

/// One shard of five leaves, with the clients that have it as their gateway, and its process ends.
async fn nobody_misses_a_round(coordinator: &CoordinatorConfig) {
    let has_beats = coordinator.beats > 0;
    let mut network = EmbeddedNetwork::start(&options(coordinator), |_| None).unwrap();
    let mut notices = network.subscribe();
    let clients = connected(&network).await;
    let mut events: Vec<_> = clients.iter().map(Client::events).collect();
    let before = delivered(&mut notices, |rounds| rounds.len() > 1).await;
    let leaves = clients[0].status().gateway.unwrap();
    let left = tokio::spawn(network.leave(&leaves).unwrap());
    let old = *before.last_key_value().unwrap().1;
    let of_the_next = |rounds: &BTreeMap<Round, Epoch>| {
        rounds.values().filter(|epoch| **epoch > old).count() >= 3
    };
    let rounds = delivered(&mut notices, of_the_next).await;
    let through = (*rounds.first_key_value().unwrap().0, *rounds.last_key_value().unwrap().0);
    let mut with_beats = BTreeSet::new();
    for (client, events) in events.iter_mut().enumerate() {
        let (took_part, beats) = taken_part(events, through).await;
        let missed: Vec<_> = rounds.keys().filter(|round| !took_part.contains(round)).collect();
        assert!(missed.is_empty(), "client {client} missed {missed:?} of {rounds:?}");
        with_beats.extend(beats);
    }
    // Cells go their ways in rounds of the former epoch, and in those of the next.
    let epochs: BTreeSet<_> = with_beats.iter().filter_map(|round| rounds.get(round)).collect();
    assert_eq!(epochs.len(), if has_beats { 2 } else { 0 }, "{with_beats:?} of {rounds:?}");
    // Its clients have all gone elsewhere, so it waits for nobody.
    timeout(PATIENCE, left).await.expect("the shard ends").unwrap().unwrap();
    assert!(clients.iter().all(|client| client.status().gateway != Some(leaves)));
}

#[tokio::test]
async fn no_client_misses_a_round_when_its_gateway_leaves() {
    let classic = CoordinatorConfig { interval_ms: 600, ..CoordinatorConfig::default() };
    nobody_misses_a_round(&classic).await;
}

#[tokio::test]
async fn none_does_where_beats_follow_rounds() {
    let with_beats = CoordinatorConfig {
        interval_ms: 1500,
        beats: 30,
        beat_ms: 100,
        beat_layer_ms: 20,
        first_beat_ms: 600,
        ..CoordinatorConfig::default()
    };
    nobody_misses_a_round(&with_beats).await;
}
