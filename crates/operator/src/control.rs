//! The loop: look at every resource, decide, do it, tell how it stands.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use antiphon_process::clock::SystemClock;
use antiphon_process::metrics::controller::{FAILURES, HAND_OVERS, LOOK_TIME, LOOKS, STEPS};
use antiphon_process::metrics::labels::{Failure, LookEnding};
use antiphon_wire::Timestamp;
use kube::api::{Api, ListParams};
use kube::{Client, ResourceExt as _};
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use crate::adoption;
use crate::cluster::{Cluster, ClusterError};
use crate::conditions::{self, Told};
use crate::decide::{Decision, decide};
use crate::desk::Desk;
use crate::found::{self, BadKey, Found, Generations};
use crate::lease::Claim;
use crate::lists::{ListsError, Signer};
use crate::look::{self, AGAIN, Look, RESTING, WAITING};
use crate::objects::{self, Plan};
use crate::observed::{Coordinators, Observed, Ordinal, Permille, Scaling};
use crate::refusal::{Accepted, Given, Refusal, accept};
use crate::resource::{
    Condition, ExposureType, MixNetwork, MixNetworkSpec, MixNetworkStatus, OwnCoordinator,
};
use crate::step::{Replicas, Step};

/// Time that one look at all resources may take: then the process ends, and whoever runs it starts it again.
const PASS_WITHIN: Duration = Duration::from_secs(300);
/// Objects that have not changed are applied again after so long, in milliseconds, in case somebody else changed them.
const APPLIED_AGAIN_MS: u64 = 30_000;
/// Rounds beside those of the preparation of an epoch that have to be left for shards to change.
const SPARE_ROUNDS: u32 = 20;

/// The reason for which nothing is done for a resource.
#[derive(Debug, thiserror::Error)]
enum Hindrance {
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Refusal(#[from] Refusal),
    #[error(transparent)]
    Lists(#[from] ListsError),
    #[error(transparent)]
    Key(#[from] BadKey),
    #[error(transparent)]
    Adoption(#[from] adoption::Hindrance),
    #[error("another controller acts now")]
    Deposed,
}

impl Hindrance {
    /// The label under which it is counted. What people have to mend is no failure of the controller's.
    fn failure(&self) -> Failure {
        match self {
            Self::Cluster(error) => look::failure(error),
            Self::Deposed => Failure::Deposed,
            Self::Refusal(_) | Self::Lists(_) | Self::Key(_) | Self::Adoption(_) => {
                Failure::Internal
            }
        }
    }
}

/// Looks after resources until it is dropped.
pub(crate) struct Control {
    client: Client,
    namespace: Option<String>,
    claim: Claim,
    desk: Desk,
    /// The objects that were applied last for each resource: saves requests, and is gone with the process.
    applied: HashMap<String, Applied>,
}

/// The objects that were applied last.
#[derive(Debug)]
struct Applied {
    hash: u64,
    at: Timestamp,
    /// The generations that both sets' specifications had after it: whoever edits one makes another generation of it.
    sets: Generations,
}

impl Applied {
    /// Returns `true` if the same objects need not be applied again, by what is seen of the sets.
    fn holds(&self, hash: u64, seen: &Generations, now: Timestamp) -> bool {
        self.hash == hash && self.sets == *seen && now < self.at.plus_ms(APPLIED_AGAIN_MS)
    }
}

impl Control {
    /// Looks after the resources of `namespace`, or of all.
    pub(crate) fn new(client: Client, namespace: Option<String>, me: String) -> Self {
        let claim = Claim::new(&client, me.clone());
        Self { client, namespace, claim, desk: Desk::new(me), applied: HashMap::new() }
    }

    /// The place where this controller's health is seen.
    pub(crate) const fn desk(&self) -> &Desk {
        &self.desk
    }

    /// Looks again and again. Returns if one look takes too long.
    pub(crate) async fn run(&mut self) {
        loop {
            match timeout(PASS_WITHIN, self.pass()).await {
                Ok(pause) => sleep(pause).await,
                Err(_) => return tracing::error!("one look at all resources took too long"),
            }
        }
    }

    /// Gives up the right to act.
    pub(crate) async fn stop(mut self) {
        self.claim.give_back().await;
    }

    async fn pass(&mut self) -> Duration {
        self.renew().await;
        if !self.claim.may_act() {
            self.desk.note(|health| health.looks.clear());
            return WAITING;
        }
        let mixes: Api<MixNetwork> = match &self.namespace {
            Some(namespace) => Api::namespaced(self.client.clone(), namespace),
            None => Api::all(self.client.clone()),
        };
        let read = mixes.list(&ListParams::default()).await;
        self.desk.asked(&read, SystemClock::now());
        let mixes = match read {
            Ok(list) => list.items,
            Err(error) => {
                tracing::warn!(%error, "cannot read the resources");
                return RESTING;
            }
        };
        let mut looks = BTreeMap::new();
        for mix in &mixes {
            let name = format!("{}/{}", mix.namespace().unwrap_or_default(), mix.name_any());
            looks.insert(name, self.timed_look(mix, &mixes).await);
        }
        let pause = looks.values().map(|look| look.again).min().unwrap_or(RESTING);
        let has_failed = looks.values().any(|look| look.ending == LookEnding::Failed);
        self.desk.note(|health| {
            health.looks = looks;
            health.last_look = if has_failed { health.last_look } else { Some(SystemClock::now()) };
        });
        pause
    }

    /// Renews the Lease if that is due, and notes who holds it.
    async fn renew(&mut self) {
        if self.claim.is_due() {
            let renewed = self.claim.renew().await;
            self.desk.asked(&renewed, SystemClock::now());
            if let Err(error) = renewed {
                tracing::warn!(%error, "cannot renew the Lease");
            }
        }
        let claim = &self.claim;
        self.desk.note(|health| {
            health.holder = claim.holder().map(str::to_owned);
            health.acts_until = claim.acts_until();
        });
    }

    /// Looks at one resource, and counts it.
    async fn timed_look(&mut self, mix: &MixNetwork, all: &[MixNetwork]) -> Look {
        let began = Instant::now();
        let look = self.look_after(mix, all).await.unwrap_or_else(|hindrance| {
            let (name, error) = (mix.name_any(), hindrance.to_string());
            tracing::warn!(%name, error, "nothing is done for now");
            FAILURES.add(hindrance.failure(), 1);
            Look::new(LookEnding::Failed, error)
        });
        LOOKS.add(look.ending, 1);
        LOOK_TIME.record(look.ending, began.elapsed());
        look
    }

    /// One resource. Returns what came of it, and when to look again.
    async fn look_after(
        &mut self,
        mix: &MixNetwork,
        all: &[MixNetwork],
    ) -> Result<Look, Hindrance> {
        let client = self.client.clone();
        let cluster = Cluster::of(&client, mix);
        let found = cluster.read().await?;
        if mix.metadata.deletion_timestamp.is_some() {
            return self.let_go(&cluster, mix, &found).await;
        }
        let (accepted, seen) = match accept_and_see(mix, &found) {
            Ok(accepted_and_seen) => accepted_and_seen,
            Err(hindrance) => {
                let words = hindrance.to_string();
                let conditions = conditions::refused(&words);
                cluster.tell_status(status_of(mix, conditions)).await?;
                return Ok(Look::new(LookEnding::Refused, words));
            }
        };
        if let Err(hindrance) = may_adopt(&cluster, mix, (&found, &accepted)).await? {
            let words = hindrance.to_string();
            cluster.tell_status(status_of(mix, conditions::refused(&words))).await?;
            return Ok(Look::new(LookEnding::Blocked, words));
        }
        cluster.hold(true).await?;
        let decision = decide(&seen);
        for step in &decision.steps {
            if let Some(pause) = self.act(&cluster, mix, (&found, &accepted), step).await? {
                let look = Look::new(LookEnding::Acted, step.to_string());
                return Ok(Look { again: pause, ..look });
            }
        }
        cluster.tell_status(status(mix, all, (&found, &accepted), (&seen, &decision))).await?;
        Ok(Look::of(&decision))
    }

    async fn let_go(
        &mut self,
        cluster: &Cluster<'_>,
        mix: &MixNetwork,
        found: &Found,
    ) -> Result<Look, Hindrance> {
        let name = mix.name_any();
        let (replicas, pods) = (found.replicas(), found.shard_pods(&name));
        let seen = Observed { deleted: true, replicas, pods, ..Observed::default() };
        let decision = decide(&seen);
        for step in &decision.steps {
            self.keep_acting().await?;
            self.tell(cluster, mix, step).await;
            match step {
                Step::Stop => cluster.stop().await?,
                Step::LetGo => cluster.hold(false).await?,
                other => unreachable!("a resource that is deleted is only let go: {other:?}"),
            }
            count(step);
        }
        Ok(Look { again: WAITING, ..Look::of(&decision) })
    }

    /// Takes a step. Returns when to look anew, if what was seen is no reason for further ones.
    async fn act(
        &mut self,
        cluster: &Cluster<'_>,
        mix: &MixNetwork,
        (found, accepted): (&Found, &Accepted),
        step: &Step,
    ) -> Result<Option<Duration>, Hindrance> {
        self.keep_acting().await?;
        self.tell(cluster, mix, step).await;
        match step {
            Step::MakeCoordinatorKeys(coordinators) => {
                cluster.make_coordinator_keys(found, coordinators).await?;
            }
            Step::MakeKeys(shards) => cluster.make_keys(found, shards).await?,
            Step::Sign { list, ended } => {
                cluster.put_list(found, &signer(accepted), list, ended.is_some()).await?;
            }
            Step::Scale { to, .. } => cluster.scale(*to).await?,
            // It is counted if it does anything.
            Step::Apply(replicas) => return self.apply(cluster, mix, found, *replicas).await,
            Step::Tell { shard, list } => cluster.tell(*shard, *list).await?,
            Step::Replace(pod) => cluster.replace(found, pod.shard()).await?,
            Step::ReplaceCoordinator(pod) => {
                cluster.replace_coordinator(found, pod.coordinator()).await?;
            }
            Step::Forget(departed) => cluster.forget(found, departed.shard()).await?,
            Step::Stop | Step::LetGo => unreachable!("the resource is not deleted"),
        }
        count(step);
        Ok(None)
    }

    /// Renews the Lease, which may have to last for many steps. A controller that has lost it meanwhile looks anew.
    async fn keep_acting(&mut self) -> Result<(), Hindrance> {
        if self.claim.may_act() {
            self.renew().await;
        }
        if self.claim.may_act() { Ok(()) } else { Err(Hindrance::Deposed) }
    }

    /// Says what is done, in the log and in an event.
    async fn tell(&self, cluster: &Cluster<'_>, mix: &MixNetwork, step: &Step) {
        if matches!(step, Step::Apply(_) | Step::Tell { .. }) {
            return;
        }
        let (name, what) = (mix.name_any(), step.to_string());
        tracing::info!(%name, "{what}");
        if let Err(error) = cluster.tell_event(step.name(), &what).await {
            tracing::debug!(%error, "cannot tell an event");
        }
    }

    /// Applies all objects, if they are others than the last time, or somebody has edited a set, or that was a while ago.
    /// Returns when to look anew, if that changed a set: which pods are of an older template was seen before.
    async fn apply(
        &mut self,
        cluster: &Cluster<'_>,
        mix: &MixNetwork,
        found: &Found,
        replicas: Replicas,
    ) -> Result<Option<Duration>, Hindrance> {
        let (name, now) = (mix.name_any(), SystemClock::now());
        let keys = found.coordinator_keys(&name)?;
        let plan = Plan {
            name: &name,
            spec: &mix.spec,
            coordinators: &keys.into_values().collect::<Vec<_>>(),
            replicas: replicas.get(),
            outer: &found.outer(&name, replicas.get().max(mix.spec.shards)),
            kinds: &found.kinds,
        };
        let objects = objects::objects(&plan);
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(&objects).unwrap_or_default().hash(&mut hasher);
        let (hash, uid) = (hasher.finish(), mix.uid().unwrap_or_default());
        let seen = found.generations();
        let before = self.applied.get(&uid);
        if before.is_some_and(|applied| applied.holds(hash, &seen, now)) {
            return Ok(None);
        }
        let is_restored = before.is_some_and(|applied| applied.hash == hash);
        let mut sets = Generations::new();
        for object in objects {
            self.keep_acting().await?;
            sets.extend(cluster.apply(object).await?);
        }
        count(&Step::Apply(replicas));
        let is_changed = sets != seen;
        self.applied.insert(uid, Applied { hash, at: now, sets });
        // Whoever edits again and again is answered no faster.
        let pause = if is_restored { WAITING } else { AGAIN };
        Ok(is_changed.then_some(pause))
    }
}

/// Counts a step that was taken.
fn count(step: &Step) {
    STEPS.add(look::counted(step), 1);
    if let Some(change) = look::hand_over(step) {
        HAND_OVERS.add(change, 1);
    }
}

const fn signer(accepted: &Accepted) -> Signer<'_> {
    Signer { network: &accepted.network, operator: accepted.operator, key: &accepted.key }
}

fn accept_and_see(mix: &MixNetwork, found: &Found) -> Result<(Accepted, Observed), Hindrance> {
    let (name, spec) = (mix.name_any(), &mix.spec);
    let network = found.network.as_ref().and_then(|map| map.data.as_ref()?.get("network.toml"));
    let key =
        found.operator_key.as_ref().and_then(|secret| secret.data.as_ref()?.get("operator.key"));
    let given = Given {
        network: network.map(String::as_str),
        operator_key: key.map(|bytes| bytes.0.as_slice()),
        coordinators: found.coordinator_replicas(),
    };
    let accepted = accept(spec, &given)?;
    let lists = match found.lists.as_ref().and_then(|map| map.data.as_ref()) {
        Some(data) => signer(&accepted).read(&spec.operator, data)?,
        None => None,
    };
    let own = spec.coordinator.run.as_ref();
    let epoch = own.map(|own| own.epoch).unwrap_or_default();
    let seen = Observed {
        wanted: spec.shards,
        paused: spec.update.paused,
        closed: accepted.window.filter(|window| !window.holds(SystemClock::now())),
        at_once: spec.update.max_per_hand_over,
        deleted: false,
        // An epoch that is over in no time has no room for both.
        room: u64::from((epoch.prepare_ahead_rounds + SPARE_ROUNDS).min(epoch.rounds / 2)),
        keys: found.public_keys(&name)?,
        lists,
        replicas: found.replicas(),
        pods: found.shard_pods(&name),
        claims: found.claimed(&name),
        awaited: awaited(&name, spec, found),
        coordinators: own.map(|own| coordinators(&name, own, found)).transpose()?,
        network: found.status.as_ref().map(found::network),
        scaling: spec.autoscale.map(|bounds| Scaling {
            least: bounds.min_shards,
            most: bounds.max_shards,
            target: Permille(10 * u32::from(bounds.target_percent)),
        }),
        computing: found.computing.clone(),
    };
    Ok((accepted, seen))
}

/// Sees whether sets that somebody else installed can be taken over as they are. Once they are, they are this controller's own.
async fn may_adopt(
    cluster: &Cluster<'_>,
    mix: &MixNetwork,
    (found, accepted): (&Found, &Accepted),
) -> Result<Result<(), adoption::Hindrance>, Hindrance> {
    let foreign = [&found.set, &found.coordinator_set].into_iter().flatten();
    let foreign: Vec<_> = foreign.filter(|set| adoption::is_foreign(set)).collect();
    if foreign.is_empty() {
        return Ok(Ok(()));
    }
    if let Err(hindrance) = adoption::check(&mix.spec, &accepted.network, found) {
        return Ok(Err(hindrance));
    }
    if adoption::may_replace(mix) {
        return Ok(Ok(()));
    }
    let (name, pods) = (mix.name_any(), found.replicas().unwrap_or(mix.spec.shards));
    let keys = found.coordinator_keys(&name)?;
    let plan = Plan {
        name: &name,
        spec: &mix.spec,
        coordinators: &keys.into_values().collect::<Vec<_>>(),
        replicas: pods,
        outer: &found.outer(&name, pods),
        kinds: &found.kinds,
    };
    let objects = objects::objects(&plan);
    for set in foreign {
        let is_it = |object: &&Value| {
            object["kind"] == "StatefulSet" && object["metadata"]["name"] == set.name_any()
        };
        let Some(object) = objects.iter().find(is_it) else { continue };
        if let Err(hindrance) = adoption::compare(set, &cluster.would_be(object).await?) {
            return Ok(Err(hindrance));
        }
    }
    Ok(Ok(()))
}

/// Shards whose load balancers have no addresses yet, where they have any.
fn awaited(name: &str, spec: &MixNetworkSpec, found: &Found) -> BTreeSet<Ordinal> {
    if spec.exposure.kind != ExposureType::LoadBalancer {
        return BTreeSet::new();
    }
    let outer = found.outer(name, spec.shards);
    outer.into_iter().filter(|(_, outer)| !outer.is_known()).map(|(at, _)| Ordinal(at)).collect()
}

fn coordinators(name: &str, own: &OwnCoordinator, found: &Found) -> Result<Coordinators, BadKey> {
    Ok(Coordinators {
        wanted: own.replicas,
        keys: found.coordinator_keys(name)?.into_keys().collect(),
        pods: found.coordinator_pods(name),
        leader: found.leader,
    })
}

fn status_of(mix: &MixNetwork, conditions: Vec<Condition>) -> MixNetworkStatus {
    MixNetworkStatus {
        observed_generation: mix.metadata.generation.unwrap_or_default(),
        selector: selector_text(&mix.name_any()),
        conditions,
        ..MixNetworkStatus::default()
    }
}

fn selector_text(name: &str) -> String {
    let labels = objects::selector(name, "shard");
    let labels = labels.as_object().into_iter().flatten();
    let texts: Vec<String> = labels
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    texts.join(",")
}

fn status(
    mix: &MixNetwork,
    all: &[MixNetwork],
    (found, accepted): (&Found, &Accepted),
    (seen, decision): (&Observed, &Decision),
) -> MixNetworkStatus {
    let quorum = found.status.as_ref().map(|status| &status.quorum);
    let margin = |quorum: &antiphon_coordinator_core::QuorumStatus| {
        let signed = |weight: u64| i64::try_from(weight).unwrap_or(i64::MAX);
        signed(quorum.present_weight) - signed(quorum.needed_weight)
    };
    let same = all.iter().filter(|other| other.spec.network.id == mix.spec.network.id);
    let mut names: Vec<&str> = same.map(|other| other.spec.operator.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let here = accepted
        .network
        .operators
        .iter()
        .filter(|operator| names.contains(&operator.name.as_str()));
    let told = Told {
        quorum_margin: quorum.map(margin),
        absent: quorum.map_or(&[], |quorum| &quorum.absent),
        weight_here: here.map(|operator| u64::from(operator.weight)).sum(),
    };
    let name = mix.name_any();
    let serving = seen.wanted().filter(|shard| seen.serves(*shard)).count();
    let epoch = found.status.as_ref().and_then(|status| status.epoch.as_ref());
    MixNetworkStatus {
        shards: u16::try_from(serving).unwrap_or(u16::MAX),
        epoch: epoch.map(|epoch| epoch.epoch),
        layers: epoch.map(|epoch| epoch.layers),
        quorum_margin: told.quorum_margin,
        list: conditions::newest_list(seen),
        shard_states: conditions::shards(seen, |shard| {
            format!("{}-{}", objects::set(&name), shard.0)
        }),
        ..status_of(mix, conditions::conditions(seen, decision, &accepted.network, &told))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_somebody_edits_is_applied_again_at_once() {
        let sets = |shards: i64| Generations::from([("mix-shard".to_owned(), shards)]);
        let (hash, at) = (7, Timestamp(1000));
        let applied = Applied { hash, at, sets: sets(3) };
        let soon = at.plus_ms(1);
        assert!(applied.holds(hash, &sets(3), soon));
        assert!(!applied.holds(hash, &sets(4), soon), "somebody edited it");
        assert!(!applied.holds(hash, &Generations::new(), soon), "somebody deleted it");
        assert!(!applied.holds(8, &sets(3), soon), "something else is asked for");
        assert!(!applied.holds(hash, &sets(3), at.plus_ms(APPLIED_AGAIN_MS)));
    }
}
