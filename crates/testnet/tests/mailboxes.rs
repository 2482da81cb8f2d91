//! Calls through a whole network, as applications make and hear them.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use antiphon_client::{
    BoxContent, Client, ClientConfig, Coordinator, CoreEvent, Event, Events, Item, Posting, Round,
    RoundKind, Token,
};
use antiphon_coordinator::CoordinatorConfig;
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions};
use antiphon_wire::{Policy, Services};
use tokio::time::timeout;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Three shards with little noise, and every second round for mailboxes.
fn options() -> EmbeddedOptions {
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        disturbed_rounds: 1,
        least_mixing_hops: 3,
        least_round_interval_ms: 200,
        total_delta: 1.0,
        services: Services {
            dead_drop_rounds: 1,
            mailbox_rounds: 1,
            invitations_every: 100,
            ..Services::USUAL
        },
        ..Policy::DEFAULT
    };
    let coordinator = CoordinatorConfig {
        epoch_rounds: 1000,
        interval_ms: 200,
        layer_ms: 20_000,
        verify_ms: 20_000,
        reply_ms: 20_000,
        ready_ms: 60_000,
        ..CoordinatorConfig::default()
    };
    EmbeddedOptions { sockets: 8, ..EmbeddedOptions::new(3, policy, coordinator) }
}

/// The next of the state machine's events that `wanted` makes something of.
async fn core_event<T>(events: &mut Events, wanted: impl Fn(&CoreEvent) -> Option<T>) -> T {
    let next = async {
        loop {
            let event = events.next().await.expect("the client goes on");
            if let Event::Core(event) = event
                && let Some(found) = wanted(&event)
            {
                return found;
            }
        }
    };
    timeout(PATIENCE, next).await.expect("it happens")
}

#[tokio::test]
async fn a_call_is_in_the_box_that_everybody_has_and_who_comes_later_is_handed_it() {
    let network = EmbeddedNetwork::start(&options(), |_| None).unwrap();
    let coordinator = Coordinator {
        address: network.client_address().to_string(),
        identity: network.coordinator_identity(),
    };
    let config = ClientConfig::new(network.file().clone(), vec![coordinator]);
    let (caller, callee) =
        tokio::try_join!(Client::connect(config.clone()), Client::connect(config.clone())).unwrap();
    let (mut at_caller, mut at_callee) = (caller.events(), callee.events());
    let ended = |event: &CoreEvent| match event {
        CoreEvent::RoundEnded { round, .. } => Some(*round),
        _ => None,
    };
    core_event(&mut at_caller, ended).await;
    let token = Token::from_bytes([1, 2, 3, 4, 5]);
    let make = move |round| Some(Posting { round, number: 0, item: Item::Call(token) });
    let called = caller.post(RoundKind::Calls, make).await.unwrap();
    let heard = move |event: &CoreEvent| match event {
        CoreEvent::Box { round, content: BoxContent::Calls(calls), .. } => {
            calls.holds(token).then_some(*round)
        }
        _ => None,
    };
    assert_eq!(core_event(&mut at_callee, heard).await, called);
    let posted = |event: &CoreEvent| match event {
        CoreEvent::Posted { round, arrived } => Some((*round, *arrived)),
        _ => None,
    };
    assert_eq!(core_event(&mut at_caller, posted).await, (called, true));

    let late = Client::connect(config).await.unwrap();
    let mut at_late = late.events();
    core_event(&mut at_late, ended).await;
    late.ask_boxes(Round(called.0 - 1)).await.unwrap();
    assert_eq!(core_event(&mut at_late, heard).await, called);
}
