//! What a decision asks to be done. Whatever could hurt is made of a proof that only an observation gives.

use std::collections::BTreeSet;
use std::fmt;

use antiphon_wire::IdentityKey;

use crate::observed::{Coordinators, List, Observed, Ordinal, Standing};

/// One thing to do. Done twice, it is as if it was done once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Make identity keys for coordinators that have none.
    MakeCoordinatorKeys(Vec<Ordinal>),
    /// Make identity keys for shards that have none.
    MakeKeys(Vec<Ordinal>),
    /// Sign this list and put it in the place of the newest one.
    Sign { list: List, ended: Option<List> },
    /// Apply all objects, with so many pods.
    Apply(Replicas),
    /// Have all shards stop: whoever deletes the resource wants every one to leave.
    Stop,
    /// Have a pod's node bring it the newest list at once.
    Tell { shard: Ordinal, list: u32 },
    /// Ask for another number of shards than is asked for, as the load has changed.
    Scale { from: u16, to: u16, why: String },
    /// Delete a pod, for a new one to be made of the newest template.
    Replace(Replaceable),
    /// Delete a coordinator's pod, for a new one to be made of the newest template.
    ReplaceCoordinator(Dispensable),
    /// Delete the key and the claim of a shard that is gone.
    Forget(Departed),
    /// Let the resource go: no shard is left.
    LetGo,
}

/// How many pods there are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replicas(u16);

impl Replicas {
    /// As many as asked for, as there are, and as lists name: the end of a list has to be taken by its shards.
    pub(crate) fn at_least(seen: &Observed) -> Self {
        let lists =
            seen.lists.iter().flat_map(|lists| std::iter::once(&lists.newest).chain(&lists.ended));
        let listed: BTreeSet<&IdentityKey> = lists.flat_map(|list| &list.shards).collect();
        let mut named = seen.keys.iter().rev().filter(|(_, key)| listed.contains(key));
        let named = named.next().map_or(0, |(shard, _)| shard.0 + 1);
        Self(seen.replicas.unwrap_or(0).max(startable(seen, seen.wanted.max(named))))
    }

    /// As many as asked for, after all others are drained.
    pub(crate) fn lowered(seen: &Observed, drained: Drained) -> Self {
        Self(startable(seen, drained.0))
    }

    pub(crate) const fn get(self) -> u16 {
        self.0
    }
}

/// So many pods, without new ones whose load balancers have no addresses: a shard has to know where it is reached when it
/// starts. One that runs goes on where it was last reached.
fn startable(seen: &Observed, pods: u16) -> u16 {
    let first = seen.awaited.first().map_or(u16::MAX, |shard| shard.0);
    pods.min(first.max(seen.replicas.unwrap_or(0)))
}

/// Proof that no shard above so many is in an epoch any more, or ever will be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Drained(u16);

impl Drained {
    /// The proof, if all shards beyond those asked for are off the list, an epoch of that list runs, and the
    /// coordinator wants nothing more of them. A coordinator that cannot be asked proves nothing.
    pub(crate) fn beyond_wanted(seen: &Observed) -> Option<Self> {
        let (network, lists) = (seen.network.as_ref()?, seen.lists.as_ref()?);
        let list = &lists.newest;
        let runs = network.epoch.is_some_and(|epoch| epoch >= list.first_epoch);
        if !runs || list.shards.is_empty() {
            return None;
        }
        let kept = (seen.wanted..seen.replicas.unwrap_or(0)).map(Ordinal);
        let mut beyond =
            seen.keys.keys().copied().filter(|shard| shard.0 >= seen.wanted).chain(kept);
        let all_known = list.shards.iter().all(|key| seen.keys.values().any(|known| known == key));
        let drained = |shard: Ordinal| match seen.keys.get(&shard) {
            Some(key) => {
                let standing = network.shards.get(key);
                let is_in_epoch = matches!(standing, Some(Standing::InEpoch | Standing::Leaving));
                !list.shards.contains(key) && !is_in_epoch
            }
            // Which shard it is, nobody knows; none of the list, if those are all known.
            None => !seen.pods.contains_key(&shard) || all_known,
        };
        beyond.all(drained).then_some(Self(seen.wanted))
    }
}

/// Proof that a shard's pod may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replaceable {
    shard: Ordinal,
    sick: bool,
}

impl Replaceable {
    /// An outdated pod that is in no epoch: nobody misses it, and it may never get well.
    pub(crate) fn sick(seen: &Observed) -> Option<Self> {
        let is_sick = |shard: &Ordinal| match &seen.network {
            Some(_) => seen.standing(*shard) != Some(Standing::InEpoch),
            None => !seen.pods[shard].running,
        };
        let mut outdated = seen.pods.iter().filter(|(_, pod)| pod.outdated && !pod.stopping);
        // Those that are to leave, too: the end of a list may have to be taken by them.
        let (shard, _) = outdated.find(|(shard, pod)| !pod.ready && is_sick(shard))?;
        Some(Self { shard: *shard, sick: true })
    }

    /// The outdated pod of the highest number, if every shard serves, or all that do not leave at the same hand-over.
    pub(crate) fn next(seen: &Observed) -> Option<Self> {
        let idle: Vec<Ordinal> = seen.wanted().filter(|shard| !seen.serves(*shard)).collect();
        if !idle.is_empty() && !Self::leave_together(seen, &idle) {
            return None;
        }
        let stays = |shard: &Ordinal| !seen.pods[shard].stopping;
        Some(Self { shard: Self::outdated(seen).filter(stays).last()?, sick: false })
    }

    /// Whether one more shard may leave with these: the newest template has shown that it serves, and more than half of
    /// the operator's shards stay, without which it would count as absent.
    fn leave_together(seen: &Observed, idle: &[Ordinal]) -> bool {
        let most = seen.at_once.min(seen.wanted.saturating_sub(1) / 2);
        let leaves = |shard: &Ordinal| seen.pods.get(shard).is_some_and(|pod| pod.stopping);
        let newest = |shard: Ordinal| seen.serves(shard) && !seen.pods[&shard].outdated;
        idle.len() < usize::from(most) && idle.iter().all(leaves) && seen.wanted().any(newest)
    }

    /// Shards that are to stay, whose pods an older template made.
    pub(crate) fn outdated(seen: &Observed) -> impl Iterator<Item = Ordinal> {
        let outdated = |shard: &Ordinal| seen.pods.get(shard).is_some_and(|pod| pod.outdated);
        seen.wanted().filter(outdated)
    }

    pub(crate) const fn shard(self) -> Ordinal {
        self.shard
    }

    /// `true` if the shard was in no epoch, so that nothing changes for one.
    pub(crate) const fn is_sick(self) -> bool {
        self.sick
    }
}

/// Proof that a coordinator's pod may be deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dispensable {
    coordinator: Ordinal,
    sick: bool,
}

impl Dispensable {
    /// An outdated pod that does not run.
    pub(crate) fn sick(seen: &Observed) -> Option<Self> {
        let coordinators = seen.coordinators.as_ref()?;
        let is_sick = |coordinator: &Ordinal| !coordinators.pods[coordinator].running;
        let coordinator = coordinators.outdated().find(is_sick)?;
        Some(Self { coordinator, sick: true })
    }

    /// An outdated pod of one that does not lead, if another does and every other one could.
    pub(crate) fn standby(seen: &Observed) -> Option<Self> {
        let coordinators = seen.coordinators.as_ref()?;
        let leader = coordinators.leader?;
        let coordinator = coordinators.outdated().find(|coordinator| *coordinator != leader)?;
        Self::beside_others(coordinators, coordinator)
    }

    /// The outdated pod of the one that leads, or of the only one: the last of all, as an image that does not run would
    /// have shown by then.
    pub(crate) fn leader(seen: &Observed) -> Option<Self> {
        let coordinators = seen.coordinators.as_ref()?;
        let leader = coordinators.leader?;
        let all_serve = seen.wanted().all(|shard| seen.serves(shard));
        if !all_serve || Replaceable::outdated(seen).next().is_some() {
            return None;
        }
        let coordinator = coordinators.outdated().find(|coordinator| *coordinator == leader)?;
        Self::beside_others(coordinators, coordinator)
    }

    fn beside_others(coordinators: &Coordinators, coordinator: Ordinal) -> Option<Self> {
        let idle = coordinators.idle();
        let others_could = idle.iter().all(|other| *other == coordinator);
        others_could.then_some(Self { coordinator, sick: false })
    }

    pub(crate) const fn coordinator(self) -> Ordinal {
        self.coordinator
    }
}

/// Proof that a shard is gone: no pod will be made for it, none is left, and no list names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departed(Ordinal);

impl Departed {
    /// The shards that are gone, and of which something is left.
    pub(crate) fn of(seen: &Observed) -> Vec<Self> {
        let (Some(replicas), Some(lists)) = (seen.replicas, &seen.lists) else { return Vec::new() };
        let list = &lists.newest.shards;
        if list.is_empty() {
            return Vec::new();
        }
        let known: BTreeSet<Ordinal> = seen.keys.keys().chain(&seen.claims).copied().collect();
        let is_gone = |shard: &Ordinal| {
            let listed = seen.keys.get(shard).is_some_and(|key| list.contains(key));
            shard.0 >= replicas.max(seen.wanted) && !seen.pods.contains_key(shard) && !listed
        };
        known.into_iter().filter(is_gone).map(Self).collect()
    }

    pub(crate) const fn shard(self) -> Ordinal {
        self.0
    }
}

impl Step {
    /// One word for it, by which events are found.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::MakeCoordinatorKeys(_) | Self::MakeKeys(_) => "MakesKeys",
            Self::Sign { .. } => "SignsList",
            Self::Apply(_) => "Applies",
            Self::Scale { from, to, .. } if *from < *to => "ScalesUp",
            Self::Scale { .. } => "ScalesDown",
            Self::Stop => "Stops",
            Self::Tell { .. } => "BringsList",
            Self::Replace(_) | Self::ReplaceCoordinator(_) => "ReplacesPod",
            Self::Forget(_) => "ForgetsShard",
            Self::LetGo => "LetsGo",
        }
    }
}

impl fmt::Display for Ordinal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MakeCoordinatorKeys(coordinators) => {
                write!(f, "makes keys for {}", named_coordinators(coordinators))
            }
            Self::MakeKeys(shards) => write!(f, "makes keys for {}", named(shards)),
            Self::Sign { list, ended: Some(ended) } => write!(
                f,
                "signs list {}, which ends list {} with epoch {}",
                list.number, ended.number, list.first_epoch
            ),
            Self::Sign { list, ended: None } => write!(
                f,
                "signs list {} with {} shards, from epoch {} on",
                list.number,
                list.shards.len(),
                list.first_epoch
            ),
            Self::Apply(replicas) => write!(f, "applies all objects, with {} pods", replicas.0),
            Self::Scale { from, to, why } => {
                write!(f, "asks for {to} shards in place of {from}: {why}")
            }
            Self::Stop => f.write_str("has all shards leave"),
            Self::Tell { shard, list } => write!(f, "has list {list} brought to {shard}"),
            Self::Replace(Replaceable { shard, sick: true }) => {
                write!(f, "replaces {shard}, which is in no epoch and of an older template")
            }
            Self::Replace(Replaceable { shard, sick: false }) => {
                write!(f, "replaces {shard}, which is of an older template")
            }
            Self::ReplaceCoordinator(Dispensable { coordinator, sick }) => {
                let why = if *sick { "does not run and is" } else { "is" };
                let which = named_coordinators(&[*coordinator]);
                write!(f, "replaces {which}, which {why} of an older template")
            }
            Self::Forget(Departed(shard)) => {
                write!(f, "deletes key and claim of {shard}, which has left")
            }
            Self::LetGo => f.write_str("is done: all shards have left"),
        }
    }
}

/// Shards by their numbers, as people say them.
pub(crate) fn named(shards: &[Ordinal]) -> String {
    numbered("shard", shards)
}

/// Coordinators by their numbers, as people say them.
pub(crate) fn named_coordinators(coordinators: &[Ordinal]) -> String {
    numbered("coordinator", coordinators)
}

fn numbered(what: &str, which: &[Ordinal]) -> String {
    let numbers: Vec<String> = which.iter().map(|each| each.0.to_string()).collect();
    match numbers.as_slice() {
        [] => format!("no {what}"),
        [one] => format!("{what} {one}"),
        [some @ .., last] => format!("{what}s {} and {last}", some.join(", ")),
    }
}

/// Identities of shards by their numbers.
pub(crate) fn identities(
    seen: &Observed,
    shards: impl Iterator<Item = Ordinal>,
) -> BTreeSet<IdentityKey> {
    shards.filter_map(|shard| seen.keys.get(&shard).copied()).collect()
}
