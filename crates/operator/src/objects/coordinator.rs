//! The coordinators, where they run here.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::pod::{budget, claim, container, field, port, spread, template};
use super::{Plan, coordinator_secret, grace, selector};
use crate::resource::OwnCoordinator;

/// All objects of the coordinators. Long, as it is one list of them.
pub(super) fn objects(plan: &Plan<'_>, own: &OwnCoordinator) -> Vec<Value> {
    let name = plan.coordinator_set();
    let text = configuration(own);
    let config = json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": plan.metadata(&name),
        "data": { "coordinator.toml": text },
    });
    // Other settings take another pod.
    let hash = hex::encode(&Sha256::digest(text.trim_end())[..8]);
    let mut pod = json!({
        "terminationGracePeriodSeconds": grace::of_coordinators_s(own),
        "containers": [program(plan, own)],
        "volumes": [
            { "name": "config", "configMap": { "name": name } },
            { "name": "network", "configMap": { "name": plan.spec.network.config_map } },
            { "name": "keys", "secret": {
                "secretName": coordinator_secret(plan.name), "defaultMode": 0o440,
            } },
        ],
    });
    spread(plan, "coordinator", &mut pod);
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": plan.metadata(&name),
        "spec": {
            "replicas": own.replicas,
            "serviceName": name,
            "podManagementPolicy": "Parallel",
            // Pods are deleted one at a time by the controller, the one that leads after all others.
            "updateStrategy": { "type": "OnDelete" },
            "selector": { "matchLabels": selector(plan.name, "coordinator") },
            "template": template(plan, "coordinator", &json!({ "antiphon.dev/config": hash }), pod),
            "volumeClaimTemplates": [claim(plan, "coordinator")],
        },
    });
    let mut objects = vec![config, set];
    if own.replicas > 1 {
        objects.push(budget(plan, "coordinator"));
    }
    objects
}

fn program(plan: &Plan<'_>, own: &OwnCoordinator) -> Value {
    let more = json!({
        "args": ["--log", plan.spec.log, "coordinator", "--config", "/config/coordinator.toml"],
        "env": [field("POD_NAME", "metadata.name")],
        "ports": [
            port(plan, "shards", 7000, "UDP"),
            port(plan, "clients", 7001, "UDP"),
            port(plan, "admin", 9100, "TCP"),
        ],
        "volumeMounts": [
            { "name": "config", "mountPath": "/config", "readOnly": true },
            { "name": "network", "mountPath": "/network", "readOnly": true },
            { "name": "state", "mountPath": "/state" },
            // Its own key alone.
            { "name": "keys", "mountPath": "/keys/coordinator.key", "subPathExpr": "$(POD_NAME).key", "readOnly": true },
        ],
    });
    container(plan, "coordinator", &own.resources, more)
}

fn configuration(own: &OwnCoordinator) -> String {
    let epoch = &own.epoch;
    let mut text = format!(
        r#"listen_shards = "0.0.0.0:7000"
listen_clients = "0.0.0.0:7001"
identity = "/keys/coordinator.key"
network = "/network/network.toml"
state = "/state/coordinator.state.json"
replicas = {}

[admin]
listen = "0.0.0.0:9100"

[epoch]
interval_ms = {}
prepare_ahead_rounds = {}
rounds = {}
"#,
        own.replicas, epoch.interval_ms, epoch.prepare_ahead_rounds, epoch.rounds,
    );
    if !own.deadlines.is_empty() {
        text += "\n[deadlines]\n";
    }
    for (name, value) in &own.deadlines {
        // Writing to a text does not fail.
        let _ = writeln!(text, "{name} = {value}");
    }
    text
}
