//! Messages in beats, over a whole network.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use antiphon_client::{
    Client, ClientConfig, ConversationOptions, ConversationSecret, Coordinator, CoreEvent, Event,
    Events, Role, Start,
};
use antiphon_coordinator::CoordinatorConfig;
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions};
use antiphon_wire::{Policy, Suite};
use tokio::time::timeout;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(120);

/// Three shards with little noise, in this suite.
fn options(suite: Suite) -> EmbeddedOptions {
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        disturbed_rounds: 1000,
        least_mixing_hops: 3,
        least_round_interval_ms: 200,
        total_delta: 1.0,
        suite,
        ..Policy::DEFAULT
    };
    let coordinator = CoordinatorConfig {
        epoch_rounds: 100,
        interval_ms: 6000,
        layer_ms: 20_000,
        verify_ms: 20_000,
        reply_ms: 20_000,
        ready_ms: 60_000,
        beats: 60,
        beat_ms: 500,
        beat_layer_ms: 60,
        first_beat_ms: 4000,
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
async fn a_message_that_would_take_eight_rounds_arrives_in_the_beats_of_two() {
    arrives_in_the_beats_of_two_rounds(Suite::Classic).await;
}

/// Cells are lost at each hop whose two ends have not derived one key from both halves of the secret.
#[tokio::test]
async fn it_does_over_circuits_whose_keys_come_of_both_halves_of_suite_2() {
    arrives_in_the_beats_of_two_rounds(Suite::Hybrid).await;
}

async fn arrives_in_the_beats_of_two_rounds(suite: Suite) {
    let network = EmbeddedNetwork::start(&options(suite), |_| None).unwrap();
    let coordinator = Coordinator {
        address: network.client_address().to_string(),
        identity: network.coordinator_identity(),
    };
    let config = ClientConfig::new(network.file().clone(), vec![coordinator]);
    let (first, second) =
        tokio::try_join!(Client::connect(config.clone()), Client::connect(config)).unwrap();
    let end = |role| ConversationOptions {
        verified: true,
        ..ConversationOptions::new(ConversationSecret([7; 32]), role, Start::Dense)
    };
    let conversation = first.open(end(Role::First)).await.unwrap();
    let mut partner = second.open(end(Role::Second)).await.unwrap();
    let mut events = first.events();
    // Both have met in a round, and cells of its beats come back as they have to.
    let came = |event: &CoreEvent| match event {
        CoreEvent::BeatEnded { arrived: 2, .. } => Some(()),
        _ => None,
    };
    core_event(&mut events, came).await;
    let message: Vec<u8> = (0..3500).map(|i| (i % 251) as u8).collect();
    let delivery = conversation.send(message.clone()).await.unwrap();
    let received = timeout(PATIENCE, partner.receive()).await.expect("it arrives");
    assert_eq!(received, Ok(message));
    assert_eq!(timeout(PATIENCE, delivery).await.expect("and is acknowledged"), Ok(()));
    // 16 fragments, of which a round's bodies carry two.
    let mut rounds = 0;
    while let Ok(Some(event)) = timeout(Duration::ZERO, events.next()).await {
        rounds += u32::from(matches!(event, Event::Core(CoreEvent::RoundEnded { .. })));
    }
    assert!(rounds <= 2, "{rounds} rounds ended meanwhile");
}
