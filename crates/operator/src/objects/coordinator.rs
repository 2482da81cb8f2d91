//! The coordinator, where it runs here.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::pod::{claim, container, port, template};
use super::{Plan, coordinator_secret, selector};
use crate::resource::OwnCoordinator;

/// The most layers that an epoch is planned with.
const MOST_LAYERS: u64 = 20;
/// What it takes to say goodbye, in seconds.
const GOODBYE_S: u64 = 15;

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
    let pod = json!({
        "terminationGracePeriodSeconds": grace_s(own),
        "containers": [program(plan, own)],
        "volumes": [
            { "name": "config", "configMap": { "name": name } },
            { "name": "network", "configMap": { "name": plan.spec.network.config_map } },
            { "name": "keys", "secret": {
                "secretName": coordinator_secret(plan.name),
                "defaultMode": 0o440,
                "items": [{ "key": "coordinator.key", "path": "coordinator.key" }],
            } },
        ],
    });
    let set = json!({
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": plan.metadata(&name),
        "spec": {
            // One: two of them would open the same rounds.
            "replicas": 1,
            "serviceName": name,
            "selector": { "matchLabels": selector(plan.name, "coordinator") },
            "template": template(plan, "coordinator", &json!({ "antiphon.dev/config": hash }), pod),
            "volumeClaimTemplates": [claim(plan, "coordinator")],
        },
    });
    vec![config, set]
}

fn program(plan: &Plan<'_>, own: &OwnCoordinator) -> Value {
    let more = json!({
        "args": ["--log", plan.spec.log, "coordinator", "--config", "/config/coordinator.toml"],
        "ports": [
            port(plan, "shards", 7000, "UDP"),
            port(plan, "clients", 7001, "UDP"),
            port(plan, "admin", 9100, "TCP"),
        ],
        "volumeMounts": [
            { "name": "config", "mountPath": "/config", "readOnly": true },
            { "name": "network", "mountPath": "/network", "readOnly": true },
            { "name": "keys", "mountPath": "/keys", "readOnly": true },
            { "name": "state", "mountPath": "/state" },
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

[admin]
listen = "0.0.0.0:9100"

[epoch]
interval_ms = {}
prepare_ahead_rounds = {}
rounds = {}
"#,
        epoch.interval_ms, epoch.prepare_ahead_rounds, epoch.rounds,
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

/// The longest that a round can take by its deadlines, and what it takes to say goodbye, in seconds.
fn grace_s(own: &OwnCoordinator) -> u64 {
    let ms = |name: &str, default: u64| {
        own.deadlines.get(name).and_then(Value::as_u64).unwrap_or(default)
    };
    let layer = ms("layer_ms", 3000) + ms("reply_ms", 3000);
    let once = ms("submit_ms", 1500) + 3 * ms("verify_ms", 3000) + u64::from(own.epoch.interval_ms);
    GOODBYE_S + (MOST_LAYERS * layer + once).div_ceil(1000)
}
