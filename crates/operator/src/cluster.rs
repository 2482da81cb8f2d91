//! Everything that is read of the cluster or written to it.
//!
//! Keys and lists are written over what was read and nothing else, so that of two controllers one fails. Everything
//! else is applied, with one field manager for objects and one for status: older API servers take the specification
//! from a manager that applies a status.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_coordinator_core::Status;
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_process::keyfile::{self, SecretKind};
use antiphon_wire::IdentityKey;
use ed25519_dalek::SigningKey;
use k8s_openapi::ByteString;
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::{ConfigMap, PersistentVolumeClaim, Pod, Secret, Service};
use k8s_openapi::jiff::Timestamp;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, GroupVersionKind, ListParams, Patch,
    PatchParams, PostParams,
};
use kube::{Client, Resource as _, ResourceExt as _};
use rand::TryRng as _;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::admin;
use crate::found::{self, Found, TOLD_LIST};
use crate::lists::Signer;
use crate::objects::{self, MONITORING};
use crate::observed::{List, Ordinal, Permille};
use crate::resource::{ExposureType, JoinedCoordinator, MixNetwork, MixNetworkStatus};

/// The field manager of objects.
pub(crate) const MANAGER: &str = "antiphon-operator";
/// The field manager of statuses.
const STATUS_MANAGER: &str = "antiphon-operator-status";
/// Holds a resource until its shards have left.
const FINALIZER: &str = "antiphon.dev/shards";
/// The field manager of the number of shards, where that follows the load: an apply that leaves the number out leaves it alone.
const SCALE_MANAGER: &str = "antiphon-operator-autoscale";
const LIST_NUMBER: &str = "antiphon_shard_list_number";
const ROUND_SHARE: &str = "antiphon_shard_round_share";

/// The reason for which the cluster cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClusterError {
    #[error("the API server: {0}")]
    Api(#[from] kube::Error),
    #[error("no randomness: {0}")]
    Entropy(String),
    #[error("an object of this program makes no sense: {0}")]
    Object(String),
}

/// One resource and what belongs to it.
pub(crate) struct Cluster<'a> {
    client: &'a Client,
    mix: &'a MixNetwork,
    namespace: String,
    name: String,
}

impl<'a> Cluster<'a> {
    pub(crate) fn of(client: &'a Client, mix: &'a MixNetwork) -> Self {
        let namespace = mix.namespace().unwrap_or_default();
        Self { client, mix, namespace, name: mix.name_any() }
    }

    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = k8s_openapi::NamespaceResourceScope>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    fn pod_of(&self, shard: Ordinal) -> String {
        format!("{}-{}", objects::set(&self.name), shard.0)
    }

    /// Reads all that a decision goes by.
    pub(crate) async fn read(&self) -> Result<Found, ClusterError> {
        let (name, spec) = (&self.name, &self.mix.spec);
        let component = |component| {
            let labels = "app.kubernetes.io/name=antiphon,app.kubernetes.io/instance";
            ListParams::default()
                .labels(&format!("{labels}={name},app.kubernetes.io/component={component}"))
        };
        let (pods, maps, secrets) =
            (self.api::<Pod>(), self.api::<ConfigMap>(), self.api::<Secret>());
        let sets = self.api::<StatefulSet>();
        let mut found = Found {
            network: maps.get_opt(&spec.network.config_map).await?,
            operator_key: secrets.get_opt(&spec.operator_key.secret).await?,
            keys: secrets.get_opt(&objects::keys_secret(name)).await?,
            coordinator_keys: secrets.get_opt(&objects::coordinator_secret(name)).await?,
            lists: maps.get_opt(&objects::lists_map(name)).await?,
            set: sets.get_opt(&objects::set(name)).await?,
            coordinator_set: sets.get_opt(&objects::coordinator(name)).await?,
            pods: pods.list(&component("shard")).await?.items,
            coordinator_pods: pods.list(&component("coordinator")).await?.items,
            claims: self.api::<PersistentVolumeClaim>().list(&component("shard")).await?.items,
            ..Found::default()
        };
        if spec.exposure.kind == ExposureType::LoadBalancer {
            let labels = "app.kubernetes.io/name=antiphon,app.kubernetes.io/instance";
            let own = ListParams::default().labels(&format!("{labels}={name}"));
            found.services = self.api::<Service>().list(&own).await?.items;
        }
        if spec.monitoring.enabled {
            found.kinds = self.kinds(MONITORING).await?;
        }
        self.ask(&mut found).await;
        Ok(found)
    }

    /// The kinds of a group that the cluster knows.
    async fn kinds(&self, group: &str) -> Result<BTreeSet<String>, ClusterError> {
        match self.client.list_api_group_resources(group).await {
            Ok(known) => Ok(known.resources.into_iter().map(|resource| resource.kind).collect()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(BTreeSet::new()),
            Err(error) => Err(error.into()),
        }
    }

    /// Asks coordinators and shards. Whoever does not answer is not known.
    async fn ask(&self, found: &mut Found) {
        let mut asked = tokio::task::JoinSet::new();
        for (coordinator, address) in self.coordinators(found) {
            asked.spawn(async move { (coordinator, admin::get(&address, "/status").await) });
        }
        let mut highest = None;
        while let Some(answer) = asked.join_next().await {
            let Ok((coordinator, Ok(page))) = answer else { continue };
            let Ok(status) = serde_json::from_str::<Status>(&page) else { continue };
            // One that was deposed and has not noticed has the lower term.
            let term = status.leadership.term;
            if status.leadership.leads() && highest.is_none_or(|highest| term > highest) {
                highest = Some(term);
                found.leader = Some(coordinator);
                found.status = Some(status);
            }
        }
        self.ask_shards(found).await;
    }

    /// The coordinators by number, with the addresses of their admin servers.
    fn coordinators(&self, found: &Found) -> Vec<(Ordinal, String)> {
        if let Some(joined) = &self.mix.spec.coordinator.join {
            let address = |joined: &JoinedCoordinator| {
                let rest = joined.status.trim_start_matches("http://").trim_end_matches('/');
                rest.trim_end_matches("/status").to_owned()
            };
            return (0..).map(Ordinal).zip(joined.iter().map(address)).collect();
        }
        let before = format!("{}-", objects::coordinator(&self.name));
        let pods = found.coordinator_pods.iter();
        let known = pods.filter_map(|pod| {
            Some((found::ordinal(&pod.name_any(), &before, "")?, found::admin_address(pod)?))
        });
        known.collect()
    }

    async fn ask_shards(&self, found: &mut Found) {
        let before = format!("{}-", objects::set(&self.name));
        let mut asked = tokio::task::JoinSet::new();
        for pod in &found.pods {
            if let (Some(shard), Some(address)) =
                (found::ordinal(&pod.name_any(), &before, ""), found::admin_address(pod))
            {
                asked.spawn(async move { (shard, admin::get(&address, "/metrics").await) });
            }
        }
        while let Some(answer) = asked.join_next().await {
            let Ok((shard, Ok(page))) = answer else { continue };
            if let Some(number) = admin::gauge(&page, LIST_NUMBER) {
                // A count of lists, as the shard shows it.
                found.took_lists.insert(shard, number as u32);
            }
            let share = admin::gauge(&page, ROUND_SHARE).and_then(Permille::of);
            found.computing.extend(share.map(|share| (shard, share)));
        }
    }

    /// Adds coordinators' keys to those that were read.
    pub(crate) async fn make_coordinator_keys(
        &self,
        found: &Found,
        coordinators: &[Ordinal],
    ) -> Result<(), ClusterError> {
        let name = objects::coordinator_secret(&self.name);
        let set = objects::coordinator(&self.name);
        self.add_keys(found.coordinator_keys.as_ref(), &name, &set, coordinators).await
    }

    /// Adds shards' keys to those that were read.
    pub(crate) async fn make_keys(
        &self,
        found: &Found,
        shards: &[Ordinal],
    ) -> Result<(), ClusterError> {
        let name = objects::keys_secret(&self.name);
        self.add_keys(found.keys.as_ref(), &name, &objects::set(&self.name), shards).await
    }

    async fn add_keys(
        &self,
        read: Option<&Secret>,
        name: &str,
        set: &str,
        pods: &[Ordinal],
    ) -> Result<(), ClusterError> {
        let is_new = read.is_none();
        let mut secret = read.cloned().unwrap_or_else(|| self.secret(name));
        for pod in pods {
            let (_, file) = new_key()?;
            let data = secret.data.get_or_insert_default();
            data.entry(format!("{set}-{}.key", pod.0)).or_insert_with(|| ByteString(file.to_vec()));
        }
        if is_new {
            self.api().create(&as_manager(), &secret).await?;
        } else {
            self.api().replace(name, &as_manager(), &secret).await?;
        }
        Ok(())
    }

    fn secret(&self, name: &str) -> Secret {
        Secret { metadata: self.kept(name), ..Secret::default() }
    }

    /// Metadata of what outlives the resource: keys and lists.
    fn kept(&self, name: &str) -> kube::core::ObjectMeta {
        let labels = [
            ("app.kubernetes.io/name", "antiphon"),
            ("app.kubernetes.io/instance", self.name.as_str()),
            ("app.kubernetes.io/managed-by", MANAGER),
        ];
        kube::core::ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
            ..kube::core::ObjectMeta::default()
        }
    }

    /// Puts a list in the place of the newest one that was read.
    pub(crate) async fn put_list(
        &self,
        found: &Found,
        signer: &Signer<'_>,
        list: &List,
        ends: bool,
    ) -> Result<(), ClusterError> {
        let name = objects::lists_map(&self.name);
        let empty = BTreeMap::new();
        let before = found.lists.as_ref().and_then(|map| map.data.as_ref()).unwrap_or(&empty);
        let data = Some(signer.data(&self.mix.spec.operator, list, ends, before));
        match found.lists.clone() {
            Some(map) => {
                self.api().replace(&name, &as_manager(), &ConfigMap { data, ..map }).await?
            }
            None => {
                let map = ConfigMap { metadata: self.kept(&name), data, ..ConfigMap::default() };
                self.api().create(&as_manager(), &map).await?
            }
        };
        Ok(())
    }

    /// Applies an object, which goes when the resource goes. Returns its name and generation, if it is a set.
    pub(crate) async fn apply(
        &self,
        mut object: Value,
    ) -> Result<Option<(String, i64)>, ClusterError> {
        object["metadata"]["ownerReferences"] = json!([self.mix.controller_owner_ref(&())]);
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (version, kind, name) = (text("/apiVersion"), text("/kind"), text("/metadata/name"));
        let (group, version) = version.rsplit_once('/').unwrap_or(("", &version));
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, &kind));
        let api: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &self.namespace, &resource);
        let params = PatchParams::apply(MANAGER).force();
        let applied = api.patch(&name, &params, &Patch::Apply(&object)).await?;
        let generation = applied.metadata.generation.filter(|_| kind == "StatefulSet");
        Ok(generation.map(|generation| (name, generation)))
    }

    /// The set as it would become if it was applied. Nothing is written.
    pub(crate) async fn would_be(&self, object: &Value) -> Result<StatefulSet, ClusterError> {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let params = PatchParams::apply(MANAGER).force().dry_run();
        let sets: Api<StatefulSet> = self.api();
        Ok(sets.patch(name, &params, &Patch::Apply(object)).await?)
    }

    /// Has the StatefulSet keep no pods.
    pub(crate) async fn stop(&self) -> Result<(), ClusterError> {
        let none = json!({ "spec": { "replicas": 0 } });
        let params =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let sets: Api<StatefulSet> = self.api();
        sets.patch(&objects::set(&self.name), &params, &Patch::Merge(&none)).await?;
        Ok(())
    }

    /// Asks for another number of shards, if the resource is still the one that was read.
    pub(crate) async fn scale(&self, shards: u16) -> Result<(), ClusterError> {
        let version = self.mix.resource_version();
        let patch =
            json!({ "metadata": { "resourceVersion": version }, "spec": { "shards": shards } });
        let params =
            PatchParams { field_manager: Some(SCALE_MANAGER.to_owned()), ..PatchParams::default() };
        let mixes: Api<MixNetwork> = self.api();
        mixes.patch(&self.name, &params, &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// Notes at a pod which list its node is to bring: a pod that changes has its files brought at once.
    pub(crate) async fn tell(&self, shard: Ordinal, list: u32) -> Result<(), ClusterError> {
        let note = json!({ "metadata": { "annotations": { TOLD_LIST: list.to_string() } } });
        let pods: Api<Pod> = self.api();
        pods.patch(&self.pod_of(shard), &PatchParams::default(), &Patch::Merge(&note)).await?;
        Ok(())
    }

    /// Deletes a shard's pod, if it is still the one that was read.
    pub(crate) async fn replace(&self, found: &Found, shard: Ordinal) -> Result<(), ClusterError> {
        let name = self.pod_of(shard);
        let read = found.pods.iter().find(|pod| pod.name_any() == name);
        self.delete_pod(&name, read).await
    }

    /// Deletes a coordinator's pod, if it is still the one that was read.
    pub(crate) async fn replace_coordinator(
        &self,
        found: &Found,
        coordinator: Ordinal,
    ) -> Result<(), ClusterError> {
        let name = format!("{}-{}", objects::coordinator(&self.name), coordinator.0);
        let read = found.coordinator_pods.iter().find(|pod| pod.name_any() == name);
        self.delete_pod(&name, read).await
    }

    async fn delete_pod(&self, name: &str, read: Option<&Pod>) -> Result<(), ClusterError> {
        let uid = read.and_then(|pod| pod.metadata.uid.clone());
        let preconditions = Some(kube::api::Preconditions { uid, resource_version: None });
        let params = DeleteParams { preconditions, ..DeleteParams::default() };
        let pods: Api<Pod> = self.api();
        pods.delete(name, &params).await?;
        Ok(())
    }

    /// Deletes a shard's key and then its claim. In this order: a key that outlives its claim could sign twice.
    pub(crate) async fn forget(&self, found: &Found, shard: Ordinal) -> Result<(), ClusterError> {
        let key = format!("{}.key", self.pod_of(shard));
        if let Some(mut secret) = found.keys.clone()
            && secret.data.as_mut().is_some_and(|data| data.remove(&key).is_some())
        {
            self.api().replace(&objects::keys_secret(&self.name), &as_manager(), &secret).await?;
        }
        let claims: Api<PersistentVolumeClaim> = self.api();
        let claim = format!("state-{}", self.pod_of(shard));
        match claims.delete(&claim, &DeleteParams::default()).await {
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            other => Ok(other.map(|_| ())?),
        }
    }

    /// Holds the resource until its shards have left, or lets it go.
    pub(crate) async fn hold(&self, holds: bool) -> Result<(), ClusterError> {
        let mut finalizers = self.mix.finalizers().to_vec();
        if finalizers.iter().any(|finalizer| finalizer == FINALIZER) == holds {
            return Ok(());
        }
        if holds {
            finalizers.push(FINALIZER.to_owned());
        } else {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        let version = self.mix.resource_version();
        let patch = json!({ "metadata": { "finalizers": finalizers, "resourceVersion": version } });
        let mixes: Api<MixNetwork> = self.api();
        mixes.patch(&self.name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// Tells how the resource stands, if that has changed.
    pub(crate) async fn tell_status(
        &self,
        mut status: MixNetworkStatus,
    ) -> Result<(), ClusterError> {
        let told = self.mix.status.as_ref();
        let now = written(SystemClock::now());
        for condition in &mut status.conditions {
            let before = told.into_iter().flat_map(|told| &told.conditions);
            let same = before
                .into_iter()
                .find(|told| told.kind == condition.kind && told.status == condition.status);
            condition.last_transition_time =
                same.map_or_else(|| now.clone(), |told| told.last_transition_time.clone());
        }
        if told == Some(&status) {
            return Ok(());
        }
        let patch = json!({ "apiVersion": "antiphon.dev/v1alpha1", "kind": "MixNetwork", "status": status });
        let params = PatchParams::apply(STATUS_MANAGER).force();
        let mixes: Api<MixNetwork> = self.api();
        mixes.patch_status(&self.name, &params, &Patch::Apply(&patch)).await?;
        Ok(())
    }

    /// Tells in an event what was done.
    pub(crate) async fn tell_event(&self, reason: &str, message: &str) -> Result<(), ClusterError> {
        let now = written(SystemClock::now());
        let event = json!({
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": { "generateName": format!("{}-", self.name), "namespace": self.namespace },
            "involvedObject": self.mix.object_ref(&()),
            "reason": reason,
            "message": message,
            "type": "Normal",
            "source": { "component": MANAGER },
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
        });
        let event =
            serde_json::from_value(event).map_err(|e| ClusterError::Object(e.to_string()))?;
        let events: Api<k8s_openapi::api::core::v1::Event> = self.api();
        events.create(&PostParams::default(), &event).await?;
        Ok(())
    }
}

fn as_manager() -> PostParams {
    PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() }
}

/// A new identity key: its public half, and its file.
fn new_key() -> Result<(IdentityKey, Zeroizing<Vec<u8>>), ClusterError> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy()
        .try_fill_bytes(&mut seed[..])
        .map_err(|error| ClusterError::Entropy(error.to_string()))?;
    let public = IdentityKey::of(&SigningKey::from_bytes(&seed));
    Ok((public, keyfile::secret_file(SecretKind::Identity, &seed)))
}

/// A time as the API server writes it.
pub(crate) fn written(time: antiphon_wire::Timestamp) -> String {
    let ms = i64::try_from(time.0).unwrap_or(0);
    let seconds = Timestamp::from_second(ms / 1000).unwrap_or_default();
    seconds.to_string()
}
