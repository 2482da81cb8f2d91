//! A coordinator that is started again, and inputs in any order.

use antiphon_coordinator_core::{Input, Notice};
use antiphon_wire::{
    Blob, Digest, Epoch, Reason, Round, RoundCounts, RoundOutcome, ShardIndex, Signature,
    ToCoordinator,
};
use proptest::prelude::*;

use crate::shard::Faults;
use crate::world::World;

#[test]
fn a_restarted_coordinator_goes_on_with_the_epoch_if_all_shards_come_back() {
    let mut world = World::new(4);
    world.run_ms(1500);
    let (epoch, round, _) = *world.opened.last().unwrap();
    world.restart_coordinator();
    assert_eq!(world.published.last().unwrap().document.epoch, epoch, "clients get it again");
    world.connect_all();
    world.run_ms(3000);
    let (later_epoch, later_round, _) = *world.opened.last().unwrap();
    assert_eq!(later_epoch, epoch);
    assert!(later_round > round);
}

#[test]
fn a_restarted_coordinator_plans_anew_if_a_shard_stays_away() {
    let mut world = World::new(4);
    world.run_ms(2500);
    let epochs = world.called.len();
    world.restart_coordinator();
    (0..3).for_each(|shard| world.connect(shard));
    world.shards[3].forget();
    world.run_ms(4900);
    assert_eq!(world.called.len(), epochs);
    world.run_ms(3000);
    assert!(world.called.len() > epochs);
    assert!(!world.is_in(3));
    assert!(world.opened.last().unwrap().0 >= world.called[epochs]);
}

#[test]
fn an_expired_epoch_is_not_taken_up_again() {
    let mut world = World::new(4);
    world.run_ms(2500);
    world.restart_coordinator();
    world.now = world.now.plus_ms(3_600_000);
    world.restart_coordinator();
    assert!(world.told(|notice| matches!(notice, Notice::DocumentDropped { .. })) >= 1);
    world.connect_all();
    let rounds = world.opened.len();
    world.run_ms(3000);
    assert!(world.opened.len() > rounds);
}

#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "a handful of them")]
enum Step {
    Run(u64),
    Crash(usize),
    Connect(usize),
    Restart,
    Fault(usize, u8),
    Say(usize, ToCoordinator),
    Jump(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let shard = 0..4usize;
    prop_oneof![
        4 => (1..3000u64).prop_map(Step::Run),
        2 => shard.clone().prop_map(Step::Crash),
        3 => shard.clone().prop_map(Step::Connect),
        1 => Just(Step::Restart),
        2 => (shard.clone(), any::<u8>()).prop_map(|(s, f)| Step::Fault(s, f)),
        2 => (shard, message()).prop_map(|(s, m)| Step::Say(s, m)),
        1 => (0..40_000u64).prop_map(Step::Jump),
    ]
}

fn message() -> impl Strategy<Value = ToCoordinator> {
    let numbers = (0..12u64, prop_oneof![0..40u64, Just(u64::MAX)]);
    (numbers, 0..6u8, any::<u16>()).prop_map(|((epoch, round), kind, shard)| {
        let (epoch, round, shard) = (Epoch(epoch), Round(round), ShardIndex(shard));
        let counts = RoundCounts::default();
        match kind {
            0 => ToCoordinator::Ready { epoch, round },
            1 => ToCoordinator::Refuse { epoch, reason: Blob(vec![0xff; 9]) },
            2 => ToCoordinator::Endorse {
                epoch,
                document: Digest([0; 32]),
                signature: Signature([0; 64]),
            },
            3 => {
                let reason = Reason::MissingFilter { shard };
                let outcome = RoundOutcome::Withheld { reason };
                ToCoordinator::Ended { epoch, round, outcome, counts }
            }
            4 => {
                let outcome = RoundOutcome::Withheld { reason: Reason::Follows { shard } };
                ToCoordinator::Ended { epoch, round, outcome, counts }
            }
            _ => {
                let outcome = RoundOutcome::NotOpened { missing: shard };
                ToCoordinator::Ended { epoch, round, outcome, counts }
            }
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 40,
        rng_seed: proptest::test_runner::RngSeed::Fixed(2018),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// The world checks at every step that numbers rise, are saved first, and that rounds keep
    /// their distance.
    #[test]
    fn no_number_is_ever_used_twice(
        steps in prop::collection::vec(step(), 1..40),
        work_ms in prop::option::of(0..3000u64),
    ) {
        let mut world = World::new(4);
        world.work_ms = work_ms;
        for step in steps {
            match step {
                Step::Run(ms) => world.run_ms(ms),
                Step::Crash(shard) => world.crash(shard),
                Step::Connect(shard) => world.connect(shard),
                Step::Restart => {
                    world.restart_coordinator();
                    world.shards.iter_mut().for_each(|shard| shard.connected = false);
                }
                Step::Fault(shard, bits) => {
                    let bit = |at: u8| bits & (1 << at) != 0 && bits & 0x80 != 0;
                    world.shards[shard].faults = Faults {
                        sends_no_keys: bit(0),
                        forges_proofs: bit(1),
                        refuses: bit(2),
                        signs_nothing: bit(3),
                        is_never_ready: bit(4),
                        reports_nothing: bit(5),
                    };
                }
                Step::Say(shard, message) => {
                    let identity = world.shards[shard].identity();
                    world.message(identity, message);
                }
                Step::Jump(ms) => {
                    world.now = world.now.plus_ms(ms);
                    world.input(Input::Tick);
                }
            }
        }
        // Whatever happened, with all shards well it recovers.
        for shard in 0..4 {
            world.shards[shard].faults = Faults::default();
            world.connect(shard);
        }
        let rounds = world.opened.len();
        world.run_ms(90_000);
        prop_assert!(world.opened.len() > rounds);
    }
}
