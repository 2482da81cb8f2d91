//! Two people who talk in beats, and a shard that dies for good, over real links.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::time::Duration;

use antiphon_client::{
    Client, ClientConfig, Conversation, ConversationOptions, ConversationSecret, Coordinator,
    CoreEvent, Event, Events, Role, Start,
};
use antiphon_coordinator::{CoordinatorConfig, Notice};
use antiphon_testnet::{EmbeddedNetwork, EmbeddedOptions};
use antiphon_wire::{Epoch, Policy, Round};
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(500);
/// Between two rounds in their time.
const INTERVAL: Duration = Duration::from_secs(240);

/// Five shards with little noise, whose beats last for two intervals.
fn options() -> EmbeddedOptions {
    let interval_ms = INTERVAL.as_millis() as u32;
    let policy = Policy {
        malicious_ppm: 0,
        epsilon: 20.0,
        delta: 0.1,
        disturbed_rounds: 1000,
        least_mixing_hops: 3,
        least_round_interval_ms: interval_ms,
        total_delta: 1.0,
        ..Policy::DEFAULT
    };
    let coordinator = CoordinatorConfig {
        epoch_rounds: 12,
        prepare_ahead_rounds: 3,
        interval_ms,
        layer_ms: 20_000,
        verify_ms: 20_000,
        reply_ms: 20_000,
        ready_ms: 60_000,
        beats: 480,
        beat_ms: 1000,
        beat_layer_ms: 100,
        first_beat_ms: 4000,
        ..CoordinatorConfig::default()
    };
    EmbeddedOptions { sockets: 12, ..EmbeddedOptions::new(5, policy, coordinator) }
}

/// Two clients that talk.
struct Talk {
    clients: [Client; 2],
    from: Conversation,
    to: Conversation,
}

impl Talk {
    async fn start(network: &EmbeddedNetwork) -> Self {
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
        let from = first.open(end(Role::First)).await.unwrap();
        let to = second.open(end(Role::Second)).await.unwrap();
        Self { clients: [first, second], from, to }
    }

    /// Has a message of more than the bodies of a round carry arrive.
    async fn says(&mut self, byte: u8) {
        let message = vec![byte; 3000];
        let _delivery = self.from.send(message.clone()).await.unwrap();
        let received = timeout(PATIENCE, self.to.receive()).await.expect("it arrives");
        assert_eq!(received, Ok(message));
    }
}

/// Waits for a beat that brings both cells of the partner. They have met in its round.
async fn cells_come(events: &mut Events) {
    let next = async {
        while let Some(event) = events.next().await {
            if let Event::Core(CoreEvent::BeatEnded { arrived: 2, .. }) = event {
                return;
            }
        }
        panic!("the client goes on");
    };
    timeout(PATIENCE, next).await.expect("cells come");
}

/// The rounds that were opened, as far as the coordinator has told.
fn opened(notices: &mut broadcast::Receiver<Notice>) -> Vec<(Epoch, Round)> {
    let mut rounds = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        if let Notice::RoundOpened { epoch, round, .. } = notice {
            rounds.push((epoch, round));
        }
    }
    rounds
}

/// The seconds depend on the machine (`results.md` has some). Whatever they are, nobody waits for a round in its time: the
/// first that opens is early, of an epoch without the shard, and its beats carry the message before a second one opens.
#[tokio::test]
async fn those_who_talk_do_so_again_in_the_beats_of_one_early_round_when_a_shard_dies_for_good() {
    let mut network = EmbeddedNetwork::start(&options(), |_| None).unwrap();
    let mut notices = network.subscribe();
    let mut talk = Talk::start(&network).await;
    let mut events = talk.clients[0].events();
    cells_come(&mut events).await;
    talk.says(1).await;
    let (epoch, round) = *opened(&mut notices).last().expect("a round set circuits up");
    let gateways = talk.clients.each_ref().map(|client| client.status().gateway);
    let dies = network.identities().find(|shard| !gateways.contains(&Some(*shard))).unwrap();
    let died = Instant::now();
    assert!(network.kill(&dies));
    talk.says(2).await;
    let silence = died.elapsed();
    println!("again after {:.1} s", silence.as_secs_f64());
    let since = opened(&mut notices);
    let follows = |(of, number): &(Epoch, Round)| *of > epoch && *number == round.next();
    assert!(since.len() == 1 && since.iter().all(follows), "{since:?} after {epoch}, {round}");
    // The round before opened when there was no message yet, so that one in its time would come later.
    assert!(silence < INTERVAL / 2, "{silence:?}");
    assert!(!network.kill(&dies), "it is gone for good");
}
