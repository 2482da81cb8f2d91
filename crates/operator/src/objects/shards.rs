//! The shards: their configurations, their pods, and how many of them a drain takes at once.

use serde_json::{Map, Value, json};

use super::pod::{budget, claim, container, spread, template};
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
        // A running shard reads them again and again.
        let known = plan.outer.get(&at).filter(|outer| outer.is_known());
        for (whom, addresses) in known.iter().flat_map(|outer| outer.files()) {
            data.insert(format!("{}-{at}.{whom}", plan.set()), json!(addresses));
        }
    }
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": plan.metadata(&plan.set()),
        "data": data,
    })
}

fn configuration(plan: &Plan<'_>, at: u16) -> String {
    let [peers, clients] = advertised(plan, at);
    let section = |KnownCoordinator { address, identity }: KnownCoordinator| {
        format!("[[coordinator]]\naddress = \"{address}\"\nidentity = \"{identity}\"\n")
    };
    let coordinators: Vec<String> = plan.coordinators().into_iter().map(section).collect();
    include_str!("../../../../k8s/chart/antiphon/files/shard.toml")
        .replace("@any@", plan.any())
        .replace("@peers@", &peers.to_string())
        .replace("@clients@", &clients.to_string())
        .replace("@operator@", &plan.spec.operator)
        .replace("@coordinators@", &coordinators.join("\n"))
        + &plan.telemetry()
}

/// Addresses at which others dial the shard, as TOML: other shards, and clients. Those of the same cluster need no load balancer.
fn advertised(plan: &Plan<'_>, at: u16) -> [Value; 2] {
    let exposure = plan.exposure();
    let ip = plan.own();
    let by = |peers: u16, clients: u16| {
        [json!(format!("{ip}:{peers}")), json!(format!("{ip}:{clients}"))]
    };
    match exposure.kind {
        ExposureType::Cluster | ExposureType::HostPort => by(7100, 7101),
        ExposureType::NodePort => by(exposure.peers + at, exposure.clients + at),
        ExposureType::LoadBalancer => {
            let file = |whom: &str| format!("file:{}-{at}.{whom}", plan.set());
            let inside = format!("{ip}:7100");
            [json!([inside, file("peers")]), json!(file("clients"))]
        }
    }
}

/// Shards read their configurations when they start: another collector takes other pods.
fn annotations(plan: &Plan<'_>) -> Value {
    plan.spec.telemetry.as_ref().map_or_else(
        || json!({}),
        |telemetry| json!({ "antiphon.dev/telemetry": telemetry.endpoint }),
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
            "template": template(plan, "shard", &annotations(plan), pod(plan)),
            "volumeClaimTemplates": [claim(plan, "shard")],
        },
    })
}

fn pod(plan: &Plan<'_>) -> Value {
    let mut pod = json!({
        "terminationGracePeriodSeconds": grace::of_shards_s(plan.spec.coordinator.run.as_ref()),
        // It sees its own key alone: who breaks into a shard has one.
        "containers": [container(plan, "shard", &plan.spec.resources)],
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
