//! The machine alone: shards that are here, what they answer, and which epochs come of it.

use antiphon_wire::{Contribution, EpochDocument, ToShard};

use super::attempt::Phase;
use super::documents::{Done, Fault};
use super::*;
use crate::samples::{
    START, announced, config, document, registration, rules, shard, shard_key, shards, standing,
};

struct World {
    planner: Planner,
    suspensions: Suspensions,
    current: Option<Arc<SignedDocument>>,
    conduct: Conduct,
    last_round: Round,
    now: Timestamp,
    /// What the planner asked for.
    actions: Vec<Action>,
}

impl World {
    /// A network of so many operators of weight 1, whose shards `here` have registered.
    fn new(operators: u8, here: std::ops::Range<u8>) -> Self {
        let rules = rules(operators, config());
        let mut world = Self {
            planner: Planner::new(rules, Marks::default(), START),
            suspensions: Suspensions::default(),
            current: None,
            conduct: Conduct::Going,
            last_round: Round(0),
            now: START,
            actions: Vec::new(),
        };
        here.for_each(|number| world.register(number));
        world
    }

    fn register(&mut self, number: u8) {
        let registration = registration(&self.planner.rules, number);
        self.planner.connect(shard(number));
        let standing = standing(self.now);
        assert!(self.planner.register(self.now, shard(number), registration, standing));
    }

    /// Does all that is due after so many milliseconds.
    fn run_ms(&mut self, ms: u64) {
        self.now = self.now.plus_ms(ms);
        let current = self.current.clone();
        let course = course(current.as_ref(), self.conduct, self.last_round, self.now);
        while self.planner.step(self.now, &course, &self.suspensions) {}
        self.actions.extend(self.planner.drain());
    }

    fn call(&self) -> Call {
        self.planner.attempt().expect("an epoch is on its way").call
    }

    fn contribute(&mut self, number: u8) {
        let Call { epoch, first_round, last_round, .. } = self.call();
        let rounds = (last_round.0 + 1 - first_round.0) as usize;
        let contribution = Contribution {
            epoch,
            first_round,
            identity: shard(number),
            onion_key: [0; 32],
            kem_key: None,
            seal_keys: vec![[0; 32]; rounds],
            proof: [0; 64],
        };
        self.planner.contribute(shard(number), contribution);
    }

    /// The work that was asked for last is done.
    fn finish(&mut self, result: Done) {
        let mut works = self.actions.iter().filter_map(|action| match action {
            Action::Work(work) => Some(work.number),
            _ => None,
        });
        let number = works.next_back().expect("there is work");
        let current = self.current.clone();
        let course = course(current.as_ref(), self.conduct, self.last_round, self.now);
        self.planner.work_done(self.now, &course, WorkDone { number, result });
        self.actions.extend(self.planner.drain());
    }

    /// A document of the epoch on its way.
    fn composed(&self, shards: &[IdentityKey]) -> EpochDocument {
        let Call { epoch, first_round, last_round, .. } = self.call();
        let times = (self.now, self.now.plus_ms(100_000));
        document(&self.planner.rules, epoch.0, (first_round.0, last_round.0), times, shards)
    }

    fn endorse(&mut self, number: u8, document: &EpochDocument) {
        let answer = (document.digest(), document.endorse(&shard_key(number)));
        self.planner.endorse(shard(number), document.epoch, answer);
    }

    /// The epochs called, with how many shards each.
    fn called(&self) -> Vec<(u64, usize)> {
        let called = self.actions.iter().filter_map(|action| match action {
            Action::Send { to, message: ToShard::Call { epoch, .. } } => Some((epoch.0, to.len())),
            _ => None,
        });
        called.collect()
    }

    fn suspended(&self) -> Vec<IdentityKey> {
        let suspended = self.actions.iter().filter_map(|action| match action {
            Action::Suspend { shard, .. } => Some(*shard),
            _ => None,
        });
        suspended.collect()
    }

    fn failures(&self) -> usize {
        let failed =
            |action: &&Action| matches!(action, Action::Notice(Notice::EpochFailed { .. }));
        self.actions.iter().filter(failed).count()
    }

    fn position(&self, which: impl Fn(&Action) -> bool) -> usize {
        self.actions.iter().position(which).expect("it was asked for")
    }
}

fn course(
    current: Option<&Arc<SignedDocument>>,
    conduct: Conduct,
    last_round: Round,
    now: Timestamp,
) -> Course<'_> {
    let (due, began) = (now, START);
    Course {
        conduct,
        current,
        next: None,
        gap_from: None,
        last_round,
        due,
        apart_ms: 1000,
        began,
        took_ms: 0,
        behind_ms: 0,
    }
}

#[test]
fn the_first_epoch_waits_for_all_shards_and_then_for_a_quorum() {
    let mut all = World::new(5, 0..5);
    all.run_ms(0);
    assert_eq!(all.called(), [(1, 5)]);
    let mut most = World::new(5, 0..4);
    most.run_ms(4999);
    assert_eq!(most.called(), []);
    most.run_ms(1);
    assert_eq!(most.called(), [(1, 4)]);
    let mut few = World::new(5, 0..3);
    few.run_ms(60_000);
    few.run_ms(60_000);
    assert_eq!(few.called(), []);
    let waits = |action: &&Action| matches!(action, Action::Notice(Notice::WaitingForQuorum(_)));
    assert_eq!(few.actions.iter().filter(waits).count(), 1, "said once");
}

#[test]
fn an_epoch_is_called_composed_proposed_and_published_in_that_order() {
    let mut world = World::new(5, 0..5);
    world.run_ms(0);
    (0..5).for_each(|number| world.contribute(number));
    world.run_ms(10);
    let document = world.composed(&shards(5));
    world.finish(Done::Composed(Ok(Box::new((document.clone(), Vec::new())))));
    (0..5).for_each(|number| world.endorse(number, &document));
    world.run_ms(10);
    let signatures = (0..5).map(|number| document.endorse(&shard_key(number))).collect();
    let signed = SignedDocument { document, signatures };
    world.finish(Done::Verified(Ok(Box::new(signed.clone()))));
    let called = world
        .position(|action| matches!(action, Action::Send { message: ToShard::Call { .. }, .. }));
    let proposed = world
        .position(|action| matches!(action, Action::Send { message: ToShard::Propose { .. }, .. }));
    let announced = world.position(|action| matches!(action, Action::Announce(_)));
    let published = world
        .position(|action| matches!(action, Action::Send { message: ToShard::Publish { .. }, .. }));
    assert!(called < proposed && proposed < announced && announced < published);
    // The number is durable before a shard hears of it, and so is the document.
    assert!(matches!(world.actions[..called], [.., Action::Persist, Action::Notice(_)]));
    assert!(matches!(world.actions[announced + 1], Action::Persist));
    assert_eq!(world.planner.marks().previous, signed.document.digest());
    assert!(world.planner.attempt().is_none());
}

#[test]
fn a_shard_that_sends_no_keys_sits_out_only_if_a_quorum_remains() {
    let mut world = World::new(5, 0..5);
    world.run_ms(0);
    (0..4).for_each(|number| world.contribute(number));
    world.run_ms(u64::from(config().contribute_ms));
    assert_eq!((world.suspended(), world.failures()), (vec![shard(4)], 0));
    let mut world = World::new(5, 0..5);
    world.run_ms(0);
    (0..3).for_each(|number| world.contribute(number));
    world.run_ms(u64::from(config().contribute_ms));
    assert_eq!((world.suspended(), world.failures()), (vec![], 1));
}

#[test]
fn a_number_is_not_called_again_and_the_wait_between_failures_doubles() {
    let mut world = World::new(5, 0..5);
    let mut waits = Vec::new();
    for epoch in 1..=4 {
        let before = world.now;
        while world.called().len() < epoch {
            world.run_ms(100);
        }
        waits.push(world.now.ms_since(before) / 1000);
        // Nobody sends keys.
        world.run_ms(u64::from(config().contribute_ms));
    }
    assert_eq!(world.called().iter().map(|(epoch, _)| *epoch).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(waits, [0, 1, 2, 4]);
}

#[test]
fn a_shard_that_does_not_sign_sits_out_and_the_next_attempt_follows_at_once() {
    let mut world = World::new(5, 0..5);
    world.run_ms(0);
    (0..5).for_each(|number| world.contribute(number));
    world.run_ms(0);
    let document = world.composed(&shards(5));
    world.finish(Done::Composed(Ok(Box::new((document.clone(), Vec::new())))));
    (1..5).for_each(|number| world.endorse(number, &document));
    world.suspensions.fail(shard(0));
    world.run_ms(u64::from(config().endorse_ms));
    assert_eq!(world.suspended(), [shard(0)]);
    assert_eq!(world.called(), [(1, 5), (2, 4)], "without the one that the suspensions name");
}

#[test]
fn keys_that_are_of_no_use_cost_only_the_shard_that_sent_them() {
    let mut world = World::new(5, 0..5);
    world.run_ms(0);
    (0..5).for_each(|number| world.contribute(number));
    world.run_ms(0);
    let fault = Fault { shard: Some(shard(2)), reason: "a forged proof".to_owned() };
    world.finish(Done::Composed(Err(fault)));
    world.run_ms(0);
    assert_eq!((world.suspended(), world.failures()), (vec![shard(2)], 0));
    let attempt = world.planner.attempt().unwrap();
    assert!(matches!(attempt.phase, Phase::Composing { .. }), "of the keys that are left");
    assert!(!attempt.members.contains(&shard(2)));
}

#[test]
fn a_shard_that_is_lost_while_its_document_is_checked_takes_the_attempt_with_it() {
    let mut world = World::new(5, 0..5);
    world.run_ms(0);
    (0..5).for_each(|number| world.contribute(number));
    world.run_ms(0);
    let document = world.composed(&shards(5));
    world.finish(Done::Composed(Ok(Box::new((document.clone(), Vec::new())))));
    (0..5).for_each(|number| world.endorse(number, &document));
    world.run_ms(0);
    world.planner.leave_out(world.now, &shard(3), "is gone");
    world.run_ms(0);
    assert_eq!(world.failures(), 1);
    // What is still computed for it ends first, and nothing comes of it.
    assert_eq!(world.called().len(), 2);
    world.finish(Done::Verified(Err("nobody waits for this".to_owned())));
    assert_eq!(world.failures(), 1);
}

#[test]
fn the_next_epoch_is_planned_ahead_and_makes_way_for_a_successor() {
    let mut world = World::new(5, 0..5);
    let rules = Arc::clone(&world.planner.rules);
    world.current = Some(announced(&rules, 1, (1, 10), &shards(5)));
    world.planner.marks.last_epoch = Epoch(1);
    world.last_round = Round(6);
    world.run_ms(0);
    assert_eq!(world.called(), []);
    world.last_round = Round(7);
    world.run_ms(0);
    assert_eq!(world.called(), [(2, 5)]);
    assert_eq!(world.call().first_round, Round(11));
    assert!(!world.planner.is_urgent());
    world.conduct = Conduct::Broken;
    world.planner.hurry(world.now);
    world.run_ms(0);
    assert_eq!(world.called(), [(2, 5), (3, 5)]);
    assert_eq!(world.call().first_round, Round(8));
    assert!(world.planner.is_urgent());
}

#[test]
fn a_shard_that_leaves_is_let_go_once_nothing_needs_it() {
    let mut world = World::new(5, 0..5);
    world.planner.leaving(world.now, shard(1));
    let released = |world: &mut World, needed: bool| {
        world.planner.release(&world.suspensions, Conduct::Going, |_| needed);
        let actions = world.planner.drain();
        let release =
            |action: &&Action| matches!(action, Action::Send { message: ToShard::Release, .. });
        actions.iter().filter(release).count()
    };
    assert_eq!(released(&mut world, true), 0);
    assert_eq!(released(&mut world, false), 1);
    assert_eq!(released(&mut world, false), 0, "once");
    world.run_ms(5000);
    assert_eq!(world.called(), [(1, 4)]);
}

#[test]
fn a_shard_that_was_needed_when_it_asked_leaves_once_others_have_come() {
    let mut world = World::new(5, 0..4);
    let answers = |world: &mut World| {
        world.planner.release(&world.suspensions, Conduct::Going, |_| true);
        let said = |action| match action {
            Action::Send { message: ToShard::Needed { .. }, .. } => Some("needed"),
            Action::Send { message: ToShard::Release, .. } => Some("released"),
            _ => None,
        };
        world.planner.drain().into_iter().filter_map(said).collect::<Vec<_>>()
    };
    world.planner.leaving(world.now, shard(1));
    assert_eq!(answers(&mut world), ["needed"]);
    assert_eq!(answers(&mut world), [""; 0], "once");
    let leaving = |world: &World| world.planner.roster.member(&shard(1)).unwrap().is_leaving();
    assert!(!leaving(&world));
    world.register(4);
    assert_eq!(answers(&mut world), [""; 0], "it serves in the epoch that runs");
    assert!(leaving(&world));
    world.planner.release(&world.suspensions, Conduct::Going, |_| false);
    let release =
        |action: &Action| matches!(action, Action::Send { message: ToShard::Release, .. });
    assert_eq!(world.planner.drain().iter().filter(|action| release(action)).count(), 1);
}

#[test]
fn whoever_wants_to_leave_last_is_needed_and_the_others_may_still_leave() {
    let mut world = World::new(5, 0..5);
    let answers = |world: &mut World, conduct| {
        world.planner.release(&world.suspensions, conduct, |_| true);
        let said = |action| match action {
            Action::Send { to, message: ToShard::Needed { reason } } => {
                Some((to[0], String::from_utf8(reason.0).unwrap()))
            }
            _ => None,
        };
        world.planner.drain().into_iter().filter_map(said).collect::<Vec<_>>()
    };
    for number in 1..4 {
        world.planner.leaving(world.now.plus_ms(number), shard(number as u8));
    }
    assert_eq!(answers(&mut world, Conduct::Resuming), [], "the others may be on their way");
    let told = answers(&mut world, Conduct::Going);
    assert!(told.iter().map(|(to, _)| *to).eq([shard(3), shard(2)]), "{told:?}");
    assert!(told[0].1.contains("weight 2 of 5; an epoch takes"), "{told:?}");
    assert_eq!(answers(&mut world, Conduct::Going), [], "once");
    // Asked again, it is told again; and one that stays is no lack any more.
    world.planner.leaving(world.now.plus_ms(9), shard(3));
    assert_eq!(answers(&mut world, Conduct::Going).len(), 1);
    world.planner.staying(shard(1));
    world.planner.leaving(world.now.plus_ms(10), shard(3));
    assert_eq!(answers(&mut world, Conduct::Going), []);
}

#[test]
fn a_restored_epoch_goes_on_when_its_shards_have_its_keys_and_is_abandoned_otherwise() {
    let mut world = World::new(5, 0..0);
    let rules = Arc::clone(&world.planner.rules);
    let current = announced(&rules, 3, (1, 10), &shards(5));
    world.planner.marks.last_epoch = Epoch(3);
    world.conduct = Conduct::Resuming;
    world.current = Some(Arc::clone(&current));
    (0..5).for_each(|number| world.register(number));
    world.planner.roster.note_held(&current);
    world.conduct = Conduct::Resuming;
    let course = course(Some(&current), world.conduct, Round(4), world.now);
    assert!(world.planner.step(world.now, &course, &world.suspensions));
    assert!(world.planner.drain().iter().any(|action| matches!(action, Action::Resume(_))));
    // One that was started again has no keys.
    world.planner.disconnect(&shard(0));
    world.register(0);
    assert!(world.planner.step(world.now, &course, &world.suspensions));
    let abandoned = |action: &Action| matches!(action, Action::Abandon { .. });
    assert!(world.planner.drain().iter().any(abandoned));
}

#[test]
fn an_epoch_follows_one_that_was_given_up_no_later_than_with_the_first_of_its_rounds() {
    let called = |gap_from| {
        let mut world = World::new(5, 0..5);
        let current = announced(&world.planner.rules, 1, (1, 100), &shards(5));
        world.planner.marks.last_epoch = Epoch(2);
        let course =
            Course { gap_from, ..course(Some(&current), Conduct::Going, Round(4), world.now) };
        while world.planner.step(world.now, &course, &world.suspensions) {}
        world.planner.attempt().map(|attempt| attempt.call.first_round)
    };
    assert_eq!(called(None), None);
    assert_eq!(called(Some(Round(6))), Some(Round(6)));
    // There is time enough before, and then there is none.
    assert!(called(Some(Round(90))) < Some(Round(20)));
    assert_eq!(called(Some(Round(3))), Some(Round(5)));
}
