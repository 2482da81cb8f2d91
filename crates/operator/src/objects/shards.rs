//! The shards: their configurations, their pods, and how many of them a drain takes at once.

use serde_json::{Map, Value, json};

use super::pod::{claim, container, port, template};
use super::{Plan, keys_secret, lists_map, selector};
use crate::resource::ExposureType;

/// A shard that is asked to stop serves until an epoch without it takes over, and ends its round: as long as the chart gives.
const GRACE_S: u32 = 220;

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let mut objects = vec![configurations(plan), set(plan)];
    if plan.spec.shards > 1 {
        objects.push(json!({
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": plan.metadata(&plan.set()),
            "spec": {
                "maxUnavailable": 1,
                "selector": { "matchLabels": selector(plan.name, "shard") },
            },
        }));
    }
    objects
}

fn configurations(plan: &Plan<'_>) -> Value {
    let mut data = Map::new();
    for at in plan.ordinals() {
        data.insert(format!("{}-{at}.toml", plan.set()), json!(configuration(plan, at)));
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": plan.metadata(&plan.set()),
        "data": data,
    })
}

fn configuration(plan: &Plan<'_>, at: u16) -> String {
    let exposure = plan.exposure();
    let (ip, peers, clients) = match exposure.kind {
        ExposureType::Cluster => ("${POD_IP}", 7100, 7101),
        ExposureType::HostPort => ("${HOST_IP}", 7100, 7101),
        ExposureType::NodePort => ("${HOST_IP}", exposure.peers + at, exposure.clients + at),
    };
    format!(
        r#"listen_peers = "0.0.0.0:7100"
listen_clients = "0.0.0.0:7101"
advertise_peers = "{ip}:{peers}"
advertise_clients = "{ip}:{clients}"
identity = "/keys/shard.key"
network = "/network/network.toml"
operator_list = "/operators/{operator}.list"
state = "/state/shard.state"

[coordinator]
address = "{address}"
identity = "{identity}"

[admin]
listen = "0.0.0.0:9100"
"#,
        operator = plan.spec.operator,
        address = plan.coordinator_address(),
        identity = plan.coordinator,
    )
}

fn set(plan: &Plan<'_>) -> Value {
    let name = plan.set();
    json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": plan.metadata(&name),
        "spec": {
            "replicas": plan.replicas,
            "serviceName": format!("{}-peers", plan.name),
            "podManagementPolicy": "Parallel",
            // Pods are deleted one at a time by the controller, which knows when all others are in an epoch.
            "updateStrategy": { "type": "OnDelete" },
            "selector": { "matchLabels": selector(plan.name, "shard") },
            "template": template(plan, "shard", &json!({}), pod(plan)),
            "volumeClaimTemplates": [claim(plan, "shard")],
        },
    })
}

fn pod(plan: &Plan<'_>) -> Value {
    let spread = |key: &str| {
        json!({
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": { "matchLabels": selector(plan.name, "shard") },
        })
    };
    let mut pod = json!({
        "terminationGracePeriodSeconds": GRACE_S,
        "topologySpreadConstraints":
            [spread("kubernetes.io/hostname"), spread("topology.kubernetes.io/zone")],
        "containers": [shard(plan)],
        "volumes": [
            { "name": "config", "configMap": { "name": plan.set() } },
            { "name": "network", "configMap": { "name": plan.spec.network.config_map } },
            { "name": "operators", "configMap": { "name": lists_map(plan.name) } },
            // Readable by the group that the pod runs as.
            { "name": "keys", "secret": { "secretName": keys_secret(plan.name), "defaultMode": 0o440 } },
        ],
    });
    if plan.has_host_ports() {
        pod["affinity"] = json!({ "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution": [{
                "topologyKey": "kubernetes.io/hostname",
                "labelSelector": { "matchLabels": selector(plan.name, "shard") },
            }],
        } });
    }
    pod
}

fn shard(plan: &Plan<'_>) -> Value {
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    let own = json!({
        "args": ["--log", plan.spec.log, "shard", "--config", "/config/$(POD_NAME).toml"],
        "env": [
            field("POD_NAME", "metadata.name"),
            field("POD_IP", "status.podIP"),
            field("HOST_IP", "status.hostIP"),
        ],
        "ports": [
            port(plan, "peers", 7100, "TCP"),
            port(plan, "clients", 7101, "UDP"),
            port(plan, "admin", 9100, "TCP"),
        ],
        "volumeMounts": [
            { "name": "config", "mountPath": "/config", "readOnly": true },
            { "name": "network", "mountPath": "/network", "readOnly": true },
            { "name": "operators", "mountPath": "/operators", "readOnly": true },
            { "name": "state", "mountPath": "/state" },
            // Its own key alone: who breaks into a shard has one.
            { "name": "keys", "mountPath": "/keys/shard.key", "subPathExpr": "$(POD_NAME).key", "readOnly": true },
        ],
    });
    container(plan, "shard", &plan.spec.resources, own)
}
