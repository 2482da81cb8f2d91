//! From what is seen to what is done: no input, no output, no memory, no clock.
//!
//! The shards of a list change in this order, and every step is taken only when the one before it is *seen* to be
//! done: keys, pods, the end of the old list, the new list, an epoch of that list, fewer pods, no more keys and claims. So a
//! controller that is killed anywhere and starts again goes on where it was.

mod lists;
mod load;

pub(crate) use load::{MOST_HELPFUL, Outlook};

use crate::observed::{Coordinators, Observed, Ordinal};
use crate::step::{
    Departed, Dispensable, Drained, Replaceable, Replicas, Step, named, named_coordinators,
};

/// The actions to take now, and what is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    /// Things to do, in this order. Each may be the last one before the controller is killed.
    pub(crate) steps: Vec<Step>,
    /// Reason for which the next change waits, in words.
    pub(crate) waits: Option<String>,
    /// Reason for which nothing goes on before somebody does something, in words.
    pub(crate) blocked: Option<String>,
    /// The judgement of the load, where the number of shards follows it.
    pub(crate) scaling: Option<Outlook>,
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
        self.scaling = self.scaling.or(next.scaling);
        self
    }

    fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.waits.is_none() && self.blocked.is_none()
    }
}

/// The decision that follows from what is seen.
pub(crate) fn decide(seen: &Observed) -> Decision {
    if seen.deleted {
        return depart(seen);
    }
    let keys = coordinator_keys(seen).then(keys(seen));
    if !keys.is_settled() {
        return keys;
    }
    if seen.lists.is_none() {
        return lists::first(seen);
    }
    let changes = changes(seen);
    let scaled = load::follow(seen, &changes);
    Decision::step(Step::Apply(replicas(seen))).then(awaits(seen)).then(changes).then(scaled)
}

/// Shards that are not started before others can find them.
fn awaits(seen: &Observed) -> Decision {
    let new = |shard: &Ordinal| !seen.pods.contains_key(shard);
    let awaited: Vec<Ordinal> = seen.awaited.iter().copied().filter(new).collect();
    if awaited.is_empty() {
        return Decision::default();
    }
    Decision::waits(format!(
        "waits for the load balancers of {} to have addresses, before these shards start",
        named(&awaited)
    ))
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

/// The coordinators' keys, made once: everybody pins their public halves.
fn coordinator_keys(seen: &Observed) -> Decision {
    let Some(coordinators) = &seen.coordinators else { return Decision::default() };
    let missing = coordinators.wanted().filter(|each| !coordinators.keys.contains(each));
    let missing: Vec<Ordinal> = missing.collect();
    if missing.is_empty() {
        return Decision::default();
    }
    if coordinators.pods.is_empty() {
        return Decision::step(Step::MakeCoordinatorKeys(missing));
    }
    Decision::blocked(format!(
        "keys of {} are not in the Secret, though coordinators run: put the Secret back from a backup. Shards and \
         clients pin public keys, so other ones would be of no use",
        named_coordinators(&missing)
    ))
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
    Drained::beyond_wanted(seen)
        .map_or_else(|| Replicas::at_least(seen), |drained| Replicas::lowered(seen, drained))
}

/// Pods that do not know of the newest list yet. A node brings a changed file when it likes, within two minutes, and
/// at once when the pod changes. Those that leave are told when the others have the list: before that, no epoch could
/// come about without them, and they would be kept.
fn told(seen: &Observed) -> Decision {
    let Some(lists) = &seen.lists else { return Decision::default() };
    let (list, shards) = (lists.newest.number, &lists.newest.shards);
    let stays = |shard: &Ordinal| {
        shards.is_empty() || seen.keys.get(shard).is_some_and(|key| shards.contains(key))
    };
    let mut staying = seen.pods.iter().filter(|(shard, pod)| stays(shard) && pod.running);
    let all_have = staying.all(|(_, pod)| pod.took_list.is_some_and(|taken| taken >= list));
    let untold = seen.pods.iter().filter(|(shard, pod)| {
        !pod.stopping && pod.told_list != Some(list) && (stays(shard) || all_have)
    });
    let steps = untold.map(|(shard, _)| Step::Tell { shard: *shard, list }).collect();
    Decision { steps, ..Decision::default() }
}

/// Pods of an older template that do not serve: nothing waits for them to get well.
fn replace_sick(seen: &Observed) -> Decision {
    if seen.paused {
        return Decision::default();
    }
    if let Some(pod) = Dispensable::sick(seen) {
        return Decision::step(Step::ReplaceCoordinator(pod));
    }
    Replaceable::sick(seen).map_or_else(Decision::default, |pod| Decision::step(Step::Replace(pod)))
}

/// One pod of an older template, those that are missed the least first: coordinators that do not lead, then shards, then
/// the coordinator that leads. Whatever does not serve holds up all others, so a bad image takes one pod.
fn replace(seen: &Observed) -> Decision {
    let sick = replace_sick(seen);
    if !sick.is_settled() {
        return sick;
    }
    if seen.replicas.is_some_and(|replicas| replicas > seen.wanted) {
        return Decision::waits("waits for an epoch without the shards that leave".to_owned());
    }
    if let Some(why) = held_up(seen) {
        return Decision::waits(why);
    }
    if let Some(pod) = Dispensable::standby(seen) {
        return Decision::step(Step::ReplaceCoordinator(pod));
    }
    // Pods of the newest template first show that they run.
    let new = seen.coordinators.iter().flat_map(Coordinators::idle_of_the_newest_template);
    let new: Vec<Ordinal> = new.collect();
    if !new.is_empty() {
        let new = named_coordinators(&new);
        return Decision::waits(format!("waits for {new}, to lead or to be able to"));
    }
    let replaced = replace_shard(seen);
    if !replaced.is_settled() {
        return replaced;
    }
    if let Some(pod) = Dispensable::leader(seen) {
        return Decision::step(Step::ReplaceCoordinator(pod));
    }
    let left: Vec<Ordinal> = seen.coordinators.iter().flat_map(Coordinators::outdated).collect();
    if left.is_empty() {
        return Decision::default();
    }
    Decision::waits(format!(
        "waits to replace {}, until every other coordinator could lead",
        named_coordinators(&left)
    ))
}

/// The reason for which no pod that serves is replaced for now, though some are of an older template.
fn held_up(seen: &Observed) -> Option<String> {
    let outdated = outdated(seen);
    let which = outdated.join(" and ");
    match (seen.paused, seen.closed) {
        _ if outdated.is_empty() => None,
        (true, _) => Some(format!("updates are paused: of an older template: {which}")),
        (false, Some(window)) => {
            Some(format!("updates wait for {window}: of an older template: {which}"))
        }
        (false, None) => None,
    }
}

/// Pods of an older template, in words.
pub(crate) fn outdated(seen: &Observed) -> Vec<String> {
    let shards: Vec<Ordinal> = Replaceable::outdated(seen).collect();
    let coordinators: Vec<Ordinal> =
        seen.coordinators.iter().flat_map(Coordinators::outdated).collect();
    let shards = (!shards.is_empty()).then(|| named(&shards));
    let coordinators = (!coordinators.is_empty()).then(|| named_coordinators(&coordinators));
    shards.into_iter().chain(coordinators).collect()
}

fn replace_shard(seen: &Observed) -> Decision {
    let outdated = Replaceable::outdated(seen).count();
    if let Some(pod) = Replaceable::next(seen) {
        return Decision::step(Step::Replace(pod));
    }
    let idle: Vec<Ordinal> = seen.wanted().filter(|shard| !seen.serves(*shard)).collect();
    match (idle.as_slice(), outdated) {
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
