//! What those who look after a network are told.

use antiphon_wire::{Epoch, Round, ToCoordinator};

use crate::world::World;

fn standings(world: &World) -> Vec<String> {
    world.coordinator.status().shards.into_iter().map(|shard| shard.standing).collect()
}

#[test]
fn the_status_follows_shards_epochs_and_rounds() {
    let mut world = World::unconnected(5, crate::world::config());
    let status = world.coordinator.status();
    assert_eq!((status.epoch, status.shards), (None, vec![]));
    assert_eq!(status.quorum.absent.len(), 5);
    // More than (1 + f)/2 of a weight of 5, with f = 0.2.
    assert_eq!((status.quorum.present_weight, status.quorum.needed_weight), (0, 4));
    world.connect_all();
    world.run_ms(2500);
    let status = world.coordinator.status();
    let epoch = status.epoch.unwrap();
    let [running, next] = [0, 1].map(|at| world.published[at].document.epoch);
    assert_eq!((Epoch(epoch.epoch), epoch.shards), (running, 5));
    assert_eq!(status.next_epoch.map(|next| Epoch(next.epoch)), Some(next));
    assert_eq!(Some(Round(status.rounds.last)), world.opened.last().map(|(_, round, _)| *round));
    assert_eq!(status.quorum.present_weight, 5);
    assert_eq!(standings(&world), ["in_epoch"; 5]);
    // It says what travels as JSON, and nothing gets lost on the way.
    let status = world.coordinator.status();
    let text = serde_json::to_string(&status).unwrap();
    assert_eq!(serde_json::from_str::<antiphon_coordinator_core::Status>(&text).unwrap(), status);
}

#[test]
fn a_shard_that_leaves_and_one_that_sits_out_are_told_apart() {
    let mut world = World::new(5);
    world.run_ms(2500);
    let leaver = world.shards[1].identity();
    world.message(leaver, ToCoordinator::Leaving);
    let leaves = world.coordinator.status().shards.into_iter().find(|s| s.shard == leaver.to_hex());
    assert_eq!(leaves.unwrap().standing, "leaving");
    let mut world = World::new(5);
    world.run_ms(2500);
    world.crash(2);
    assert_eq!(world.coordinator.status().rounds.conduct, "broken");
    assert_eq!(world.coordinator.status().shards.len(), 4);
    world.run_ms(500);
    world.connect(2);
    let back = world.shards[2].identity().to_hex();
    let back = world.coordinator.status().shards.into_iter().find(|s| s.shard == back).unwrap();
    assert!(back.sits_out <= 1 && ["suspended", "waiting"].contains(&back.standing.as_str()));
}
