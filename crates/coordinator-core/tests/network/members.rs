//! Shards and the coordinator itself come and go: lost state, power cuts, restarts, clocks.

use antiphon_coordinator_core::{Input, Notice, RoundResult, State};
use antiphon_wire::{Epoch, Round, Timestamp, ToCoordinator};

use crate::world::{World, config};

/// Rounds delivered from `since` on.
fn delivered(world: &World, since: Timestamp) -> usize {
    let is_delivered = |notice: &Notice| matches!(notice, Notice::RoundEnded(report) if report.result == RoundResult::Delivered);
    world.notices.iter().filter(|(at, notice)| *at >= since && is_delivered(notice)).count()
}

/// Sees that no shard was made to sit out.
fn nobody_suspended(world: &World) {
    let suspended = world.told(|notice| matches!(notice, Notice::ShardSuspended { .. }));
    assert_eq!(suspended, 0, "{}", log(world));
}

fn log(world: &World) -> String {
    let lines = world.notices.iter().map(|(at, notice)| format!("{} {notice}", at.0));
    lines.collect::<Vec<_>>().join("\n")
}

/// A network of five whose shards have handed over twice, with `hand_over_ms` for planned ones.
fn running(hand_over_ms: u32) -> World {
    let mut config = config();
    config.hand_over_ms = hand_over_ms;
    let mut world = World::unconnected(5, config);
    world.connect_all();
    world.run_ms(15_300);
    assert!(world.published.len() >= 3);
    world
}

/// The coordinator starts with `state`, and all shards come back to it with what they have.
fn come_back(world: &mut World, state: State) -> Timestamp {
    world.saved = state;
    world.restart_coordinator();
    world.shards.iter_mut().for_each(|shard| shard.connected = false);
    world.connect_all();
    world.now
}

#[test]
fn a_coordinator_that_lost_its_state_goes_on_above_what_shards_know() {
    let mut world = running(1_000_000);
    let since = come_back(&mut world, State::default());
    // The world sees that no number is used twice.
    world.run_ms(5000);
    assert!(delivered(&world, since) >= 2);
    nobody_suspended(&world);
    assert_eq!(world.newest().document.shards.len(), 5);
    assert_eq!(world.told(|notice| matches!(notice, Notice::Behind { .. })), 1);
}

#[test]
fn a_coordinator_with_an_old_state_goes_on_above_what_shards_know() {
    let mut world = World::new(5);
    world.run_ms(2500);
    let old = world.saved.clone();
    // Still in the same epoch, and some epochs later.
    for more_ms in [2000, 14_000] {
        world.run_ms(more_ms);
        let since = come_back(&mut world, old.clone());
        world.run_ms(5000);
        assert!(delivered(&world, since) >= 2, "{more_ms} ms");
        nobody_suspended(&world);
        assert_eq!(world.newest().document.shards.len(), 5);
    }
}

#[test]
fn one_liar_cannot_use_up_the_numbers() {
    let mut world = running(1_000_000);
    world.shards[4].claims = Some((Epoch(u64::MAX), Round(u64::MAX)));
    let since = come_back(&mut world, State::default());
    world.run_ms(20_000);
    assert!(delivered(&world, since) >= 8);
    assert!(world.newest().document.epoch < Epoch(100));
    assert!(world.newest().document.first_round < Round(1000));
}

#[test]
fn after_a_power_cut_everybody_is_back_at_once_and_nobody_suspended() {
    let mut world = running(1_000_000);
    for shard in &mut world.shards {
        shard.forget();
    }
    world.restart_coordinator();
    let since = world.now;
    for shard in 0..5 {
        world.run_ms(200);
        world.connect(shard);
    }
    world.run_ms(3000);
    assert!(delivered(&world, since) >= 1);
    nobody_suspended(&world);
    assert_eq!(world.newest().document.shards.len(), 5);
}

#[test]
fn a_coordinator_and_a_shard_that_restart_together_are_back_at_once() {
    let mut world = running(1_000_000);
    world.shards[2].forget();
    world.restart_coordinator();
    world.shards.iter_mut().for_each(|shard| shard.connected = false);
    let since = world.now;
    world.connect(2);
    world.run_ms(2000);
    [0, 1, 3, 4].into_iter().for_each(|shard| world.connect(shard));
    world.run_ms(3000);
    assert!(delivered(&world, since) >= 1);
    nobody_suspended(&world);
    assert_eq!(world.newest().document.shards.len(), 5);
}

/// A network of five in the middle of a round of a long epoch.
fn in_a_long_epoch() -> World {
    let mut config = config();
    config.epoch_rounds = 100;
    let mut world = World::unconnected(5, config);
    world.connect_all();
    world.run_ms(5300);
    world
}

#[test]
fn a_coordinator_that_stood_still_opens_nothing_before_it_has_heard_of_its_links() {
    let mut world = in_a_long_epoch();
    let (epoch, ..) = *world.opened.last().unwrap();
    let opened = world.opened.len();
    world.now = world.now.plus_ms(20_000);
    world.input(Input::Tick);
    for shard in 0..5 {
        let identity = world.shards[shard].identity();
        world.input(Input::Disconnected { identity });
    }
    assert_eq!(world.told(|notice| matches!(notice, Notice::StoodStill { .. })), 1);
    assert_eq!(world.opened.len(), opened, "nobody would have heard of it");
    let since = world.now;
    world.connect_all();
    world.run_ms(3000);
    assert!(delivered(&world, since) >= 2, "{}", log(&world));
    assert_eq!(world.opened[opened].0, epoch);
    nobody_suspended(&world);
}

#[test]
fn a_coordinator_that_stood_still_while_all_links_lasted_goes_on_at_once() {
    let mut world = in_a_long_epoch();
    let (epoch, ..) = *world.opened.last().unwrap();
    world.now = world.now.plus_ms(3000);
    let since = world.now;
    world.input(Input::Tick);
    world.run_ms(2000);
    assert!(delivered(&world, since) >= 1, "{}", log(&world));
    let soon = since.plus_ms(1000);
    assert!(world.opened.iter().any(|(of, _, at)| *of == epoch && *at > since && *at <= soon));
    nobody_suspended(&world);
}

#[test]
fn an_epoch_on_its_way_outlasts_a_coordinator_that_stood_still() {
    let mut world = in_a_long_epoch();
    let before = world.newest().document.epoch;
    leave(&mut world, 2);
    // Shards have answered, and it heard nothing of it within its deadline.
    world.now = world.now.plus_ms(3000);
    world.input(Input::Tick);
    world.run_ms(2000);
    let failed = world.told(|notice| matches!(notice, Notice::EpochFailed { .. }));
    assert_eq!(failed, 0, "{}", log(&world));
    assert!(world.newest().document.epoch > before);
    nobody_suspended(&world);
}

#[test]
fn a_coordinator_that_was_cut_off_blames_nobody_and_goes_on_with_the_epoch() {
    let mut world = running(1_000_000);
    let epoch = world.opened.last().unwrap().0;
    for shard in 0..5 {
        let identity = world.shards[shard].identity();
        world.input(Input::Disconnected { identity });
        world.run_ms(10);
    }
    assert_eq!(world.told(|notice| matches!(notice, Notice::WasAway { .. })), 1);
    let since = world.now;
    world.run_ms(1000);
    world.connect_all();
    world.run_ms(3000);
    assert!(delivered(&world, since) >= 1);
    assert!(world.opened.last().unwrap().0 >= epoch);
    // What was noted before it was clear is taken back: the next failure is the first.
    world.crash(1);
    let last = world.notices.iter().rev().find_map(|(_, notice)| match notice {
        Notice::ShardSuspended { epochs, .. } => Some(*epochs),
        _ => None,
    });
    assert_eq!(last, Some(1));
}

#[test]
fn shards_that_all_are_started_again_one_after_the_other_are_all_spared() {
    let mut world = running(1_000_000);
    let since = world.now;
    for shard in 0..5 {
        world.crash(shard);
        world.connect(shard);
        world.run_ms(300);
    }
    world.run_ms(3000);
    assert!(delivered(&world, since) >= 1, "{}", log(&world));
    assert_eq!(world.newest().document.shards.len(), 5, "{}", log(&world));
}

#[test]
fn an_epoch_that_lost_its_quorum_is_given_up_before_its_deadline() {
    let mut config = config();
    config.contribute_ms = 60_000;
    let mut world = World::unconnected(5, config);
    world.connect_all();
    world.run_ms(15);
    assert_eq!(world.called.len(), 1);
    // None of them has answered.
    for shard in 0..5 {
        world.crash(shard);
        world.connect(shard);
    }
    world.run_ms(3000);
    assert!(delivered(&world, Timestamp(0)) >= 1, "{}", log(&world));
    assert_eq!(world.newest().document.shards.len(), 5);
}

fn leave(world: &mut World, shard: usize) {
    let identity = world.shards[shard].identity();
    world.message(identity, ToCoordinator::Leaving);
}

#[test]
fn a_shard_that_leaves_serves_to_the_next_hand_over_and_is_taken_back() {
    let mut world = running(4000);
    let since = world.now;
    leave(&mut world, 2);
    assert!(!world.shards[2].released);
    for _ in 0..80 {
        world.run_ms(100);
        if world.shards[2].released {
            break;
        }
    }
    assert!(world.shards[2].released && !world.is_in(2));
    world.crash(2);
    world.run_ms(1000);
    world.connect(2);
    world.run_ms(9000);
    assert!(world.is_in(2), "taken back within its hold-off and the planning");
    nobody_suspended(&world);
    let broken = world.told(|notice| matches!(notice, Notice::EpochBroken { .. }));
    assert_eq!(broken, 0);
    // Not a round was missed.
    let rounds: Vec<_> = world.opened.iter().filter(|(.., at)| *at >= since).collect();
    for pair in rounds.windows(2) {
        assert!(pair[1].2.ms_since(pair[0].2) <= 1100, "{pair:?}");
    }
    let aborted = world.reports().iter().filter(|r| r.result != RoundResult::Delivered).count();
    assert_eq!(aborted, 0);
}

#[test]
fn a_rolling_restart_costs_no_round_and_nobody_a_suspension() {
    let mut world = running(3000);
    for turn in 0..10 {
        let shard = turn % 5;
        leave(&mut world, shard);
        let until = world.now.plus_ms(20_000);
        while !world.shards[shard].released && world.now < until {
            world.run_ms(100);
        }
        assert!(world.shards[shard].released, "turn {turn}");
        world.crash(shard);
        world.run_ms(500);
        world.connect(shard);
        world.run_ms(1000);
    }
    world.run_ms(30_000);
    nobody_suspended(&world);
    assert_eq!(world.newest().document.shards.len(), 5);
    let aborted = world.reports().iter().filter(|r| r.result != RoundResult::Delivered).count();
    assert_eq!(aborted, 0);
}

#[test]
fn a_shard_without_which_there_is_no_quorum_is_told_so_and_takes_part_as_long_as_it_is_there() {
    let mut world = World::new(3);
    world.run_ms(2500);
    world.crash(0);
    world.run_ms(2000);
    let since = world.now;
    leave(&mut world, 1);
    let why = world.shards[1].needed.clone().expect("it is told at once");
    assert!(!world.shards[1].released && why.contains("absent would be"), "{why}");
    world.run_ms(3000);
    assert!(world.is_in(1) && delivered(&world, since) >= 2, "{}", log(&world));
    world.crash(1);
    world.run_ms(1000);
    let identity = world.shards[1].identity();
    let blamed = |notice: &Notice| matches!(notice, Notice::ShardSuspended { shard, .. } if *shard == identity);
    assert_eq!(world.told(blamed), 0, "it had said that it may go: {}", log(&world));
}

#[test]
fn a_shard_that_stays_after_all_is_in_the_next_epoch() {
    let mut world = running(1000);
    let before = world.newest().document.epoch;
    leave(&mut world, 2);
    let identity = world.shards[2].identity();
    world.message(identity, ToCoordinator::Staying);
    world.run_ms(20_000);
    assert!(world.newest().document.epoch > before && world.is_in(2), "{}", log(&world));
    nobody_suspended(&world);
    // The same when it has been let go.
    leave(&mut world, 2);
    world.run_ms(9000);
    assert!(world.shards[2].released && !world.is_in(2));
    world.message(identity, ToCoordinator::Staying);
    world.run_ms(20_000);
    assert!(world.is_in(2), "{}", log(&world));
    nobody_suspended(&world);
    let aborted = world.reports().iter().filter(|r| r.result != RoundResult::Delivered).count();
    assert_eq!(aborted, 0);
}

#[test]
fn shards_that_come_and_go_all_day_hand_over_ever_more_rarely() {
    let mut config = config();
    (config.epoch_rounds, config.hand_over_ms) = (400, 1000);
    let mut world = World::unconnected(5, config);
    world.connect_all();
    world.run_ms(3000);
    let began = world.published.len();
    for _ in 0..40 {
        leave(&mut world, 3);
        world.run_ms(2500);
        world.crash(3);
        world.run_ms(500);
        world.connect(3);
        world.run_ms(3000);
    }
    let (epochs, seconds) = (world.published.len() - began, 240);
    assert!((1..30).contains(&epochs), "{epochs} epochs in {seconds} s");
}

#[test]
fn a_shard_whose_clock_is_off_is_named_and_disturbs_nobody() {
    let mut world = running(1_000_000);
    world.shards[3].ahead_ms = 86_400_000;
    let named = |world: &World, ahead: bool| {
        let identity = world.shards[3].identity();
        world.told(|notice| {
            matches!(notice, Notice::ShardClock { shard, ahead_ms, .. }
                if *shard == identity && (*ahead_ms > 2000) == ahead)
        })
    };
    let since = world.now;
    world.run_ms(5000);
    assert_eq!((named(&world, true), named(&world, false)), (1, 0));
    world.shards[3].ahead_ms = 0;
    world.run_ms(6000);
    assert_eq!((named(&world, true), named(&world, false)), (1, 1));
    assert_eq!(world.told(|notice| matches!(notice, Notice::OwnClock { .. })), 0);
    assert!(delivered(&world, since) >= 9);
}

#[test]
fn a_coordinator_whose_clock_is_off_goes_by_those_of_the_shards() {
    for ahead_ms in [-7_200_000, 7_200_000] {
        let mut world = World::unconnected(5, config());
        world.shards.iter_mut().for_each(|shard| shard.ahead_ms = ahead_ms);
        world.connect_all();
        let since = world.now;
        world.run_ms(30_000);
        let own = |notice: &Notice| matches!(notice, Notice::OwnClock { ahead_ms: own } if *own == -ahead_ms);
        assert_eq!(world.told(own), 1);
        assert!(delivered(&world, since) >= 25);
        for signed in &world.published {
            let theirs = Timestamp(since.0.saturating_add_signed(ahead_ms));
            assert!(signed.document.starts_at.0.abs_diff(theirs.0) < 60_000);
        }
    }
}

#[test]
fn a_shard_that_is_reached_elsewhere_is_listed_there_at_the_next_hand_over_and_costs_no_round() {
    let mut world = running(1000);
    let since = world.now;
    world.shards[2].peer_port = 4711;
    let (identity, shard) = (world.shards[2].identity(), &world.shards[2]);
    let (registration, standing) = (shard.registration(), shard.standing(world.now));
    world.message(identity, ToCoordinator::Register { registration, standing });
    world.run_ms(10_000);
    let document = &world.newest().document;
    let entry = document.shards.iter().find(|shard| shard.identity == identity).unwrap();
    assert_eq!(entry.peer_addresses.first().port(), 4711, "{}", log(&world));
    nobody_suspended(&world);
    let rounds: Vec<_> = world.opened.iter().filter(|(.., at)| *at >= since).collect();
    assert!(rounds.len() > 5 && rounds.iter().any(|(epoch, ..)| *epoch == document.epoch));
    for pair in rounds.windows(2) {
        assert!(pair[1].2.ms_since(pair[0].2) <= 1100, "{pair:?}");
    }
}
