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
        format!("[[coordinator]]\naddress = \"{address}\"\nidentity = \"{identity}\"\n")
    };
    let coordinators: Vec<String> = plan.coordinators().into_iter().map(section).collect();
    include_str!("../../../../k8s/chart/antiphon/files/shard.toml")
        .replace("@any@", "0.0.0.0")
        .replace("@peers@", &format!("{ip}:{peers}"))
        .replace("@clients@", &format!("{ip}:{clients}"))
        .replace("@operator@", &plan.spec.operator)
        .replace("@coordinators@", &coordinators.join("\n"))
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
