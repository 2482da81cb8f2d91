//! From the cluster's objects and the coordinator's status to what a decision goes by.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_coordinator_core::Status;
use antiphon_process::keyfile;
use antiphon_wire::IdentityKey;
use ed25519_dalek::SigningKey;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret};
use kube::ResourceExt as _;

use crate::objects;
use crate::observed::{self, Network, Ordinal, Standing};

/// Note of a pod: the list that its node was told to bring.
pub(crate) const TOLD_LIST: &str = "antiphon.dev/list";
/// The key of the coordinator's Secret.
pub(crate) const COORDINATOR_KEY: &str = "coordinator.key";

/// The objects that belong to one resource.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) network: Option<ConfigMap>,
    pub(crate) operator_key: Option<Secret>,
    pub(crate) keys: Option<Secret>,
    pub(crate) coordinator_key: Option<Secret>,
    pub(crate) lists: Option<ConfigMap>,
    pub(crate) set: Option<StatefulSet>,
    pub(crate) coordinator_set: Option<StatefulSet>,
    pub(crate) pods: Vec<Pod>,
    pub(crate) coordinator_pod: Option<Pod>,
    pub(crate) claims: Vec<PersistentVolumeClaim>,
    /// What the coordinator answered.
    pub(crate) status: Option<Status>,
    /// The numbers of the lists that shards have taken.
    pub(crate) took_lists: BTreeMap<Ordinal, u32>,
}

/// A Secret with something else in it than keys.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` in the Secret {secret} is no identity key: put the Secret back from a backup")]
pub(crate) struct BadKey {
    key: String,
    secret: String,
}

/// The shard whose pod, key or claim has this name, with what is around its number.
pub(crate) fn ordinal(name: &str, before: &str, after: &str) -> Option<Ordinal> {
    let number = name.strip_prefix(before)?.strip_suffix(after)?;
    let parsed: u16 = number.parse().ok()?;
    (parsed.to_string() == number).then_some(Ordinal(parsed))
}

/// The public half of a key in a Secret.
pub(crate) fn public_key(secret: &Secret, key: &str) -> Result<Option<IdentityKey>, BadKey> {
    let Some(bytes) = secret.data.as_ref().and_then(|data| data.get(key)) else { return Ok(None) };
    let (_, seed) = keyfile::secret_in(&bytes.0)
        .ok_or_else(|| BadKey { key: key.to_owned(), secret: secret.name_any() })?;
    Ok(Some(IdentityKey::of(&SigningKey::from_bytes(&seed))))
}

impl Found {
    /// The public halves of the shards' keys.
    pub(crate) fn public_keys(&self, name: &str) -> Result<BTreeMap<Ordinal, IdentityKey>, BadKey> {
        let Some(secret) = &self.keys else { return Ok(BTreeMap::new()) };
        let before = format!("{}-", objects::set(name));
        let mut keys = BTreeMap::new();
        for key in secret.data.iter().flat_map(BTreeMap::keys) {
            if let Some(shard) = ordinal(key, &before, ".key")
                && let Some(public) = public_key(secret, key)?
            {
                keys.insert(shard, public);
            }
        }
        Ok(keys)
    }

    /// The shards' pods.
    pub(crate) fn shard_pods(&self, name: &str) -> BTreeMap<Ordinal, observed::Pod> {
        let before = format!("{}-", objects::set(name));
        let revision = self.set.as_ref().and_then(update_revision);
        let known = self.pods.iter().filter_map(|pod| {
            let shard = ordinal(&pod.name_any(), &before, "")?;
            let took_list = self.took_lists.get(&shard).copied();
            Some((shard, observed::Pod { took_list, ..seen(pod, revision) }))
        });
        known.collect()
    }

    /// The coordinator's pod.
    pub(crate) fn coordinator(&self) -> Option<observed::Pod> {
        let revision = self.coordinator_set.as_ref().and_then(update_revision);
        self.coordinator_pod.as_ref().map(|pod| seen(pod, revision))
    }

    /// Shards that have a claim.
    pub(crate) fn claimed(&self, name: &str) -> BTreeSet<Ordinal> {
        let before = format!("state-{}-", objects::set(name));
        self.claims.iter().filter_map(|claim| ordinal(&claim.name_any(), &before, "")).collect()
    }

    /// The number of pods that the StatefulSet keeps.
    pub(crate) fn replicas(&self) -> Option<u16> {
        let replicas = self.set.as_ref()?.spec.as_ref()?.replicas.unwrap_or(1);
        u16::try_from(replicas).ok()
    }
}

/// The revision that new pods are made of; `None` until the set's controller has seen the newest template.
fn update_revision(set: &StatefulSet) -> Option<&str> {
    let status = set.status.as_ref()?;
    let current = status.observed_generation == set.metadata.generation;
    status.update_revision.as_deref().filter(|_| current)
}

fn seen(pod: &Pod, revision: Option<&str>) -> observed::Pod {
    let status = pod.status.as_ref();
    let started = |pod: &k8s_openapi::api::core::v1::PodStatus| {
        let containers = pod.container_statuses.iter().flatten();
        containers.into_iter().any(|container| container.started == Some(true))
    };
    let ready = |pod: &k8s_openapi::api::core::v1::PodStatus| {
        let mut conditions = pod.conditions.iter().flatten();
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let made_of = pod.labels().get("controller-revision-hash").map(String::as_str);
    observed::Pod {
        stopping: pod.metadata.deletion_timestamp.is_some(),
        running: status.is_some_and(started),
        ready: status.is_some_and(ready),
        outdated: revision.is_some() && made_of != revision,
        took_list: None,
        told_list: pod.annotations().get(TOLD_LIST).and_then(|number| number.parse().ok()),
    }
}

/// The address of a pod's admin server.
pub(crate) fn admin_address(pod: &Pod) -> Option<String> {
    let ip = pod.status.as_ref()?.pod_ip.as_deref().filter(|ip| !ip.is_empty())?;
    Some(if ip.contains(':') { format!("[{ip}]:9100") } else { format!("{ip}:9100") })
}

/// What a coordinator's status says to a decision.
pub(crate) fn network(status: &Status) -> Network {
    let number = |epoch: &antiphon_coordinator_core::EpochStatus| epoch.epoch;
    let running = status.epoch.as_ref();
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
        rounds_left: running.map_or(0, |epoch| epoch.last_round.saturating_sub(status.rounds.last)),
        unopened: status.rounds.last == 0,
        shards: shards.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
