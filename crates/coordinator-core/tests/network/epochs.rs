//! Epochs come about, follow each other, and leave out who fails them.

use antiphon_coordinator_core::Notice;
use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Epoch, SignedDocument, ToCoordinator};

use crate::shard::Faults;
use crate::world::{World, config};

fn verified(world: &World, signed: &SignedDocument) -> VerifiedEpoch {
    VerifiedEpoch::verify(signed.clone(), &world.network).unwrap()
}

#[test]
fn epochs_follow_each_other_without_a_gap() {
    let mut world = World::new(4);
    world.run_ms(20_000);
    assert!(world.published.len() >= 3);
    for pair in world.published.windows(2) {
        let (one, two) = (&pair[0].document, &pair[1].document);
        assert_eq!(two.epoch, Epoch(one.epoch.0 + 1));
        assert_eq!(two.first_round, one.last_round.next());
        assert_eq!(two.previous, one.digest());
        assert_eq!(one.expires_at.ms_since(one.starts_at), 2 * 6 * 1000);
        verified(&world, &pair[1]);
    }
    let rounds: Vec<_> = world.opened.iter().map(|(_, round, _)| round.0).collect();
    assert_eq!(rounds, (1..=rounds.len() as u64).collect::<Vec<_>>());
    assert!(rounds.len() >= 18, "{} rounds in 20 s", rounds.len());
}

#[test]
fn a_document_announces_when_its_first_round_opens() {
    let mut world = World::new(4);
    world.run_ms(20_000);
    for signed in &world.published[1..3] {
        let document = &signed.document;
        let opened = world.opened.iter().find(|(_, round, _)| *round == document.first_round);
        let (.., at) = opened.unwrap();
        assert!(at.0.abs_diff(document.starts_at.0) <= 1000);
    }
}

#[test]
fn a_start_waits_for_all_and_then_for_a_quorum_only() {
    let mut world = World::unconnected(5, config());
    (0..4).for_each(|shard| world.connect(shard));
    world.run_ms(4900);
    assert!(world.called.is_empty());
    world.run_ms(1000);
    assert_eq!(world.newest().document.shards.len(), 4);

    let mut all = World::new(5);
    all.run_ms(1000);
    assert_eq!(all.newest().document.shards.len(), 5);
}

#[test]
fn a_crash_is_followed_at_once_by_an_epoch_that_makes_up_for_it() {
    let mut world = World::new(5);
    world.run_ms(3500);
    let before = verified(&world, world.newest());
    world.crash(2);
    world.run_ms(1000);
    let after = verified(&world, world.newest());
    assert!(!world.is_in(2));
    assert!(after.epoch() > before.epoch());
    assert!(after.effective_malicious() > before.effective_malicious());
    assert!(after.geometry().layers() > before.geometry().layers());
}

#[test]
fn a_crashed_shard_is_back_in_a_later_epoch_without_manual_steps() {
    let mut world = World::new(5);
    world.run_ms(3500);
    world.crash(2);
    world.run_ms(500);
    world.connect(2);
    world.run_ms(500);
    assert!(!world.is_in(2), "out of the next epoch");
    world.run_ms(8000);
    assert!(world.is_in(2), "back in the one after it");
}

#[test]
fn a_shard_that_comes_late_is_in_the_next_epoch() {
    let mut world = World::unconnected(5, config());
    (0..4).for_each(|shard| world.connect(shard));
    world.run_ms(6000);
    world.connect(4);
    world.run_ms(500);
    assert!(!world.is_in(4));
    world.run_ms(6000);
    assert!(world.is_in(4));
}

#[test]
fn whoever_fails_an_attempt_is_left_out_and_the_number_skipped() {
    let failures = [
        Faults { sends_no_keys: true, ..Faults::default() },
        Faults { forges_proofs: true, ..Faults::default() },
        Faults { refuses: true, ..Faults::default() },
        Faults { signs_nothing: true, ..Faults::default() },
    ];
    for faults in failures {
        let mut world = World::unconnected(5, config());
        world.shards[1].faults = faults;
        world.connect_all();
        world.run_ms(2000);
        assert!(!world.is_in(1), "{faults:?}");
        assert_eq!(world.newest().document.shards.len(), 4);
        let suspended = |n: &Notice| matches!(n, Notice::ShardSuspended { shard, .. } if *shard == world.shards[1].identity());
        assert_eq!(world.told(suspended), 1, "{faults:?}");
        let skipped = faults.refuses || faults.signs_nothing;
        assert_eq!(world.newest().document.epoch, Epoch(1 + u64::from(skipped)), "{faults:?}");
        verified(&world, world.newest());
    }
}

#[test]
fn time_outs_grow_and_end() {
    let mut world = World::unconnected(5, config());
    world.shards[1].faults.refuses = true;
    world.connect_all();
    world.run_ms(60_000);
    let times: Vec<_> = world
        .notices
        .iter()
        .filter_map(|(_, notice)| match notice {
            Notice::ShardSuspended { epochs, .. } => Some(*epochs),
            _ => None,
        })
        .collect();
    assert_eq!(times[..3], [1, 2, 4]);
    world.shards[1].faults.refuses = false;
    world.run_ms(60_000);
    assert!(world.is_in(1));
}

#[test]
fn nobody_is_left_out_below_the_quorum() {
    // At f = 0.2, two of three operators are just enough.
    let mut world = World::new(3);
    world.run_ms(1500);
    world.crash(0);
    world.run_ms(1000);
    assert_eq!(world.newest().document.shards.len(), 2);
    world.shards[1].faults.refuses = true;
    world.run_ms(4000);
    world.shards[1].faults.refuses = false;
    world.run_ms(8000);
    assert!(world.is_in(1) && world.is_in(2));
    let rounds = world.opened.len();
    world.run_ms(3000);
    assert!(world.opened.len() > rounds, "rounds go on");
}

#[test]
fn without_a_quorum_it_waits_and_says_for_whom() {
    let mut world = World::new(3);
    world.run_ms(2500);
    world.crash(0);
    world.crash(1);
    // They might come back with what they had.
    world.run_ms(6000);
    let rounds = world.opened.len();
    let waiting = |notice: &Notice| {
        matches!(notice, Notice::WaitingForQuorum(presence)
            if presence.absent == ["operator 0", "operator 1"])
    };
    assert_eq!(world.told(waiting), 1);
    world.run_ms(60_000);
    assert_eq!((world.opened.len(), world.told(waiting)), (rounds, 1));
    world.connect(1);
    world.run_ms(3000);
    assert!(world.opened.len() > rounds, "the quorum is back");
}

#[test]
fn registrations_that_nobody_certified_are_rejected() {
    let mut world = World::new(3);
    let stranger = world.shards[0].identity();
    world.shards[0].list = world.shards[1].list.clone();
    let registration = world.shards[0].registration();
    let standing = world.shards[0].standing(world.now);
    world.message(stranger, ToCoordinator::Register { registration, standing });
    let rejected = |notice: &Notice| matches!(notice, Notice::ShardRejected { shard, .. } if *shard == stranger);
    assert_eq!(world.told(rejected), 1);
}
