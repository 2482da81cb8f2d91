//! Rounds go on while an epoch is planned, however long that takes.

use antiphon_coordinator_core::{CoordinatorConfig, Notice};
use antiphon_routing::VerifiedEpoch;

use crate::world::{World, config};

/// How long each of the two works of an epoch takes: to put the document together, and to check what
/// all have signed.
const WORK_MS: u64 = 4000;

fn world() -> World {
    let config = CoordinatorConfig { epoch_rounds: 24, prepare_ahead_rounds: 16, ..config() };
    let mut world = World::unconnected(5, config);
    world.work_ms = Some(WORK_MS);
    world.connect_all();
    world
}

/// Until work is being done, or is no more.
fn run_until_working(world: &mut World, working: bool) {
    for _ in 0..60_000 {
        if world.work.is_some() == working {
            return;
        }
        world.run_ms(1);
    }
    panic!("it never comes to that");
}

#[test]
fn rounds_open_in_time_while_a_document_is_put_together_and_checked() {
    let mut world = world();
    run_until_working(&mut world, true);
    // Nothing runs before the first epoch.
    world.run_ms(2 * WORK_MS + 1000);
    assert_eq!(world.published.len(), 1);
    for _ in 0..4 {
        run_until_working(&mut world, true);
        let before = world.opened.len();
        world.run_ms(WORK_MS - 1);
        assert!(world.work.is_some());
        assert!(world.opened.len() >= before + 3, "{} rounds", world.opened.len() - before);
        run_until_working(&mut world, false);
    }
    assert_eq!(world.published.len(), 3);
    for pair in world.opened.windows(2) {
        assert!(pair[1].2.ms_since(pair[0].2) <= 1100, "{pair:?}");
    }
}

#[test]
fn a_shard_lost_meanwhile_is_left_out_and_one_work_is_done_at_a_time() {
    // Which of the two works it is lost during.
    for during in 0..2 {
        let mut world = world();
        for _ in 0..during {
            run_until_working(&mut world, true);
            run_until_working(&mut world, false);
        }
        run_until_working(&mut world, true);
        world.run_ms(WORK_MS / 2);
        world.crash(2);
        // The world refuses a second work while the first one goes on.
        world.run_ms(4 * WORK_MS + 3000);
        let newest = world.newest().clone();
        assert_eq!(newest.document.shards.len(), 4);
        VerifiedEpoch::verify(newest, &world.network).unwrap();
        assert!(!world.is_in(2));
        assert!(!world.opened.is_empty());
    }
}

#[test]
fn a_running_epoch_that_breaks_meanwhile_gets_its_successor_after_the_work() {
    let mut world = world();
    world.run_ms(2 * WORK_MS + 2000);
    let first = world.newest().document.epoch;
    run_until_working(&mut world, true);
    world.crash(3);
    world.run_ms(4 * WORK_MS + 3000);
    assert!(world.newest().document.epoch > first);
    assert_eq!(world.newest().document.shards.len(), 4);
    let broken =
        |notice: &Notice| matches!(notice, Notice::EpochBroken { epoch, .. } if *epoch == first);
    assert_eq!(world.told(broken), 1);
    let rounds = world.opened.len();
    world.run_ms(3000);
    assert!(world.opened.len() >= rounds + 2, "rounds go on");
}

#[test]
fn a_coordinator_that_stops_or_restarts_drops_the_work() {
    let mut world = world();
    run_until_working(&mut world, true);
    world.coordinator.stop();
    world.run_ms(3 * WORK_MS);
    assert!(world.work.is_none() && world.published.is_empty());
    world.restart_coordinator();
    world.connect_all();
    world.run_ms(3 * WORK_MS);
    assert_eq!(world.published.len(), 1);
}
