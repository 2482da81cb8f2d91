//! From what is seen to what is done: no input, no output, no memory, no clock.
//!
//! The shards of a list change in this order, and every step is taken only when the one before it is *seen* to be
//! done: keys, pods, the end of the old list, the new list, an epoch of that list, fewer pods, no more keys and claims. So a
//! controller that is killed anywhere and starts again goes on where it was.

mod lists;

use crate::observed::{Observed, Ordinal};
use crate::step::{Departed, Drained, Replaceable, Replicas, Step, named};

/// What is to be done now, and what is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Things to do, in this order. Each may be the last one before the controller is killed.
    pub(crate) steps: Vec<Step>,
    /// Reason for which the next change waits, in words.
    pub(crate) waits: Option<String>,
    /// Reason for which nothing goes on before somebody does something, in words.
    pub(crate) blocked: Option<String>,
}

impl Decision {
    fn step(step: Step) -> Self {
        Self { steps: vec![step], ..Self::default() }
    }

    fn waits(reason: String) -> Self {
        Self { waits: Some(reason), ..Self::default() }
    }

    fn blocked(reason: String) -> Self {
        Self { blocked: Some(reason), ..Self::default() }
    }

    fn then(mut self, next: Self) -> Self {
        self.steps.extend(next.steps);
        self.waits = self.waits.or(next.waits);
        self.blocked = self.blocked.or(next.blocked);
        self
    }

    fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.waits.is_none() && self.blocked.is_none()
    }
}

/// What is to be done by what is seen.
pub(crate) fn decide(seen: &Observed) -> Decision {
    if seen.deleted {
        return depart(seen);
    }
    let keys = coordinator_key(seen).then(keys(seen));
    if !keys.is_settled() {
        return keys;
    }
    if seen.lists.is_none() {
        return lists::first(seen);
    }
    let changes = changes(seen);
    Decision::step(Step::Apply(replicas(seen))).then(changes)
}

fn changes(seen: &Observed) -> Decision {
    let (tell, lists) = (told(seen), lists::change(seen));
    if !lists.is_settled() {
        return tell.then(replace_sick(seen)).then(lists);
    }
    let departed = Departed::of(seen).into_iter().map(Step::Forget).collect();
    let forget = Decision { steps: departed, ..Decision::default() };
    tell.then(forget).then(replace(seen))
}

/// All shards stop, each of which leaves at a hand-over, and then the resource goes. Keys and claims stay.
fn depart(seen: &Observed) -> Decision {
    let stop = match seen.replicas {
        None | Some(0) => Decision::default(),
        Some(_) => Decision::step(Step::Stop),
    };
    if seen.pods.is_empty() {
        return stop.then(Decision::step(Step::LetGo));
    }
    stop.then(Decision::waits(format!("waits for {} shards to leave", seen.pods.len())))
}

/// The coordinator's key, made once: everybody pins its public half.
fn coordinator_key(seen: &Observed) -> Decision {
    match (seen.coordinator_key, seen.coordinator) {
        (Some(false), None) => Decision::step(Step::MakeCoordinatorKey),
        (Some(false), Some(_)) => Decision::blocked(
            "the coordinator's Secret is gone, though its pod runs: put it back from a backup. Shards and clients \
             pin its public key, so another one would be of no use"
                .to_owned(),
        ),
        _ => Decision::default(),
    }
}

/// Keys for shards that have none. A pod whose key is gone runs on with it: another key would be another shard, and
/// the list that names it would find nobody.
fn keys(seen: &Observed) -> Decision {
    let missing: Vec<Ordinal> =
        seen.wanted().filter(|shard| !seen.keys.contains_key(shard)).collect();
    let (lost, new): (Vec<_>, Vec<_>) =
        missing.into_iter().partition(|shard| seen.pods.contains_key(shard));
    if !lost.is_empty() {
        return Decision::blocked(format!(
            "the keys of {} are not in the Secret, though their pods run: put the Secret back from a backup, or \
             delete these pods and their claims, and they become other shards",
            named(&lost)
        ));
    }
    if new.is_empty() { Decision::default() } else { Decision::step(Step::MakeKeys(new)) }
}

/// More pods at once; fewer once those that go are drained. How many pods *run* is no reason for anything.
fn replicas(seen: &Observed) -> Replicas {
    Drained::beyond_wanted(seen).map_or_else(|| Replicas::at_least(seen), Replicas::lowered)
}

/// Pods that do not know of the newest list yet. A node brings a changed file when it likes, within two minutes, and
/// at once when the pod changes.
fn told(seen: &Observed) -> Decision {
    let Some(lists) = &seen.lists else { return Decision::default() };
    let list = lists.newest.number;
    let untold = seen.pods.iter().filter(|(_, pod)| !pod.stopping && pod.told_list != Some(list));
    let steps = untold.map(|(shard, _)| Step::Tell { shard: *shard, list }).collect();
    Decision { steps, ..Decision::default() }
}

/// Pods of an older template that do not serve: nothing waits for them to get well.
fn replace_sick(seen: &Observed) -> Decision {
    if seen.paused {
        return Decision::default();
    }
    if seen.coordinator.is_some_and(|pod| pod.outdated && !pod.running && !pod.stopping) {
        return Decision::step(Step::ReplaceCoordinator);
    }
    Replaceable::sick(seen).map_or_else(Decision::default, |pod| Decision::step(Step::Replace(pod)))
}

/// One pod of an older template, if every shard serves. Whatever does not serve holds up all others.
fn replace(seen: &Observed) -> Decision {
    let sick = replace_sick(seen);
    if !sick.is_settled() {
        return sick;
    }
    if seen.replicas.is_some_and(|replicas| replicas > seen.wanted) {
        return Decision::waits("waits for an epoch without the shards that leave".to_owned());
    }
    let outdated: Vec<Ordinal> = Replaceable::outdated(seen).collect();
    if seen.paused && !outdated.is_empty() {
        return Decision::waits(format!(
            "updates are paused: {} run an older template",
            named(&outdated)
        ));
    }
    if let Some(pod) = Replaceable::next(seen) {
        return Decision::step(Step::Replace(pod));
    }
    let idle: Vec<Ordinal> = seen.wanted().filter(|shard| !seen.serves(*shard)).collect();
    match (idle.as_slice(), outdated.len()) {
        ([], _) => Decision::default(),
        (idle, 0) => Decision::waits(format!("waits for {} to be in an epoch", named(idle))),
        (idle, left) => Decision::waits(format!(
            "waits for {} to be in an epoch before it replaces the next of {left} pods",
            named(idle)
        )),
    }
}

#[cfg(test)]
mod tests;
