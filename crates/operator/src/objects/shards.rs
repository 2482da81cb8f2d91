//! The shards: their configurations, their pods, and how many of them a drain takes at once.

use serde_json::{Map, Value, json};

use super::pod::{budget, claim, container, field, port, spread, template};
use super::{KnownCoordinator, Plan, grace, keys_secret, lists_map, selector};
use crate::resource::ExposureType;

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let mut objects = vec![configurations(plan), set(plan)];
    if plan.spec.shards > 1 {
        objects.push(budget(plan, "shard"));
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
    let section = |KnownCoordinator { address, identity }: KnownCoordinator| {
        format!("[[coordinator]]\naddress = \"{address}\"\nidentity = \"{identity}\"\n\n")
    };
    let coordinators: String = plan.coordinators().into_iter().map(section).collect();
    format!(
        r#"listen_peers = "0.0.0.0:7100"
listen_clients = "0.0.0.0:7101"
advertise_peers = "{ip}:{peers}"
advertise_clients = "{ip}:{clients}"
identity = "/keys/shard.key"
network = "/network/network.toml"
operator_list = "/operators/{operator}.list"
state = "/state/shard.state"

{coordinators}[admin]
listen = "0.0.0.0:9100"
"#,
        operator = plan.spec.operator,
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
    let mut pod = json!({
        "terminationGracePeriodSeconds": grace::of_shards_s(plan.spec.coordinator.run.as_ref()),
        "containers": [shard(plan)],
        "volumes": [
            { "name": "config", "configMap": { "name": plan.set() } },
            { "name": "network", "configMap": { "name": plan.spec.network.config_map } },
            { "name": "operators", "configMap": { "name": lists_map(plan.name) } },
            // Readable by the group that the pod runs as.
            { "name": "keys", "secret": { "secretName": keys_secret(plan.name), "defaultMode": 0o440 } },
        ],
    });
    spread(plan, "shard", &mut pod);
    pod
}

fn shard(plan: &Plan<'_>) -> Value {
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
