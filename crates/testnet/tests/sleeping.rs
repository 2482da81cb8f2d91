//! A client that sleeps, over a whole network: its link goes, and what came meanwhile is there when it is back.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use antiphon_client::{
    Client, ClientConfig, ConversationOptions, ConversationSecret, Coordinator, CoreEvent, Event,
    Events, Role, SleepError, SleepRefusal, Start,
};
use antiphon_coordinator::CoordinatorConfig;
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions};
use antiphon_wire::Policy;
use tokio::time::timeout;

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(180);

/// Three shards with little noise, rounds every eight seconds and beats for four of these intervals.
fn options() -> EmbeddedOptions {
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
        epoch_rounds: 100,
        interval_ms: 8000,
        layer_ms: 20_000,
        verify_ms: 20_000,
        reply_ms: 20_000,
        ready_ms: 60_000,
        beats: 64,
        beat_ms: 500,
        beat_layer_ms: 60,
        first_beat_ms: 4000,
        ..CoordinatorConfig::default()
    };
    EmbeddedOptions { sockets: 8, ..EmbeddedOptions::new(3, policy, coordinator) }
}

/// The next event that `wanted` takes.
async fn event(events: &mut Events, wanted: impl Fn(&Event) -> bool) {
    let next = async { while !wanted(&events.next().await.expect("the client goes on")) {} };
    timeout(PATIENCE, next).await.expect("it happens");
}

#[tokio::test]
async fn what_was_sent_to_a_sleeper_is_there_when_its_link_is() {
    let network = EmbeddedNetwork::start(&options(), |_| None).unwrap();
    let coordinator = Coordinator {
        address: network.client_address().to_string(),
        identity: network.coordinator_identity(),
    };
    let config = ClientConfig::new(network.file().clone(), vec![coordinator]);
    let (sleeper, other) =
        tokio::try_join!(Client::connect(config.clone()), Client::connect(config)).unwrap();
    let end = |role| ConversationOptions {
        verified: true,
        ..ConversationOptions::new(ConversationSecret([7; 32]), role, Start::Dense)
    };
    let mut mine = sleeper.open(end(Role::First)).await.unwrap();
    let mut partner = other.open(end(Role::Second)).await.unwrap();
    let mut events = sleeper.events();
    let came = |it: &Event| matches!(it, Event::Core(CoreEvent::BeatEnded { arrived: 2, .. }));
    event(&mut events, came).await;

    let left = mine.send("good night").await.unwrap();
    sleeper.sleep(Duration::from_secs(20)).await.unwrap();
    let twice = sleeper.sleep(Duration::from_secs(20)).await;
    assert_eq!(twice, Err(SleepError::Refused(SleepRefusal::Asleep)));
    event(&mut events, |it| matches!(it, Event::Core(CoreEvent::Asleep { .. }))).await;
    assert_eq!(sleeper.status().gateway, None, "its link is gone");
    let mut deliveries = Vec::new();
    for number in 0..5u8 {
        deliveries.push(partner.send(vec![number; 120]).await.unwrap());
    }
    // The link is there again, and all that was kept with it.
    event(&mut events, |it| matches!(it, Event::Connected { .. })).await;
    event(&mut events, |it| matches!(it, Event::Core(CoreEvent::Fetched { beats: 1.., .. }))).await;
    for number in 0..5u8 {
        let received = timeout(PATIENCE, mine.receive()).await.expect("it arrives");
        assert_eq!(received, Ok(vec![number; 120]));
    }
    let received = timeout(PATIENCE, partner.receive()).await.expect("it arrives");
    assert_eq!(received, Ok(b"good night".to_vec()));
    for delivery in deliveries {
        assert_eq!(timeout(PATIENCE, delivery).await.expect("and is acknowledged"), Ok(()));
    }
    assert_eq!(timeout(PATIENCE, left).await.expect("and is acknowledged"), Ok(()));
    let greeted = partner.send("good morning").await.unwrap();
    let received = timeout(PATIENCE, mine.receive()).await.expect("it arrives");
    assert_eq!(received, Ok(b"good morning".to_vec()), "and nothing came twice before");
    assert_eq!(timeout(PATIENCE, greeted).await.expect("and is acknowledged"), Ok(()));
    assert_eq!(sleeper.status().ledger.charged(), 0, "no round was disturbed");
}
