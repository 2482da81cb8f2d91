//! What an operator asks for.

use std::collections::BTreeMap;

use antiphon_coordinator_core::CoordinatorConfig;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::MixNetworkStatus;

/// An operator's shards in one mix network, and the network's coordinator where it runs here.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "antiphon.dev",
    version = "v1alpha1",
    kind = "MixNetwork",
    namespaced,
    shortname = "mix",
    status = "MixNetworkStatus",
    derive = "PartialEq",
    doc = "An operator's shards in one mix network, and the network's coordinator where it runs here.",
    annotation("helm.sh/resource-policy", "keep"),
    scale(
        spec_replicas_path = ".spec.shards",
        status_replicas_path = ".status.shards",
        label_selector_path = ".status.selector"
    ),
    printcolumn = r#"{"name":"Shards","type":"integer","jsonPath":".spec.shards"}"#,
    printcolumn = r#"{"name":"Serving","type":"integer","jsonPath":".status.shards"}"#,
    printcolumn = r#"{"name":"Epoch","type":"integer","jsonPath":".status.epoch"}"#,
    printcolumn = r#"{"name":"Ready","type":"string","jsonPath":".status.conditions[?(@.type=='Ready')].status"}"#,
    printcolumn = r#"{"name":"What happens","type":"string","jsonPath":".status.conditions[?(@.type=='Progressing')].message"}"#
)]
#[serde(rename_all = "camelCase")]
pub(crate) struct MixNetworkSpec {
    /// The operator's name in the network file. It is on every list, so it never changes.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "operator cannot be changed: it is in every list; make another MixNetwork"
    ))]
    pub(crate) operator: String,
    /// How many shards the operator has in the network. With `autoscale`, the controller writes it: leave it out.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 300))]
    pub(crate) shards: u16,
    /// Have the number of shards follow the load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) autoscale: Option<Autoscale>,
    /// The network file.
    pub(crate) network: NetworkReference,
    /// The key that signs the operator's lists of its shards.
    pub(crate) operator_key: OperatorKey,
    /// The network's coordinators.
    pub(crate) coordinator: Coordinator,
    /// The image with a digest: `repository@sha256:...`.
    pub(crate) image: String,
    /// Take an image by a tag, which can be moved to another program.
    #[serde(default)]
    pub(crate) allow_tags: bool,
    /// When the node pulls the image: IfNotPresent, Always or Never.
    #[serde(default = "if_not_present")]
    pub(crate) image_pull_policy: String,
    /// How clients and other operators' shards reach the pods.
    #[serde(default)]
    pub(crate) exposure: Exposure,
    /// Who may dial and be dialled, beside what every network needs.
    #[serde(default)]
    pub(crate) network_policy: NetworkPolicySettings,
    /// Processors and memory of each shard: limits and requests alike.
    #[serde(default)]
    pub(crate) resources: Resources,
    /// The claims for what keeps a shard from signing twice.
    #[serde(default)]
    pub(crate) state: State,
    /// How new images reach the shards.
    #[serde(default)]
    pub(crate) update: Update,
    /// What the network file has to promise: nothing is started for less.
    #[serde(default)]
    pub(crate) requires: Requirements,
    /// What a Prometheus operator goes by, where the cluster knows its kinds.
    #[serde(default)]
    pub(crate) monitoring: Monitoring,
    /// A collector that is told of every round, as OpenTelemetry traces; nobody is told without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) telemetry: Option<Telemetry>,
    /// What is logged: a level, or levels by module.
    #[serde(default = "info")]
    pub(crate) log: String,
}

/// The network file, and the id that everybody compared.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct NetworkReference {
    /// The ConfigMap that holds the file as `network.toml`.
    pub(crate) config_map: String,
    /// The file's id, in hexadecimal.
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "network.id cannot be changed: another id is another network; make another MixNetwork"
    ))]
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub(crate) id: String,
}

/// The key that signs the operator's lists.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OperatorKey {
    /// The Secret that holds it as `operator.key`.
    pub(crate) secret: String,
}

/// The network's coordinators: here, or elsewhere.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.run) != has(self.join)").message(
    "coordinator needs either run, to have it here, or join, to name it"
))]
pub(crate) struct Coordinator {
    /// They run here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<OwnCoordinator>,
    /// They run elsewhere: all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 16))]
    pub(crate) join: Option<Vec<JoinedCoordinator>>,
}

/// Coordinators that run here.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwnCoordinator {
    /// How many: with two, rounds go on while one of them is down or replaced. Shards know them all, so it never changes.
    #[serde(default = "one")]
    #[x_kube(validation = Rule::new("self == oldSelf").message(
        "coordinator.run.replicas cannot be changed: shards elect one of those that they were started with"
    ))]
    #[schemars(range(min = 1, max = 3))]
    pub(crate) replicas: u16,
    /// The epochs' lengths.
    #[serde(default)]
    pub(crate) epoch: EpochSettings,
    /// Beats that follow each round; a classic network has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) beats: Option<Beats>,
    /// Deadlines of rounds, in milliseconds, where they are not the usual ones.
    #[serde(default)]
    pub(crate) deadlines: Deadlines,
    /// Processors and memory of each.
    #[serde(default)]
    pub(crate) resources: Resources,
}

/// The length of epochs.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct EpochSettings {
    /// Rounds in an epoch.
    #[schemars(range(min = 1, max = 65536))]
    pub(crate) rounds: u32,
    /// The time between the openings of two rounds, in milliseconds.
    #[schemars(range(min = 100))]
    pub(crate) interval_ms: u32,
    /// How many rounds before the end of an epoch the next one is prepared.
    pub(crate) prepare_ahead_rounds: u32,
}

impl Default for EpochSettings {
    fn default() -> Self {
        Self { rounds: 720, interval_ms: 5000, prepare_ahead_rounds: 60 }
    }
}

/// Beats that follow each round, in which its clients send cells over the routes that it left.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Beats {
    /// How many: they have to cover two intervals of rounds.
    #[schemars(range(min = 1))]
    pub(crate) per_round: u16,
    /// The time from one beat to the next, in milliseconds.
    #[serde(default = "beat_ms")]
    #[schemars(range(min = 1))]
    pub(crate) interval_ms: u32,
    /// The time after which each layer of a beat closes, in milliseconds.
    #[serde(default = "beat_layer_ms")]
    #[schemars(range(min = 1))]
    pub(crate) layer_ms: u32,
    /// Bytes of a cell, a multiple of 16.
    #[serde(default = "cell_bytes")]
    #[schemars(range(min = 64, max = 16384))]
    pub(crate) cell_bytes: u16,
    /// The time from a round's opening to its first beat, in milliseconds.
    #[serde(default = "first_beat_ms")]
    pub(crate) first_ms: u32,
}

/// Deadlines as in docs/samples/coordinator.toml, in milliseconds.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(default)]
pub(crate) struct Deadlines {
    /// How long a round is open to clients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) submit_ms: Option<u32>,
    /// How long a shard waits for the batches of one layer, one way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) layer_ms: Option<u32>,
    /// How long a shard waits for filters, for verdicts, and for seal keys.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) verify_ms: Option<u32>,
    /// How long a shard waits for the replies of one layer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reply_ms: Option<u32>,
    /// How long shards have to send their keys for a new epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) contribute_ms: Option<u32>,
    /// How long shards have to sign its document.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) endorse_ms: Option<u32>,
    /// How long a round that is due waits for shards that are not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ready_ms: Option<u32>,
    /// How long the first epoch waits for shards, after a quorum is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) gather_ms: Option<u32>,
    /// The pause after an epoch that did not come about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retry_ms: Option<u32>,
    /// How long shards that come or leave are gathered before an epoch is planned for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hand_over_ms: Option<u32>,
}

/// A section of the coordinator's configuration: keys and numbers.
pub(crate) type Section = (&'static str, Map<String, Value>);

impl OwnCoordinator {
    /// What its configuration says beside ports and files; sections that say nothing are left out.
    pub(crate) fn sections(&self) -> Vec<Section> {
        let EpochSettings { rounds, interval_ms, prepare_ahead_rounds } = self.epoch;
        let epoch = json!({
            "interval_ms": interval_ms, "prepare_ahead_rounds": prepare_ahead_rounds, "rounds": rounds,
        });
        let beats = self.beats.map_or(Value::Null, |beats| {
            json!({
                "cell_bytes": beats.cell_bytes, "first_ms": beats.first_ms, "interval_ms": beats.interval_ms,
                "layer_ms": beats.layer_ms, "per_round": beats.per_round,
            })
        });
        let deadlines = serde_json::to_value(self.deadlines).unwrap_or_default();
        let said = [("beats", beats), ("epoch", epoch), ("deadlines", deadlines)];
        let said = said.into_iter().filter_map(|(name, section)| match section {
            Value::Object(settings) if !settings.is_empty() => Some((name, settings)),
            _ => None,
        });
        said.collect()
    }

    /// The coordinator's settings, as its configuration would have them.
    pub(crate) fn config(&self) -> CoordinatorConfig {
        let usual = CoordinatorConfig::default();
        let Deadlines { submit_ms, layer_ms, verify_ms, reply_ms, .. } = self.deadlines;
        let mut config = CoordinatorConfig {
            epoch_rounds: self.epoch.rounds,
            interval_ms: self.epoch.interval_ms,
            prepare_ahead_rounds: self.epoch.prepare_ahead_rounds,
            submit_ms: submit_ms.unwrap_or(usual.submit_ms),
            layer_ms: layer_ms.unwrap_or(usual.layer_ms),
            verify_ms: verify_ms.unwrap_or(usual.verify_ms),
            reply_ms: reply_ms.unwrap_or(usual.reply_ms),
            ..usual
        };
        if let Some(beats) = self.beats {
            config.beats = beats.per_round;
            config.beat_ms = beats.interval_ms;
            config.beat_layer_ms = beats.layer_ms;
            config.cell_bytes = beats.cell_bytes;
            config.first_beat_ms = beats.first_ms;
        }
        config
    }
}

/// A coordinator that runs elsewhere.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JoinedCoordinator {
    /// Host and port of its endpoint for shards.
    pub(crate) address: String,
    /// Its public key, in hexadecimal.
    #[schemars(regex(pattern = r"^[0-9a-f]{64}$"))]
    pub(crate) identity: String,
    /// Where it shows how the network stands, `http://HOST:PORT`: 9101 where a controller has made it. Whether a shard is in
    /// an epoch is read there.
    #[schemars(regex(pattern = r"^http://"))]
    pub(crate) status: String,
}

/// How the pods are reached.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Exposure {
    /// Whose addresses others dial.
    #[serde(rename = "type")]
    pub(crate) kind: ExposureType,
    /// The kinds of addresses that pods and nodes have.
    #[serde(skip_serializing_if = "Family::is_usual")]
    pub(crate) family: Family,
    /// Annotations of the outer Services: clouds go by them.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
    /// For loadBalancer: the class of the load balancers; the cluster's usual one without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) load_balancer_class: Option<String>,
    /// For nodePort: shard n has this port and n for other shards.
    #[schemars(range(min = 30000, max = 32767))]
    pub(crate) peers: u16,
    /// For nodePort: shard n has this port and n for clients.
    #[schemars(range(min = 30000, max = 32767))]
    pub(crate) clients: u16,
    /// For nodePort: coordinator n has this port and n for shards.
    #[schemars(range(min = 30000, max = 32767))]
    pub(crate) coordinator_shards: u16,
    /// For nodePort: coordinator n has this port and n for clients.
    #[schemars(range(min = 30000, max = 32767))]
    pub(crate) coordinator_clients: u16,
}

impl Default for Exposure {
    fn default() -> Self {
        Self {
            kind: ExposureType::Cluster,
            family: Family::Ipv4,
            annotations: BTreeMap::new(),
            load_balancer_class: None,
            peers: 30100,
            clients: 30400,
            coordinator_shards: 30700,
            coordinator_clients: 30710,
        }
    }
}

/// Whose addresses others dial.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) enum ExposureType {
    /// The pods': from within the cluster alone.
    Cluster,
    /// The nodes', with ports 7100 and 7101: one shard a node.
    HostPort,
    /// The nodes', with ports of their own.
    NodePort,
    /// Those of load balancers, one for each pod and protocol. A shard is started when its own have addresses; where those
    /// change, an epoch with the new ones takes over.
    LoadBalancer,
}

/// Kinds of addresses.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4 alone.
    #[default]
    #[serde(rename = "IPv4")]
    Ipv4,
    /// IPv6 alone.
    #[serde(rename = "IPv6")]
    Ipv6,
    /// Both: shards have an address of each.
    #[serde(rename = "dual")]
    Dual,
}

impl Family {
    fn is_usual(&self) -> bool {
        *self == Self::default()
    }
}

/// A ServiceMonitor and a PrometheusRule.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Monitoring {
    /// Make them.
    pub(crate) enabled: bool,
    /// Labels by which a Prometheus finds them.
    pub(crate) labels: BTreeMap<String, String>,
    /// The time between two scrapes.
    #[schemars(regex(pattern = r"^[1-9][0-9]*(s|m)$"))]
    pub(crate) interval: String,
    /// Make the rules as well.
    pub(crate) rules: bool,
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { enabled: true, labels: BTreeMap::new(), interval: "15s".to_owned(), rules: true }
    }
}

/// A collector of traces.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Telemetry {
    /// Its address for OTLP over HTTP, `http://HOST:PORT`: one on the pod's own node is `http://${HOST_IP}:4318`. There is no
    /// TLS.
    #[schemars(regex(pattern = r"^http://[^/\s]+:[0-9]+/?$"))]
    pub(crate) endpoint: String,
}

impl Telemetry {
    /// The collector's port.
    pub(crate) fn port(&self) -> Option<u16> {
        self.endpoint.trim_end_matches('/').rsplit_once(':')?.1.parse().ok()
    }
}

/// Who may dial and be dialled.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct NetworkPolicySettings {
    /// Namespaces whose pods may reach the admin ports: that of a Prometheus. Whoever reaches them sets what is logged, and
    /// drains shards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(regex(pattern = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$")))]
    pub(crate) admin_from: Vec<String>,
    /// Ports of other operators' shards, to which shards may link beside 7100 and the node ports of this resource.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 300), inner(range(min = 1)))]
    pub(crate) peer_ports: Vec<u16>,
}

/// Processors and memory.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Resources {
    /// Processors: whole ones, since a shard that is throttled costs everybody the round.
    pub(crate) cpu: String,
    /// Memory.
    pub(crate) memory: String,
    /// Processors that are set aside, where they are not as many as may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) cpu_request: Option<String>,
}

impl Default for Resources {
    fn default() -> Self {
        Self { cpu: "1".to_owned(), memory: "1Gi".to_owned(), cpu_request: None }
    }
}

/// Bounds within which the number of shards follows the load.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.minShards <= self.maxShards").message(
    "autoscale.minShards is more than autoscale.maxShards"
))]
pub(crate) struct Autoscale {
    /// The fewest shards, however little there is to do.
    #[schemars(range(min = 1, max = 300))]
    pub(crate) min_shards: u16,
    /// The most shards, however much there is to do.
    #[schemars(range(min = 1, max = 300))]
    pub(crate) max_shards: u16,
    /// How much of what it has a shard should need for its rounds, in percent: of its processors' time, or of the time that
    /// rounds may take, whichever is more.
    #[serde(default = "sixty")]
    #[schemars(range(min = 20, max = 90))]
    pub(crate) target_percent: u8,
}

/// The claims for state.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct State {
    /// The size of each.
    pub(crate) size: String,
    /// Their storage class; the cluster's default without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
}

impl Default for State {
    fn default() -> Self {
        Self { size: "64Mi".to_owned(), storage_class: None }
    }
}

/// How new images reach the shards.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Update {
    /// Replace no pod for now.
    pub(crate) paused: bool,
    /// Replace pods that serve only in this part of the day, in UTC, as `02:00-05:00`. One that does not serve is replaced at
    /// any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]$"))]
    pub(crate) only_between: Option<String>,
    /// How many shards are replaced at one hand-over, once one of the newest template serves: fewer than half of them, as
    /// an operator without more than half of its shards counts as absent.
    #[schemars(range(min = 1, max = 100))]
    pub(crate) max_per_hand_over: u16,
}

impl Default for Update {
    fn default() -> Self {
        Self { paused: false, only_between: None, max_per_hand_over: 1 }
    }
}

/// The least that the network file has to promise.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Requirements {
    /// The least number of operators.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) operators: Option<u16>,
    /// The largest epsilon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) epsilon: Option<f64>,
    /// The largest delta.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) delta: Option<f64>,
}

const fn one() -> u16 {
    1
}

fn beat_ms() -> u32 {
    CoordinatorConfig::default().beat_ms
}

fn beat_layer_ms() -> u32 {
    CoordinatorConfig::default().beat_layer_ms
}

fn cell_bytes() -> u16 {
    CoordinatorConfig::default().cell_bytes
}

fn first_beat_ms() -> u32 {
    CoordinatorConfig::default().first_beat_ms
}

const fn sixty() -> u8 {
    60
}

fn if_not_present() -> String {
    "IfNotPresent".to_owned()
}

fn info() -> String {
    "info".to_owned()
}
