//! Rounds that come early where beats follow them: after a shard is lost, within what clients allow.

use antiphon_client_core::{ConversationSecret, Event, Opening, Role, Start};
use antiphon_sim::scenario::log;
use antiphon_sim::{Network, Setup};

/// A shard that is no gateway of those who talk, and a hop of most circuits.
const LOST: usize = 4;
const INTERVAL_MS: u32 = 120_000;

/// Five shards whose rounds are two minutes apart, with so many early ones an hour, and beats every second.
fn setup(early_an_hour: u16) -> Setup {
    let mut setup = Setup::small(5, 4).with_little_noise();
    setup.policy.least_round_interval_ms = INTERVAL_MS;
    setup.policy.early_rounds_an_hour = early_an_hour;
    let coordinator = &mut setup.coordinator;
    coordinator.interval_ms = INTERVAL_MS;
    coordinator.epoch_rounds = 12;
    coordinator.prepare_ahead_rounds = 3;
    coordinator.beats = 240;
    coordinator.beat_ms = 1000;
    coordinator.beat_layer_ms = 80;
    coordinator.first_beat_ms = 5000;
    setup
}

/// Returns `true` if the last beat of client 0 brought both of its partner's cells.
fn cells_come(network: &Network) -> bool {
    let beats = network.record.events[0].iter().rev();
    let arrived = beats.filter_map(|(_, event)| match event {
        Event::BeatEnded { arrived, .. } => Some(*arrived),
        _ => None,
    });
    arrived.take(1).eq([2])
}

/// Milliseconds from the loss of a shard until a message that is written then has arrived, over more than a round's bodies.
fn silence_ms(early_an_hour: u16) -> u64 {
    let mut network = Network::new(setup(early_an_hour));
    let opening = |role| Opening {
        verified: true,
        ..Opening::new(ConversationSecret([7; 32]), role, Start::Dense)
    };
    let from = network.client(0).open_conversation(&opening(Role::First)).expect("there is room");
    network.client(1).open_conversation(&opening(Role::Second)).expect("there is room");
    assert!(network.run_until(300_000, cells_come), "{}", log(&network));
    network.run_ms(10_000);
    network.crash(LOST);
    let lost = network.now();
    // More than the bodies of a round carry.
    network.client(0).send(from, vec![5; 700]).expect("the queue is empty");
    let arrived = |network: &Network| {
        network.record.events[1].iter().any(|(_, event)| matches!(event, Event::Received { .. }))
    };
    assert!(network.run_until(600_000, arrived), "{}", log(&network));
    network.now().ms_since(lost)
}

/// That the link is dead takes another four seconds to be noticed where it is not closed.
#[test]
fn those_who_talk_do_so_again_within_eleven_seconds_of_the_notice_that_a_shard_is_lost() {
    let silence = silence_ms(4);
    assert!(silence <= 11_000, "{silence} ms");
}

#[test]
fn without_early_rounds_a_lost_shard_silences_them_until_the_next_round_in_its_time() {
    let silence = silence_ms(0);
    assert!(silence > 60_000, "{silence} ms");
}
