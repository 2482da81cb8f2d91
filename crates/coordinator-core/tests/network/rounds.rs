//! The round clock.

use antiphon_coordinator_core::{Notice, RoundResult};
use antiphon_wire::Reason;

use crate::world::{World, config};

#[test]
fn a_delivered_round_is_reported_with_its_sums_and_latency() {
    let mut world = World::new(4);
    world.run_ms(2500);
    let reports = world.reports();
    let report = reports[0];
    assert_eq!(report.result, RoundResult::Delivered);
    assert_eq!((report.totals.user_onions, report.totals.pairs), (40, 12));
    assert_eq!(report.latency_ms, 700);
    assert!(report.silent.is_empty());
}

#[test]
fn rounds_open_at_the_nominal_interval_but_never_below_the_least() {
    let fast = antiphon_coordinator_core::CoordinatorConfig { interval_ms: 10, ..config() };
    let mut world = World::unconnected(4, fast);
    world.connect_all();
    world.run_ms(10_000);
    assert!(world.opened.len() >= 8);
    for pair in world.opened.windows(2) {
        assert!(pair[1].2.ms_since(pair[0].2) >= 1000);
    }
}

#[test]
fn a_shard_that_is_never_ready_delays_rounds_but_does_not_stop_them() {
    let mut world = World::new(4);
    world.shards[3].faults.is_never_ready = true;
    world.run_ms(10_000);
    let late = [world.shards[3].identity()];
    let named =
        |notice: &Notice| matches!(notice, Notice::RoundOpened { late: l, .. } if *l == late);
    assert!(world.told(named) >= 3);
    for pair in world.opened.windows(2) {
        assert!(pair[1].2.ms_since(pair[0].2) >= 2500, "interval and patience");
    }
}

#[test]
fn an_aborted_round_names_the_missing_shard_and_the_next_epoch_is_without_it() {
    let mut world = World::new(5);
    world.run_ms(2500);
    // Its process restarts without anybody noticing: its keys are gone, the link seems up.
    world.shards[2].forget();
    world.run_ms(4000);
    let lost = world.shards[2].identity();
    let aborted = world.reports().iter().any(|report| {
        let names_it = |missing: &Vec<_>| *missing == [lost];
        matches!(&report.result, RoundResult::Aborted { missing, reason: Some(Reason::MissingBatch { .. }) } if names_it(missing))
    });
    assert!(aborted);
    assert!(!world.is_in(2));
    let last = world.reports().last().unwrap().result.clone();
    assert_eq!(last, RoundResult::Delivered);
}

#[test]
fn a_shard_that_says_it_lost_its_keys_is_the_one_left_out() {
    let mut world = World::new(5);
    world.run_ms(2500);
    world.shards[2].forget();
    world.shards[2].connected = true;
    world.run_ms(3000);
    assert!(!world.is_in(2));
    assert_eq!(world.newest().document.shards.len(), 4);
}

#[test]
fn a_shard_that_reports_nothing_is_left_out_after_the_deadline() {
    let mut world = World::new(5);
    world.run_ms(2500);
    world.shards[4].faults.reports_nothing = true;
    world.run_ms(15_000);
    let mute = world.shards[4].identity();
    assert!(world.reports().iter().any(|report| report.silent == [mute]));
    assert_eq!(
        world.told(
            |notice| matches!(notice, Notice::ShardSuspended { shard, .. } if *shard == mute)
        ),
        1
    );
}

#[test]
fn a_coordinator_that_stops_finishes_its_round_and_opens_no_other() {
    let mut world = World::new(4);
    world.run_ms(2200);
    world.coordinator.stop();
    assert_eq!(world.coordinator.open_rounds().count(), 1);
    let rounds = world.opened.len();
    world.run_ms(5000);
    assert_eq!(world.coordinator.open_rounds().count(), 0);
    assert_eq!(world.opened.len(), rounds);
}
