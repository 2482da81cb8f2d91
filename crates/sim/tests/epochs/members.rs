//! Real shards whose coordinator loses its memory, and who leave or lose power.

use antiphon_coordinator_core::{Notice, RoundResult, State};
use antiphon_sim::scenario::{log, quick};
use antiphon_sim::{Network, Setup};
use antiphon_wire::Timestamp;

fn setup() -> Setup {
    let mut setup = quick(5);
    setup.coordinator.epoch_rounds = 10;
    setup.coordinator.prepare_ahead_rounds = 4;
    setup
}

fn running() -> Network {
    let mut network = Network::new(setup());
    let delivered = |network: &Network| delivered_since(network, Timestamp(0)) >= 13;
    assert!(network.run_until(120_000, delivered), "{}", log(&network));
    network
}

fn delivered_since(network: &Network, since: Timestamp) -> usize {
    let notices = network.record.coordinator.iter().filter(|(at, _)| *at >= since);
    notices
        .filter(|(_, notice)| {
            matches!(notice, Notice::RoundEnded(report) if report.result == RoundResult::Delivered)
        })
        .count()
}

fn nobody_suspended(network: &Network) {
    let suspended =
        |(_, notice): &(Timestamp, Notice)| matches!(notice, Notice::ShardSuspended { .. });
    assert!(!network.record.coordinator.iter().any(suspended), "{}", log(network));
}

/// Two rounds go through within `ms`, nobody is suspended, and every promise is kept.
fn recovers(network: &mut Network, ms: u64) {
    let since = network.now();
    let recovered = network.run_until(ms, |network| delivered_since(network, since) >= 2);
    assert!(recovered, "{}", log(network));
    nobody_suspended(network);
    network.record.promises.assert_kept();
}

#[test]
fn rounds_go_on_above_the_old_numbers_when_the_coordinator_has_lost_its_state() {
    let mut network = running();
    network.replace_coordinator_state(0, State::default());
    network.restart_coordinator(0);
    recovers(&mut network, 15_000);
}

#[test]
fn rounds_go_on_above_the_old_numbers_when_the_coordinator_has_an_old_state() {
    let mut network = Network::new(setup());
    network.run_until(60_000, |network| delivered_since(network, Timestamp(0)) >= 2);
    let old = network.coordinator_state(0);
    for rounds in [5, 16] {
        network.run_until(60_000, |network| delivered_since(network, Timestamp(0)) >= rounds);
        network.replace_coordinator_state(0, old.clone());
        network.restart_coordinator(0);
        recovers(&mut network, 15_000);
    }
}

#[test]
fn a_power_cut_everywhere_costs_seconds_and_nobody_a_suspension() {
    let mut network = running();
    network.cut_power();
    recovers(&mut network, 15_000);
}

#[test]
fn a_shard_that_leaves_disturbs_no_round() {
    let mut network = running();
    network.ask_to_leave(2);
    assert!(network.run_until(60_000, |network| network.is_released(2)), "{}", log(&network));
    network.crash(2);
    recovers(&mut network, 15_000);
    network.restart(2);
    recovers(&mut network, 15_000);
    for report in network.record.rounds() {
        assert_eq!(report.result, RoundResult::Delivered, "{}", log(&network));
    }
}

#[test]
fn a_shard_that_was_let_go_and_stays_is_taken_back_and_disturbs_no_round() {
    let mut network = running();
    network.ask_to_leave(2);
    assert!(network.run_until(60_000, |network| network.is_released(2)), "{}", log(&network));
    let shards = |network: &Network, since: Timestamp| {
        let published = network.record.coordinator.iter().filter(|(at, _)| *at >= since);
        let shards = |(_, notice): &(Timestamp, Notice)| match notice {
            Notice::EpochPublished { presence, .. } => Some(presence.shards),
            _ => None,
        };
        published.filter_map(shards).next_back()
    };
    assert_eq!(shards(&network, Timestamp(0)), Some(4), "{}", log(&network));
    network.ask_to_stay(2);
    let since = network.now();
    let back = |network: &Network| shards(network, since) == Some(5);
    assert!(network.run_until(120_000, back), "{}", log(&network));
    recovers(&mut network, 15_000);
    for report in network.record.rounds() {
        assert_eq!(report.result, RoundResult::Delivered, "{}", log(&network));
    }
}
