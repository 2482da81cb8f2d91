//! The coordinators, where they run here.

use std::fmt::Write as _;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::pod::{budget, claim, container, spread, template};
use super::{Plan, coordinator_secret, grace, selector};
use crate::resource::OwnCoordinator;

/// All objects of the coordinators. Long, as it is one list of them.
pub(super) fn objects(plan: &Plan<'_>, own: &OwnCoordinator) -> Vec<Value> {
    let name = plan.coordinator_set();
    let text = configuration(plan, own);
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
        // It sees its own key alone.
        "containers": [container(plan, "coordinator", &own.resources)],
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

fn configuration(plan: &Plan<'_>, own: &OwnCoordinator) -> String {
    let mut text = include_str!("../../../../k8s/chart/antiphon/files/coordinator.toml")
        .replace("@any@", plan.any())
        .replace("@replicas@", &own.replicas.to_string());
    for (section, settings) in own.sections() {
        // Writing to a text does not fail.
        let _ = write!(text, "\n[{section}]\n");
        for (name, value) in settings {
            let _ = writeln!(text, "{name} = {value}");
        }
    }
    text + &plan.telemetry()
}
