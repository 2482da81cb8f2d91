//! From the cluster's objects and the coordinator's status to what a decision goes by.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_coordinator_core::{EpochStatus, Status};
use antiphon_process::keyfile;
use antiphon_wire::IdentityKey;
use ed25519_dalek::SigningKey;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{
    ConfigMap, ContainerStatus, PersistentVolumeClaim, Pod, PodCondition, PodStatus, Secret,
    Service,
};
use kube::ResourceExt as _;

use crate::objects::{self, Outer, outer_service};
use crate::observed::{self, Network, Ordinal, Permille, Standing};

/// Note of a pod: the list that its node was told to bring.
pub(crate) const TOLD_LIST: &str = "antiphon.dev/list";

/// The generations of sets by their names.
pub(crate) type Generations = BTreeMap<String, i64>;

/// The objects that belong to one resource.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) network: Option<ConfigMap>,
    pub(crate) operator_key: Option<Secret>,
    pub(crate) keys: Option<Secret>,
    pub(crate) coordinator_keys: Option<Secret>,
    pub(crate) lists: Option<ConfigMap>,
    pub(crate) set: Option<StatefulSet>,
    pub(crate) coordinator_set: Option<StatefulSet>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) coordinator_pods: Vec<Pod>,
    pub(crate) claims: Vec<PersistentVolumeClaim>,
    /// Services, where shards are reached through load balancers.
    pub(crate) services: Vec<Service>,
    /// The kinds of a Prometheus operator that the cluster knows.
    pub(crate) kinds: BTreeSet<String>,
    /// The answer of the coordinator that leads, and its position.
    pub(crate) status: Option<Status>,
    pub(crate) leader: Option<Ordinal>,
    /// The numbers of the lists that shards have taken.
    pub(crate) took_lists: BTreeMap<Ordinal, u32>,
    /// Load of the shards that tell it.
    pub(crate) computing: BTreeMap<Ordinal, Permille>,
}

/// A Secret with something else in it than keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` in the Secret {secret} is no identity key: put the Secret back from a backup")]
pub(crate) struct BadKey {
    key: String,
    secret: String,
}

/// The shard or coordinator whose pod, key or claim has this name, with what is around its number.
pub(crate) fn ordinal(name: &str, before: &str, after: &str) -> Option<Ordinal> {
    let number = name.strip_prefix(before)?.strip_suffix(after)?;
    let parsed: u16 = number.parse().ok()?;
    (parsed.to_string() == number).then_some(Ordinal(parsed))
}

/// The public half of a key in a Secret.
fn public_key(secret: &Secret, key: &str) -> Result<Option<IdentityKey>, BadKey> {
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(key)) else { return Ok(None) };
    let (_, seed) = keyfile::secret_in(&bytes.0)
        .ok_or_else(|| BadKey { key: key.to_owned(), secret: secret.name_any() })?;
    Ok(Some(IdentityKey::of(&SigningKey::from_bytes(&seed))))
}

impl Found {
    /// The public halves of the shards' keys.
    pub(crate) fn public_keys(&self, name: &str) -> Result<BTreeMap<Ordinal, IdentityKey>, BadKey> {
        public_keys(self.keys.as_ref(), &objects::set(name))
    }

    /// The public halves of the coordinators' keys.
    pub(crate) fn coordinator_keys(
        &self,
        name: &str,
    ) -> Result<BTreeMap<Ordinal, IdentityKey>, BadKey> {
        public_keys(self.coordinator_keys.as_ref(), &objects::coordinator(name))
    }

    /// The shards' pods.
    pub(crate) fn shard_pods(&self, name: &str) -> BTreeMap<Ordinal, observed::Pod> {
        let mut pods = pods_of(&self.pods, self.set.as_ref(), &objects::set(name));
        for (shard, pod) in &mut pods {
            pod.took_list = self.took_lists.get(shard).copied();
        }
        pods
    }

    /// The coordinators' pods.
    pub(crate) fn coordinator_pods(&self, name: &str) -> BTreeMap<Ordinal, observed::Pod> {
        pods_of(&self.coordinator_pods, self.coordinator_set.as_ref(), &objects::coordinator(name))
    }

    /// The addresses of so many shards' load balancers.
    pub(crate) fn outer(&self, name: &str, shards: u16) -> BTreeMap<u16, Outer> {
        let of = |shard: u16, whom: &str| {
            let name = outer_service(name, shard, whom);
            self.services.iter().find(|each| each.name_any() == name).map_or_else(Vec::new, hosts)
        };
        let outer = |shard| Outer { peers: of(shard, "peers"), clients: of(shard, "clients") };
        (0..shards).map(|shard| (shard, outer(shard))).collect()
    }

    /// Shards that have a claim.
    pub(crate) fn claimed(&self, name: &str) -> BTreeSet<Ordinal> {
        let before = format!("state-{}-", objects::set(name));
        self.claims.iter().filter_map(|claim| ordinal(&claim.name_any(), &before, "")).collect()
    }

    /// The generations of both sets.
    pub(crate) fn generations(&self) -> Generations {
        let sets = self.set.iter().chain(&self.coordinator_set);
        sets.filter_map(|set| Some((set.name_any(), set.metadata.generation?))).collect()
    }

    /// The number of shards' pods that are kept.
    pub(crate) fn replicas(&self) -> Option<u16> {
        replicas(self.set.as_ref()?)
    }

    /// The number of coordinators' pods that are kept.
    pub(crate) fn coordinator_replicas(&self) -> Option<u16> {
        replicas(self.coordinator_set.as_ref()?)
    }
}

/// The addresses of a Service's load balancers, in the order in which they are told.
fn hosts(service: &Service) -> Vec<String> {
    let balancers = service.status.as_ref().and_then(|status| status.load_balancer.as_ref());
    let told = balancers.and_then(|balancers| balancers.ingress.as_ref()).into_iter().flatten();
    told.filter_map(|each| each.ip.clone().or_else(|| each.hostname.clone())).collect()
}

fn replicas(set: &StatefulSet) -> Option<u16> {
    u16::try_from(set.spec.as_ref()?.replicas.unwrap_or(1)).ok()
}

/// The public halves of keys in a Secret, which have the names of their pods.
fn public_keys(
    secret: Option<&Secret>,
    set: &str,
) -> Result<BTreeMap<Ordinal, IdentityKey>, BadKey> {
    let Some(secret) = secret else { return Ok(BTreeMap::new()) };
    let before = format!("{set}-");
    let mut keys = BTreeMap::new();
    for key in secret.data.iter().flat_map(BTreeMap::keys) {
        if let Some(number) = ordinal(key, &before, ".key")
            && let Some(public) = public_key(secret, key)?
        {
            keys.insert(number, public);
        }
    }
    Ok(keys)
}

/// Pods of a set by their numbers.
fn pods_of(
    pods: &[Pod],
    set: Option<&StatefulSet>,
    name: &str,
) -> BTreeMap<Ordinal, observed::Pod> {
    let (before, revision) = (format!("{name}-"), set.and_then(update_revision));
    let known = pods.iter().filter_map(|pod| Some((ordinal(&pod.name_any(), &before, "")?, pod)));
    known.map(|(number, pod)| (number, seen(pod, revision))).collect()
}

/// The revision that new pods are made of; `None` until the set's controller has seen the newest template.
fn update_revision(set: &StatefulSet) -> Option<&str> {
    let status = set.status.as_ref()?;
    let current = status.observed_generation == set.metadata.generation;
    status.update_revision.as_deref().filter(|_| current)
}

fn seen(pod: &Pod, revision: Option<&str>) -> observed::Pod {
    let status = pod.status.as_ref();
    let started = |pod: &PodStatus| {
        let containers = pod.container_statuses.iter().flatten();
        containers.into_iter().any(|container| container.started == Some(true))
    };
    let ready = |pod: &PodStatus| {
        let mut conditions = pod.conditions.iter().flatten();
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let made_of = pod.labels().get("controller-revision-hash").map(String::as_str);
    observed::Pod {
        stopping: pod.metadata.deletion_timestamp.is_some(),
        running: status.is_some_and(started),
        failing: status.is_some_and(fails),
        ready: status.is_some_and(ready),
        outdated: revision.is_some() && made_of != revision,
        took_list: None,
        told_list: pod.annotations().get(TOLD_LIST).and_then(|number| number.parse().ok()),
    }
}

/// `true` if a pod's program does not start, or no node takes the pod. One that is being made does not fail.
fn fails(pod: &PodStatus) -> bool {
    let is_refused =
        |condition: &PodCondition| condition.type_ == "PodScheduled" && condition.status == "False";
    let waits_for =
        |container: &ContainerStatus| container.state.as_ref()?.waiting.as_ref()?.reason.clone();
    let is_being_made = |reason: &str| matches!(reason, "ContainerCreating" | "PodInitializing");
    let has_failed = |container: &ContainerStatus| {
        let reason = waits_for(container);
        let ended = container.state.as_ref().is_some_and(|state| state.terminated.is_some());
        ended || reason.is_some_and(|reason| !is_being_made(&reason))
    };
    pod.conditions.iter().flatten().any(is_refused)
        || pod.container_statuses.iter().flatten().any(has_failed)
}

/// The address of a pod's admin server.
pub(crate) fn admin_address(pod: &Pod) -> Option<String> {
    let ip = pod.status.as_ref()?.pod_ip.as_deref().filter(|ip| !ip.is_empty())?;
    Some(if ip.contains(':') { format!("[{ip}]:9100") } else { format!("{ip}:9100") })
}

/// The part of a coordinator's status that decisions go by.
pub(crate) fn network(status: &Status) -> Network {
    let number = |epoch: &EpochStatus| epoch.epoch;
    let running = status.epoch.as_ref();
    let left = |epoch: &EpochStatus| epoch.last_round.saturating_sub(status.rounds.last);
    let run = |epoch: &EpochStatus| (status.rounds.last + 1).saturating_sub(epoch.first_round);
    let next = status.next_epoch.as_ref().map(number);
    let planned = status.planned.as_ref().map(|planned| planned.epoch);
    let standing = |standing: &str| match standing {
        "in_epoch" => Standing::InEpoch,
        "leaving" => Standing::Leaving,
        "released" => Standing::Released,
        _ => Standing::Waiting,
    };
    let shards = status
        .shards
        .iter()
        .filter_map(|shard| Some((shard.shard.parse().ok()?, standing(&shard.standing))));
    Network {
        epoch: running.map(number),
        newest_epoch: [running.map(number), next, planned].into_iter().flatten().max().unwrap_or(0),
        planning: next.is_some() || planned.is_some(),
        rounds_left: running.map_or(0, left),
        rounds_run: running.map_or(0, run),
        took: status.rounds.share().and_then(Permille::of),
        epoch_shards: running.map_or(0, |epoch| u16::try_from(epoch.shards).unwrap_or(u16::MAX)),
        unopened: status.rounds.last == 0,
        shards: shards.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_fails_if_no_node_takes_it_or_its_program_does_not_start_and_not_while_it_is_made() {
        let failing = |status: serde_json::Value| fails(&serde_json::from_value(status).unwrap());
        let container = |state: serde_json::Value| {
            serde_json::json!({ "containerStatuses": [{
                "name": "shard", "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state,
            }] })
        };
        let waits =
            |reason: &str| container(serde_json::json!({ "waiting": { "reason": reason } }));
        assert!(!failing(waits("ContainerCreating")) && !failing(serde_json::json!({})));
        assert!(failing(waits("CrashLoopBackOff")) && failing(waits("ErrImageNeverPull")));
        assert!(failing(container(serde_json::json!({ "terminated": { "exitCode": 1 } }))));
        let unscheduled = serde_json::json!({ "type": "PodScheduled", "status": "False" });
        assert!(failing(serde_json::json!({ "conditions": [unscheduled] })));
        assert!(!failing(container(serde_json::json!({ "running": {} }))));
    }

    #[test]
    fn addresses_of_load_balancers_are_those_that_the_cluster_tells_by_number_or_by_name() {
        let service = |name: &str, told: serde_json::Value| -> Service {
            let status = serde_json::json!({ "loadBalancer": { "ingress": told } });
            let service = serde_json::json!({ "metadata": { "name": name }, "status": status });
            serde_json::from_value(service).unwrap()
        };
        let found = Found {
            services: vec![
                service(
                    "mix-shard-0-peers",
                    serde_json::json!([{ "ip": "192.0.2.1" }, { "ip": "2001:db8::1" }]),
                ),
                service("mix-shard-0-clients", serde_json::json!([{ "hostname": "a.example" }])),
                service("mix-shard-1-peers", serde_json::json!([{ "ip": "192.0.2.9" }])),
                service("mix-shard-1-clients", serde_json::Value::Null),
            ],
            ..Found::default()
        };
        let outer = found.outer("mix", 3);
        assert_eq!(outer[&0].peers, ["192.0.2.1", "2001:db8::1"]);
        assert_eq!(outer[&0].clients, ["a.example"]);
        let known: Vec<u16> =
            outer.iter().filter(|(_, outer)| outer.is_known()).map(|(shard, _)| *shard).collect();
        assert_eq!(known, [0], "one that has only one of both cannot be found");
    }

    #[test]
    fn numbers_are_read_from_names_that_a_set_gives_and_from_no_others() {
        assert_eq!(ordinal("mix-shard-3", "mix-shard-", ""), Some(Ordinal(3)));
        assert_eq!(ordinal("mix-shard-12.key", "mix-shard-", ".key"), Some(Ordinal(12)));
        for other in
            ["mix-shard-03", "mix-shard-", "mix-shard-x", "mix-shard-65536", "mix-shard-+1", "m"]
        {
            assert_eq!(ordinal(other, "mix-shard-", ""), None, "{other}");
        }
    }
}
