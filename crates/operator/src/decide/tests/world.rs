//! A cluster and a network in a few words: pods come and go when they like, shards take lists by the protocol's
//! rules, and epochs are handed over.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::IdentityKey;
use ed25519_dalek::SigningKey;

use super::super::decide;
use crate::observed::{
    Coordinators, List, Lists, Network, Observed, Ordinal, Permille, Pod, Scaling, Standing,
};
use crate::step::Step;

/// Time that passes when an epoch ends by itself.
pub(super) const EPOCH_ENDS: u8 = 7;

pub(super) const SCALING: Scaling = Scaling { least: 2, most: 6, target: Permille(600) };

/// Something that happens in the world.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happening {
    /// One thing goes on that goes on by itself.
    Time(u8),
    /// A controller looks, does this many steps, and is killed.
    Controller(u8),
    Scale(u16),
    Upgrade,
    /// An image whose program does not run.
    BadImage,
    Pause(bool),
    /// A pod dies without a word.
    Kill(u16),
    CoordinatorAway(bool),
    /// A coordinator's pod dies without a word.
    KillCoordinator(u16),
    /// All shards together have so much to do, in thousandths of one's time; their number follows it.
    Load(u32),
    Delete,
    /// A deleted resource that was let go is applied again.
    Create,
}

#[derive(Clone, Debug, Default)]
struct Running {
    revision: u32,
    running: bool,
    stopping: bool,
    told: Option<u32>,
}

/// The content of a shard's claim.
#[derive(Clone, Copy, Debug, Default)]
struct Signer {
    signed: u64,
    number: u32,
    begins: u64,
}

/// Keys, claims and the newest list.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Kept {
    keys: BTreeMap<Ordinal, IdentityKey>,
    claims: BTreeSet<Ordinal>,
    list: Option<u32>,
}

#[derive(Debug)]
pub(super) struct World {
    wanted: u16,
    paused: bool,
    /// The parts that the user keeps of a resource that is deleted; `None` if it is not.
    deleted: Option<Kept>,
    /// The resource is let go, and the cluster has deleted what it owned.
    gone: bool,
    revision: u32,
    bad: BTreeSet<u32>,
    away: bool,
    made: u8,
    keys: BTreeMap<Ordinal, IdentityKey>,
    /// Their number, and those that have keys and pods.
    coordinators: u16,
    coordinator_keys: BTreeSet<Ordinal>,
    coordinator_pods: BTreeMap<Ordinal, Running>,
    claims: BTreeMap<Ordinal, Signer>,
    lists: Option<Lists>,
    /// All lists with shards, by number: those that shards go by.
    signed: BTreeMap<u32, List>,
    replicas: Option<u16>,
    pods: BTreeMap<Ordinal, Running>,
    epoch: Option<u64>,
    members: BTreeSet<IdentityKey>,
    load: Option<u32>,
}

pub(super) fn identity(seed: u8) -> IdentityKey {
    IdentityKey::of(&SigningKey::from_bytes(&[seed; 32]))
}

impl World {
    /// So many shards, and coordinators; with none, they are somebody else's.
    pub(super) fn new(wanted: u16, coordinators: u16) -> Self {
        Self {
            wanted,
            coordinators,
            coordinator_pods: BTreeMap::new(),
            paused: false,
            deleted: None,
            gone: false,
            revision: 1,
            bad: BTreeSet::new(),
            away: false,
            made: 0,
            keys: BTreeMap::new(),
            coordinator_keys: BTreeSet::new(),
            claims: BTreeMap::new(),
            lists: None,
            signed: BTreeMap::new(),
            replicas: None,
            pods: BTreeMap::new(),
            epoch: None,
            members: BTreeSet::new(),
            load: None,
        }
    }

    pub(super) fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Time(which) => self.time_passes(which),
            Happening::Controller(steps) => {
                self.control(steps.into());
            }
            Happening::Scale(wanted) => self.wanted = wanted,
            Happening::Load(load) => self.load = Some(load),
            Happening::Upgrade => self.revision += 1,
            Happening::BadImage => {
                self.revision += 1;
                self.bad.insert(self.revision);
            }
            Happening::Pause(paused) => self.paused = paused,
            Happening::Kill(shard) => {
                if let Some(pod) = self.pods.get_mut(&Ordinal(shard)) {
                    pod.running = false;
                    self.break_epoch(shard);
                }
            }
            Happening::CoordinatorAway(away) => self.away = away,
            Happening::KillCoordinator(which) => {
                if let Some(pod) = self.coordinator_pods.get_mut(&Ordinal(which)) {
                    pod.running = false;
                }
            }
            Happening::Delete => {
                let kept = self.kept();
                self.deleted.get_or_insert(kept);
            }
            Happening::Create if self.gone => (self.deleted, self.gone) = (None, false),
            Happening::Create => {}
        }
    }

    /// Everything that a deletion leaves.
    fn kept(&self) -> Kept {
        Kept {
            keys: self.keys.clone(),
            claims: self.claims.keys().copied().collect(),
            list: self.lists.as_ref().map(|lists| lists.newest.number),
        }
    }

    /// The epoch breaks off: the next one is planned with who is there.
    fn break_epoch(&mut self, shard: u16) {
        if let Some(key) = self.keys.get(&Ordinal(shard)) {
            self.members.remove(key);
        }
    }

    /// Nothing goes wrong any more, and a good image is asked for.
    pub(super) fn come_to_rest(&mut self) {
        (self.away, self.paused) = (false, false);
        if self.bad.contains(&self.revision) {
            self.revision += 1;
        }
        for _ in 0..150 {
            self.control(usize::MAX);
            // No epoch ends just now, as there is room for a change.
            for which in (0..=u8::MAX).filter(|which| *which != EPOCH_ENDS) {
                self.time_passes(which);
            }
        }
    }

    pub(super) fn what_is_wrong(&self) -> Option<String> {
        if let Some(kept) = &self.deleted {
            return self.what_a_deletion_left(kept);
        }
        let wanted: BTreeSet<Ordinal> = (0..self.wanted).map(Ordinal).collect();
        let keys: BTreeSet<Ordinal> = self.keys.keys().copied().collect();
        let claims: BTreeSet<Ordinal> = self.claims.keys().copied().collect();
        let pods: BTreeSet<Ordinal> = self.pods.keys().copied().collect();
        let identities: BTreeSet<IdentityKey> = self.keys.values().copied().collect();
        let listed = self.lists.as_ref().map(|lists| lists.newest.shards.clone());
        let same = |what: &str, is: bool| (!is).then(|| format!("{what}: {self:?}"));
        same("keys", keys == wanted)
            .or_else(|| same("claims", claims == wanted))
            .or_else(|| same("pods", pods == wanted))
            .or_else(|| same("list", listed.as_ref() == Some(&identities)))
            .or_else(|| same("epoch", self.members == identities))
            .or_else(|| {
                same("coordinators", self.coordinator_pods.len() == usize::from(self.coordinators))
            })
            .or_else(|| {
                let mut pods = self.pods.values().chain(self.coordinator_pods.values());
                same("images", pods.all(|pod| pod.revision == self.revision))
            })
    }

    fn what_a_deletion_left(&self, kept: &Kept) -> Option<String> {
        let same = |what: &str, is: bool| (!is).then(|| format!("{what}: {self:?}"));
        same("let go", self.gone && self.pods.is_empty() && self.coordinator_pods.is_empty())
            .or_else(|| same("epoch", self.members.is_empty()))
            .or_else(|| {
                let left = self.kept();
                // A set that was about to make a pod makes its claim.
                let claims = kept.claims.is_subset(&left.claims);
                same(
                    "keys, claims and lists",
                    claims && left.keys == kept.keys && left.list == kept.list,
                )
            })
    }

    fn key(&self, shard: Ordinal) -> Option<IdentityKey> {
        self.keys.get(&shard).copied()
    }

    fn is_member(&self, shard: Ordinal) -> bool {
        self.key(shard).is_some_and(|key| self.members.contains(&key))
    }

    pub(super) fn observe(&self) -> Observed {
        let pod = |(shard, pod): (&Ordinal, &Running)| {
            let seen = Pod {
                stopping: pod.stopping,
                running: pod.running,
                failing: self.bad.contains(&pod.revision),
                ready: pod.running && self.is_member(*shard),
                outdated: pod.revision != self.revision,
                took_list: self
                    .claims
                    .get(shard)
                    .filter(|_| pod.running)
                    .map(|signer| signer.number),
                told_list: pod.told,
            };
            (*shard, seen)
        };
        Observed {
            awaited: BTreeSet::new(),
            closed: None,
            at_once: 1,
            wanted: self.wanted,
            paused: self.paused,
            deleted: self.deleted.is_some(),
            room: 1,
            keys: self.keys.clone(),
            lists: self.lists.clone(),
            replicas: self.replicas,
            pods: self.pods.iter().map(pod).collect(),
            claims: self.claims.keys().copied().collect(),
            coordinators: (self.coordinators > 0).then(|| self.see_coordinators()),
            network: self.is_led().then(|| self.network()),
            scaling: self.load.map(|_| SCALING),
            computing: self.computing(),
        }
    }

    /// All shards share the load alike.
    fn computing(&self) -> BTreeMap<Ordinal, Permille> {
        let shared = self.load.unwrap_or(0) / self.members.len().max(1) as u32;
        let members = self.keys.keys().filter(|shard| self.is_member(**shard));
        members.map(|shard| (*shard, Permille(shared))).collect()
    }

    /// The coordinator that shards have elected: none while the network is away.
    fn leader(&self) -> Option<Ordinal> {
        let mut running = self.coordinator_pods.iter().filter(|(_, pod)| pod.running);
        let leader = running.next().map(|(which, _)| *which);
        leader.filter(|_| !self.away && self.replicas.is_some())
    }

    /// Without coordinators here, those of somebody else lead.
    fn is_led(&self) -> bool {
        if self.coordinators == 0 { !self.away } else { self.leader().is_some() }
    }

    fn see_coordinators(&self) -> Coordinators {
        let pod = |(which, pod): (&Ordinal, &Running)| {
            let seen = Pod {
                stopping: pod.stopping,
                running: pod.running,
                ready: pod.running,
                outdated: pod.revision != self.revision,
                ..Pod::default()
            };
            (*which, seen)
        };
        Coordinators {
            wanted: self.coordinators,
            keys: self.coordinator_keys.clone(),
            pods: self.coordinator_pods.iter().map(pod).collect(),
            leader: self.leader(),
        }
    }

    fn network(&self) -> Network {
        let registered = self.pods.iter().filter(|(_, pod)| pod.running);
        let standing = |shard: &Ordinal| {
            let leaves = self.leaves(*shard);
            match (self.is_member(*shard), leaves) {
                (true, false) => Standing::InEpoch,
                (true, true) => Standing::Leaving,
                (false, false) => Standing::Waiting,
                (false, true) => Standing::Released,
            }
        };
        let shards = registered.filter_map(|(shard, _)| Some((self.key(*shard)?, standing(shard))));
        Network {
            epoch: self.epoch,
            newest_epoch: self.epoch.unwrap_or(0),
            planning: false,
            rounds_left: 100,
            rounds_run: 100,
            took: self.load.map(|_| Permille(100)),
            epoch_shards: self.members.len() as u16,
            unopened: self.epoch.is_none(),
            shards: shards.collect(),
        }
    }

    /// A shard leaves if it is told to stop, or has taken a list without itself.
    fn leaves(&self, shard: Ordinal) -> bool {
        let stopping = self.pods.get(&shard).is_some_and(|pod| pod.stopping);
        let list = self.claims.get(&shard).and_then(|signer| self.signed.get(&signer.number));
        let off =
            list.is_some_and(|list| !self.key(shard).is_some_and(|key| list.shards.contains(&key)));
        stopping || (off && self.epoch.is_some())
    }

    /// A controller looks and does this many steps at most; returns how many there were.
    pub(super) fn control(&mut self, most: usize) -> usize {
        let steps = if self.gone { Vec::new() } else { decide(&self.observe()).steps };
        let steps: Vec<Step> = steps.into_iter().take(most).collect();
        let done = steps.len();
        for step in steps {
            self.hold_to_account(&step);
            self.act(step);
        }
        done
    }

    /// The end state, whatever the way to it: shards with keys and claims, and the list.
    pub(super) fn end(&self) -> (Kept, BTreeSet<IdentityKey>, u32) {
        let listed = self.lists.as_ref().map(|lists| lists.newest.shards.clone());
        (Kept { list: None, ..self.kept() }, listed.unwrap_or_default(), self.revision)
    }

    /// Sees that nothing was done that must not be, by what is true and not by what was seen.
    fn hold_to_account(&self, step: &Step) {
        let is_of_deletion = matches!(step, Step::Stop | Step::LetGo);
        assert_eq!(is_of_deletion, self.deleted.is_some(), "{step:?} of {self:?}");
        match step {
            Step::LetGo => {
                assert!(self.members.is_empty(), "an epoch needs what would be deleted: {self:?}");
            }
            Step::Apply(replicas) => {
                for shard in replicas.get()..self.replicas.unwrap_or(0) {
                    assert!(!self.is_member(Ordinal(shard)), "an epoch needs {shard}: {self:?}");
                }
            }
            Step::Replace(pod) => {
                let others = (0..self.wanted).map(Ordinal).filter(|shard| *shard != pod.shard());
                let all_serve = others.into_iter().all(|shard| self.is_member(shard));
                assert!(all_serve || !self.is_member(pod.shard()), "two away: {pod:?} {self:?}");
                assert!(!self.paused, "updates are paused");
            }
            Step::ReplaceCoordinator(pod) => {
                let me = pod.coordinator();
                let others = self.coordinator_pods.iter().filter(|(which, _)| **which != me);
                let leads = others.filter(|(_, pod)| pod.running).count() > 0;
                let runs = self.coordinator_pods.get(&me).is_some_and(|pod| pod.running);
                assert!(leads || !runs || self.coordinators == 1, "none leads: {self:?}");
                // The only one, or the one that leads: with an image that has shown that it runs.
                let new = self.pods.values().all(|pod| pod.revision == self.revision);
                let is_last = self.leader() == Some(me) && runs;
                assert!(!is_last || new, "before the shards: {self:?}");
                assert!(!self.paused, "updates are paused");
            }
            Step::Forget(gone) => {
                assert!(!self.pods.contains_key(&gone.shard()), "its pod is there: {self:?}");
                assert!(!self.is_member(gone.shard()), "an epoch needs it: {self:?}");
            }
            Step::Sign { list, .. } => self.check_list(list),
            Step::MakeKeys(shards) => {
                assert!(shards.iter().all(|shard| !self.keys.contains_key(shard)), "{self:?}");
            }
            Step::Scale { to, .. } => {
                assert!((SCALING.least..=SCALING.most).contains(to), "out of bounds: {to}");
                let began = self.lists.as_ref().map_or(0, |lists| lists.newest.first_epoch);
                let is_late = self.epoch.is_some_and(|epoch| epoch >= began + 2);
                let is_within = (SCALING.least..=SCALING.most).contains(&self.wanted);
                assert!(is_late || !is_within, "too soon after the last change: {self:?}");
            }
            _ => {}
        }
    }

    fn check_list(&self, list: &List) {
        let newest = self.lists.as_ref().map_or(0, |lists| lists.newest.number);
        assert!(list.number > newest, "numbers rise");
        let Some(before) = self.signed.values().next_back() else { return };
        if list.shards.is_empty() || list.shards == before.shards {
            return;
        }
        let has_taken = |(shard, key): (&Ordinal, &IdentityKey)| {
            let number = self.claims.get(shard).map_or(0, |signer| signer.number);
            before.shards.contains(key) && number > before.number
        };
        let taken = self.keys.iter().filter(|each| has_taken(*each)).count();
        assert!(2 * taken > before.shards.len(), "without the end of the list before: {self:?}");
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::MakeCoordinatorKeys(coordinators) => self.coordinator_keys.extend(coordinators),
            Step::MakeKeys(shards) => {
                for shard in shards {
                    self.made += 1;
                    self.keys.insert(shard, identity(self.made));
                }
            }
            Step::Sign { list, ended } => {
                if !list.shards.is_empty() {
                    self.signed.insert(list.number, list.clone());
                }
                self.lists = Some(Lists { newest: list, ended });
            }
            Step::Apply(replicas) => self.replicas = Some(replicas.get()),
            Step::Scale { to, .. } => self.wanted = to,
            Step::Tell { shard, list } => {
                if let Some(pod) = self.pods.get_mut(&shard) {
                    pod.told = Some(list);
                }
            }
            Step::Replace(pod) => {
                if let Some(pod) = self.pods.get_mut(&pod.shard()) {
                    pod.stopping = true;
                }
            }
            Step::Forget(gone) => {
                self.keys.remove(&gone.shard());
                self.claims.remove(&gone.shard());
            }
            Step::ReplaceCoordinator(pod) => {
                self.coordinator_pods.remove(&pod.coordinator());
            }
            Step::Stop => self.replicas = Some(0),
            Step::LetGo => {
                self.gone = true;
                self.replicas = None;
                self.coordinator_pods.clear();
            }
        }
    }

    /// The StatefulSet's controller, nodes, shards and the coordinator, one at a time.
    fn time_passes(&mut self, which: u8) {
        let shard = Ordinal(u16::from(which >> 3));
        match which & 7 {
            0 => self.keep_pods(),
            1 | 2 => {
                self.run(shard);
                self.run_coordinator(shard);
            }
            3 | 4 => self.take_list(shard),
            5 => self.end_pod(shard),
            _ => self.hand_over(which == EPOCH_ENDS),
        }
    }

    fn keep_pods(&mut self) {
        let Some(replicas) = self.replicas else { return };
        for shard in (0..replicas).map(Ordinal) {
            let revision = self.revision;
            self.pods.entry(shard).or_insert_with(|| Running { revision, ..Running::default() });
            self.claims.entry(shard).or_default();
        }
        for (shard, pod) in &mut self.pods {
            pod.stopping |= shard.0 >= replicas;
        }
        for which in (0..self.coordinators).map(Ordinal) {
            let running = Running { revision: self.revision, ..Running::default() };
            self.coordinator_pods.entry(which).or_insert(running);
        }
    }

    fn run_coordinator(&mut self, which: Ordinal) {
        if let Some(pod) = self.coordinator_pods.get_mut(&which) {
            pod.running = !self.bad.contains(&pod.revision);
        }
    }

    fn run(&mut self, shard: Ordinal) {
        if let Some(pod) = self.pods.get_mut(&shard) {
            pod.running = !self.bad.contains(&pod.revision);
        }
    }

    /// By the rules of the protocol, whether or not the node was told.
    fn take_list(&mut self, shard: Ordinal) {
        let (Some(lists), Some(signer)) = (&self.lists, self.claims.get_mut(&shard)) else {
            return;
        };
        let newest = &lists.newest;
        // Shards on a list know of epochs without them.
        if signer.begins <= self.epoch.unwrap_or(0) {
            signer.signed = signer.signed.max(signer.begins.saturating_sub(1));
        }
        let is_new = newest.number > signer.number;
        let early = signer.number > 0 && newest.first_epoch <= signer.signed;
        let pending = signer.number > 0 && signer.begins > signer.signed + 1;
        let other = pending && newest.first_epoch != signer.begins;
        let one_at_a_time = other && (signer.signed > 0 || newest.first_epoch < signer.begins);
        let runs = self.pods.get(&shard).is_some_and(|pod| pod.running);
        if runs && is_new && !early && !one_at_a_time {
            if other {
                signer.signed = newest.first_epoch - 1;
            }
            (signer.number, signer.begins) = (newest.number, newest.first_epoch);
        }
    }

    fn end_pod(&mut self, shard: Ordinal) {
        let stopping = self.pods.get(&shard).is_some_and(|pod| pod.stopping);
        if stopping && !self.is_member(shard) {
            self.pods.remove(&shard);
        }
    }

    /// An epoch of those who go by one list, if they are more than half of it.
    fn hand_over(&mut self, ends: bool) {
        let epoch = self.epoch.unwrap_or(0) + 1;
        let holds = |list: &&List| list.first_epoch <= epoch && epoch <= list.last_epoch;
        let chosen = self.signed.values().rev().filter(holds).find_map(|list| {
            let goes_by = |shard: &Ordinal| {
                let signer = self.claims.get(shard).copied().unwrap_or_default();
                // A list that is still to begin leaves the one before it in use.
                let begun = signer.begins <= epoch;
                if begun { signer.number == list.number } else { signer.number > list.number }
            };
            let is_there = |(shard, key): &(&Ordinal, &IdentityKey)| {
                list.shards.contains(key)
                    && self.pods.get(shard).is_some_and(|pod| pod.running)
                    && !self.leaves(**shard)
                    && goes_by(shard)
            };
            let there: BTreeSet<Ordinal> =
                self.keys.iter().filter(is_there).map(|(shard, _)| *shard).collect();
            (2 * there.len() > list.shards.len()).then_some(there)
        });
        let Some(there) = chosen else {
            // Those that leave are let go where no epoch can come about without them.
            let left = self.pods.keys().filter(|shard| self.leaves(**shard));
            let left: Vec<_> = left.filter_map(|shard| self.key(*shard)).collect();
            self.members.retain(|member| !left.contains(member));
            return;
        };
        let members: BTreeSet<_> = there.iter().filter_map(|shard| self.key(*shard)).collect();
        // As long as nobody comes or goes, the one that runs goes on.
        if !ends && self.epoch.is_some() && members == self.members {
            return;
        }
        self.epoch = Some(epoch);
        self.members = members;
        for shard in there {
            if let Some(signer) = self.claims.get_mut(&shard) {
                signer.signed = epoch;
            }
        }
    }
}
