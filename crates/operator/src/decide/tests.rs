//! The decisions, held to what must not happen, in a world that does as it likes between any two of them.

mod world;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::observed::{Lists, Network, Pod, Standing};
use world::{Happening, World};

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        6 => any::<u8>().prop_map(Happening::Time),
        8 => (0..6_u8).prop_map(Happening::Controller),
        1 => (1..7_u16).prop_map(Happening::Scale),
        1 => Just(Happening::Upgrade),
        1 => Just(Happening::BadImage),
        1 => any::<bool>().prop_map(Happening::Pause),
        1 => (0..6_u16).prop_map(Happening::Kill),
        1 => any::<bool>().prop_map(Happening::CoordinatorAway),
        1 => (0..3_u16).prop_map(Happening::KillCoordinator),
        1 => (0..5000_u32).prop_map(Happening::Load),
        1 => Just(Happening::Delete),
        2 => Just(Happening::Create),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Every `Controller(n)` is a controller that is killed after n steps, and another one that starts.
    #[test]
    fn a_controller_that_is_killed_anywhere_hurts_nobody_and_comes_to_the_same_end(
        shards in 1..6_u16,
        coordinators in 0..4_u16,
        happenings in proptest::collection::vec(happening(), 0..120),
    ) {
        let mut world = World::new(shards, coordinators);
        for happening in happenings {
            world.happen(happening);
        }
        world.come_to_rest();
        prop_assert_eq!(world.what_is_wrong(), None);
    }
}

/// An install, more shards, an upgrade, fewer shards, and deletion.
const LIFE: [Happening; 5] = [
    Happening::Scale(3),
    Happening::Scale(6),
    Happening::Upgrade,
    Happening::Scale(2),
    Happening::Delete,
];

/// Lives through all of it. The controller is killed after so many steps, and stays away for a while. Returns the world, and
/// how many steps were done.
fn life(killed_after: usize) -> (World, usize) {
    let mut world = World::new(3, 2);
    let mut done = 0;
    for happening in LIFE {
        world.happen(happening);
        for _ in 0..40 {
            let left = killed_after.checked_sub(done).filter(|left| *left > 0);
            let before = done;
            done += world.control(left.unwrap_or(usize::MAX));
            // The next one gets the Lease when everything else has gone on.
            let is_killed = before < killed_after && killed_after <= done;
            for _ in 0..if is_killed { 5 } else { 1 } {
                (0..=u8::MAX)
                    .filter(|which| *which != world::EPOCH_ENDS)
                    .for_each(|which| world.happen(Happening::Time(which)));
            }
        }
        assert_eq!(world.what_is_wrong(), None, "after {happening:?}");
    }
    (world, done)
}

#[test]
fn a_life_in_which_the_controller_is_killed_after_any_one_step_ends_as_the_one_in_which_it_is_not()
{
    let (undisturbed, steps) = life(usize::MAX);
    assert!(steps > 100, "{steps}");
    for killed_after in 1..steps {
        let (world, _) = life(killed_after);
        assert_eq!(world.end(), undisturbed.end(), "killed after {killed_after} steps");
    }
}

#[test]
fn an_install_makes_keys_then_a_list_then_pods() {
    let mut world = World::new(3, 1);
    let mut done = Vec::new();
    for _ in 0..4 {
        let decision = decide(&world.observe());
        done.extend(decision.steps.iter().map(Step::name));
        world.happen(Happening::Controller(9));
    }
    done.dedup();
    assert_eq!(world.observe().coordinators.unwrap().keys.len(), 1);
    assert_eq!(done[..3], ["MakesKeys", "SignsList", "Applies"]);
}

#[test]
fn the_number_of_shards_follows_the_load_by_lists_and_hand_overs() {
    let mut world = World::new(2, 1);
    let mut numbers = Vec::new();
    for load in [1200, 2400, 100] {
        world.happen(Happening::Load(load));
        for _ in 0..12 {
            world.come_to_rest();
            world.happen(Happening::Time(world::EPOCH_ENDS));
        }
        assert_eq!(world.what_is_wrong(), None);
        numbers.push(world.observe().replicas);
    }
    assert_eq!(numbers, [Some(2), Some(4), Some(2)]);
}

#[test]
fn an_organisation_that_brings_shards_alone_makes_nothing_of_a_coordinators_and_scales() {
    let mut world = World::new(3, 0);
    let mut done = BTreeSet::new();
    for wanted in [3, 5, 2] {
        world.happen(Happening::Scale(wanted));
        for _ in 0..12 {
            done.extend(decide(&world.observe()).steps.iter().map(Step::name));
            world.happen(Happening::Controller(1));
            (0..=u8::MAX).for_each(|which| world.happen(Happening::Time(which)));
        }
        world.come_to_rest();
        assert_eq!(world.what_is_wrong(), None);
    }
    assert!(world.observe().coordinators.is_none());
    let needed = ["Applies", "MakesKeys", "SignsList"];
    assert!(needed.iter().all(|step| done.contains(step)), "{done:?}");
    // While the coordinators of somebody else cannot be asked, nothing is taken away.
    world.happen(Happening::CoordinatorAway(true));
    world.happen(Happening::Scale(1));
    let decision = decide(&world.observe());
    assert_eq!(names(&decision), ["Applies"]);
    assert_eq!(decision.steps, [Step::Apply(Replicas::at_least(&world.observe()))]);
    assert_eq!(Replicas::at_least(&world.observe()).get(), 2);
}

/// A settled world of so many shards and two coordinators.
fn settled(shards: u16) -> Observed {
    let mut world = World::new(shards, 2);
    world.come_to_rest();
    assert_eq!(world.what_is_wrong(), None);
    world.observe()
}

fn names(decision: &Decision) -> Vec<&'static str> {
    decision.steps.iter().map(Step::name).collect()
}

#[test]
fn what_is_settled_stays_as_it_is() {
    assert_eq!(names(&decide(&settled(3))), ["Applies"]);
}

#[test]
fn a_pod_that_died_is_no_reason_for_fewer_pods() {
    let mut seen = settled(3);
    seen.pods.remove(&Ordinal(2));
    seen.network.as_mut().unwrap().shards.remove(&seen.keys[&Ordinal(2)]);
    let decision = decide(&seen);
    assert_eq!(decision.steps, [Step::Apply(Replicas::at_least(&seen))]);
    assert_eq!(Replicas::at_least(&seen).get(), 3);
    assert!(decision.waits.unwrap().contains("shard 2 to be in an epoch"));
}

#[test]
fn a_shard_starts_when_its_load_balancers_have_addresses_and_one_that_runs_never_waits_for_them() {
    let pods = |seen: &Observed| match decide(seen).steps.as_slice() {
        [Step::Apply(replicas), ..] => replicas.get(),
        other => panic!("{other:?}"),
    };
    let mut seen = settled(3);
    let new = [Ordinal(3), Ordinal(4)];
    for shard in new {
        let key = ed25519_dalek::SigningKey::from_bytes(&[200 + shard.0 as u8; 32]);
        seen.keys.insert(shard, antiphon_wire::IdentityKey::of(&key));
    }
    (seen.wanted, seen.awaited) = (5, new.into());
    assert_eq!(pods(&seen), 3);
    let waits = decide(&seen).waits.unwrap();
    assert!(waits.contains("load balancers of shards 3 and 4 to have addresses"), "{waits}");
    seen.awaited = [Ordinal(4)].into();
    assert_eq!(pods(&seen), 4);
    seen.awaited = BTreeSet::new();
    assert_eq!(pods(&seen), 5);
    // A cloud that forgets an address stops nobody.
    let mut seen = settled(3);
    seen.awaited = [Ordinal(0)].into();
    assert_eq!(pods(&seen), 3);
    assert_eq!(decide(&seen).waits, None);
}

#[test]
fn a_pod_that_somebody_adds_to_the_set_is_taken_away_again() {
    let mut seen = settled(3);
    let idle = Pod { running: false, ready: false, ..seen.pods[&Ordinal(2)] };
    (seen.replicas, _) = (Some(4), seen.pods.insert(Ordinal(3), idle));
    let replicas = |seen: &Observed| match decide(seen).steps.as_slice() {
        [Step::Apply(replicas), ..] => replicas.get(),
        other => panic!("{other:?}"),
    };
    assert_eq!(replicas(&seen), 3);
    // A shard on the list whose key is gone may be this one.
    let unknown = antiphon_wire::IdentityKey([9; 32]);
    seen.lists.as_mut().unwrap().newest.shards.insert(unknown);
    assert_eq!(replicas(&seen), 4);
}

#[test]
fn without_the_coordinator_no_shard_goes_and_none_is_replaced() {
    let mut seen = settled(3);
    seen.wanted = 2;
    seen.network = None;
    for pod in seen.pods.values_mut() {
        pod.outdated = true;
    }
    let decision = decide(&seen);
    assert_eq!(names(&decision), ["Applies"]);
    assert_eq!(Replicas::at_least(&seen).get(), 3);
    assert!(decision.waits.unwrap().contains("coordinator"));
}

#[test]
fn shards_change_only_where_the_epoch_has_room_for_it() {
    let mut seen = settled(3);
    seen.wanted = 2;
    seen.room = 10;
    seen.network.as_mut().unwrap().rounds_left = 9;
    assert_eq!(names(&decide(&seen)), ["Applies"]);
    seen.network.as_mut().unwrap().rounds_left = 10;
    assert_eq!(names(&decide(&seen)), ["Applies", "SignsList"]);
    seen.network.as_mut().unwrap().planning = true;
    assert_eq!(names(&decide(&seen)), ["Applies"]);
}

#[test]
fn a_shard_is_on_a_list_once_it_runs() {
    let mut seen = settled(2);
    seen.wanted = 3;
    seen.keys.insert(Ordinal(2), world::identity(77));
    seen.replicas = Some(3);
    seen.pods.insert(Ordinal(2), Pod { told_list: Some(1), ..Pod::default() });
    assert!(decide(&seen).waits.unwrap().contains("shard 2 to run"));
    seen.pods.get_mut(&Ordinal(2)).unwrap().running = true;
    assert_eq!(names(&decide(&seen)), ["Applies", "SignsList"]);
}

#[test]
fn a_list_is_renewed_before_it_ends_with_the_same_shards_and_no_end() {
    let mut seen = settled(3);
    let lists = seen.lists.clone().unwrap();
    seen.network.as_mut().unwrap().newest_epoch = lists.newest.last_epoch - 100;
    let decision = decide(&seen);
    let [_, Step::Sign { list, ended: None }] = &decision.steps[..] else { panic!("{decision:?}") };
    assert_eq!(list.shards, lists.newest.shards);
    assert!(list.number > lists.newest.number && list.last_epoch > lists.newest.last_epoch);
}

#[test]
fn a_list_that_shards_cannot_take_is_signed_anew() {
    let mut seen = settled(3);
    let number = seen.lists.as_ref().unwrap().newest.number;
    seen.lists.as_mut().unwrap().newest.number += 1;
    for pod in seen.pods.values_mut() {
        pod.told_list = Some(number + 1);
    }
    let decision = decide(&seen);
    let [_, Step::Sign { list, ended: None }] = &decision.steps[..] else { panic!("{decision:?}") };
    assert!(list.first_epoch > seen.network.as_ref().unwrap().newest_epoch);
    for pod in seen.pods.values_mut() {
        pod.took_list = Some(number + 1);
    }
    assert_eq!(names(&decide(&seen)), ["Applies"]);
}

#[test]
fn a_bad_image_stops_at_the_first_pod_and_the_former_one_replaces_that_pod_at_once() {
    let mut seen = settled(3);
    let me = seen.keys[&Ordinal(2)];
    // Pod 2 was replaced by one that does not run; the two others are of the former image.
    *seen.pods.get_mut(&Ordinal(2)).unwrap() = Pod { told_list: Some(1), ..Pod::default() };
    seen.network.as_mut().unwrap().shards.remove(&me);
    for shard in [0, 1] {
        seen.pods.get_mut(&Ordinal(shard)).unwrap().outdated = true;
    }
    let decision = decide(&seen);
    assert_eq!(names(&decision), ["Applies"]);
    assert!(decision.waits.unwrap().contains("shard 2 to be in an epoch before"));
    // The former image is asked for again: now pod 2 is the outdated one.
    for (shard, pod) in &mut seen.pods {
        pod.outdated = shard.0 == 2;
    }
    let decision = decide(&seen);
    let [_, Step::Replace(pod)] = &decision.steps[..] else { panic!("{decision:?}") };
    assert_eq!(pod.shard(), Ordinal(2));
}

/// A settled world in which every pod is of an older template.
fn outdated() -> Observed {
    let mut seen = settled(3);
    let coordinators = seen.coordinators.as_mut().unwrap();
    for pod in seen.pods.values_mut().chain(coordinators.pods.values_mut()) {
        pod.outdated = true;
    }
    seen
}

/// The coordinator whose pod is deleted.
fn replaced(seen: &Observed) -> Option<Ordinal> {
    decide(seen).steps.iter().find_map(|step| match step {
        Step::ReplaceCoordinator(pod) => Some(pod.coordinator()),
        _ => None,
    })
}

#[test]
fn coordinators_that_do_not_lead_are_replaced_first_and_the_leader_last() {
    let mut seen = outdated();
    let leader = seen.coordinators.as_ref().unwrap().leader.unwrap();
    let standby = Ordinal(1 - leader.0);
    assert_eq!(replaced(&seen), Some(standby));
    // It is there again, of the newest template, and cannot be elected yet.
    let new = Pod { running: true, ..Pod::default() };
    seen.coordinators.as_mut().unwrap().pods.insert(standby, new);
    let decision = decide(&seen);
    assert_eq!(names(&decision), ["Applies"]);
    assert!(decision.waits.unwrap().contains(&format!("coordinator {}", standby.0)));
    seen.coordinators.as_mut().unwrap().pods.get_mut(&standby).unwrap().ready = true;
    let [_, Step::Replace(_)] = &decide(&seen).steps[..] else { panic!("{:?}", decide(&seen)) };
    assert_eq!(replaced(&seen), None);
    for pod in seen.pods.values_mut() {
        pod.outdated = false;
    }
    assert_eq!(replaced(&seen), Some(leader));
}

#[test]
fn an_image_with_which_a_coordinator_does_not_run_takes_that_pod_alone() {
    let mut seen = outdated();
    let leader = seen.coordinators.as_ref().unwrap().leader.unwrap();
    let standby = Ordinal(1 - leader.0);
    seen.coordinators.as_mut().unwrap().pods.insert(standby, Pod::default());
    assert_eq!(names(&decide(&seen)), ["Applies"]);
    // The former image is asked for again.
    let coordinators = seen.coordinators.as_mut().unwrap();
    coordinators.pods.get_mut(&standby).unwrap().outdated = true;
    coordinators.pods.get_mut(&leader).unwrap().outdated = false;
    for pod in seen.pods.values_mut() {
        pod.outdated = false;
    }
    assert_eq!(replaced(&seen), Some(standby));
}

#[test]
fn nothing_is_replaced_while_updates_are_paused() {
    let mut seen = outdated();
    seen.paused = true;
    let decision = decide(&seen);
    assert_eq!(names(&decision), ["Applies"]);
    assert!(decision.waits.unwrap().contains("shards 0, 1 and 2 and coordinators 0 and 1"));
}

#[test]
fn pods_that_serve_are_replaced_at_the_time_of_day_that_is_asked_for_and_sick_ones_at_any() {
    let mut seen = outdated();
    seen.closed = Some("02:00-05:00".parse().unwrap());
    let decision = decide(&seen);
    assert_eq!(names(&decision), ["Applies"]);
    assert!(decision.waits.unwrap().contains("wait for 02:00 to 05:00 UTC: of an older template"));
    let pod = seen.pods.get_mut(&Ordinal(1)).unwrap();
    (pod.running, pod.ready) = (false, false);
    let key = seen.keys[&Ordinal(1)];
    seen.network.as_mut().unwrap().shards.insert(key, Standing::Waiting);
    assert_eq!(names(&decide(&seen)), ["Applies", "ReplacesPod"]);
}

#[test]
fn shards_leave_together_for_an_upgrade_once_one_has_shown_that_it_serves_and_never_half_of_them() {
    let replaced = |seen: &Observed| Replaceable::next(seen).map(Replaceable::shard);
    let mut seen = settled(5);
    seen.at_once = 4;
    seen.pods.values_mut().for_each(|pod| pod.outdated = true);
    assert_eq!(replaced(&seen), Some(Ordinal(4)));
    let stop =
        |seen: &mut Observed, shard| seen.pods.get_mut(&Ordinal(shard)).unwrap().stopping = true;
    stop(&mut seen, 4);
    assert_eq!(replaced(&seen), None, "none of the newest template serves");
    let new = seen.pods.get_mut(&Ordinal(4)).unwrap();
    (new.stopping, new.outdated) = (false, false);
    stop(&mut seen, 3);
    assert_eq!(replaced(&seen), Some(Ordinal(2)));
    stop(&mut seen, 2);
    assert_eq!(replaced(&seen), None, "more than half of five stay");
    // One that is gone, and not back, is no reason for another to go.
    seen.pods.remove(&Ordinal(2));
    assert_eq!(replaced(&seen), None);
    let mut seen = settled(5);
    seen.at_once = 1;
    seen.pods.values_mut().take(4).for_each(|pod| pod.outdated = true);
    stop(&mut seen, 3);
    assert_eq!(replaced(&seen), None, "one at a time, where no more are asked for");
}

#[test]
fn keys_and_lists_that_are_gone_while_pods_run_are_not_made_anew() {
    let mut seen = settled(3);
    seen.keys.remove(&Ordinal(1));
    let decision = decide(&seen);
    assert!(
        decision.steps.is_empty()
            && decision.blocked.unwrap().contains("shard 1 are not in the Secret")
    );
    let mut seen = settled(3);
    seen.lists = None;
    let decision = decide(&seen);
    assert!(decision.steps.is_empty() && decision.blocked.unwrap().contains("from a backup"));
    let mut seen = settled(3);
    seen.coordinators.as_mut().unwrap().keys.remove(&Ordinal(0));
    assert!(decide(&seen).blocked.unwrap().contains("keys of coordinator 0 are not in the Secret"));
}

#[test]
fn a_shard_that_is_to_leave_stays_until_an_epoch_of_the_new_list_runs_without_it() {
    let mut seen = settled(3);
    let leaver = seen.keys[&Ordinal(2)];
    seen.wanted = 2;
    let Lists { newest, .. } = seen.lists.as_mut().unwrap();
    newest.number += 2;
    newest.first_epoch = 8;
    newest.shards.remove(&leaver);
    let network = seen.network.as_mut().unwrap();
    (network.epoch, network.newest_epoch) = (Some(7), 7);
    network.shards.insert(leaver, Standing::Leaving);
    assert_eq!(Drained::beyond_wanted(&seen), None);
    let network = seen.network.as_mut().unwrap();
    (network.epoch, network.newest_epoch) = (Some(8), 8);
    assert_eq!(Drained::beyond_wanted(&seen), None, "it is in a round still");
    seen.network.as_mut().unwrap().shards.insert(leaver, Standing::Released);
    assert!(Drained::beyond_wanted(&seen).is_some());
    // Its key and claim stay until the set keeps fewer pods and its pod is gone.
    assert!(Departed::of(&seen).is_empty());
    seen.replicas = Some(2);
    assert!(Departed::of(&seen).is_empty());
    seen.pods.remove(&Ordinal(2));
    assert_eq!(
        Departed::of(&seen).iter().map(|gone| gone.shard()).collect::<Vec<_>>(),
        [Ordinal(2)]
    );
}

#[test]
fn a_shard_that_is_to_leave_is_told_when_the_others_have_the_list() {
    let mut seen = settled(3);
    let leaver = seen.keys[&Ordinal(2)];
    seen.wanted = 2;
    let Lists { newest, .. } = seen.lists.as_mut().unwrap();
    newest.number += 2;
    newest.shards.remove(&leaver);
    let number = newest.number;
    let told = |seen: &Observed| -> Vec<u16> {
        let steps = decide(seen).steps;
        let told = |step: &Step| match step {
            Step::Tell { shard, .. } => Some(shard.0),
            _ => None,
        };
        steps.iter().filter_map(told).collect()
    };
    assert_eq!(told(&seen), [0, 1]);
    for shard in [0, 1] {
        let pod = seen.pods.get_mut(&Ordinal(shard)).unwrap();
        (pod.told_list, pod.took_list) = (Some(number), Some(number));
    }
    assert_eq!(told(&seen), [2]);
}

#[test]
fn a_resource_is_let_go_when_its_last_shard_has_left() {
    let mut seen = settled(2);
    seen.deleted = true;
    assert_eq!(names(&decide(&seen)), ["Stops"]);
    seen.replicas = Some(0);
    assert_eq!(names(&decide(&seen)), [""; 0]);
    seen.pods.clear();
    assert_eq!(names(&decide(&seen)), ["LetsGo"]);
    assert_eq!(seen.network.map(|network: Network| network.planning), Some(false));
}
