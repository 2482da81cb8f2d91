//! Who may dial whom.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{Plan, selector};
use crate::resource::ExposureType;

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let mut policies = vec![of_shards(plan)];
    if plan.spec.coordinator.run.is_some() {
        policies.push(of_coordinator(plan));
    }
    policies
}

fn of_shards(plan: &Plan<'_>) -> Value {
    let mut peers = vec![json!({ "port": 7100, "protocol": "TCP" })];
    if plan.exposure().kind == ExposureType::NodePort {
        let outside = plan.ordinals().map(|at| plan.exposure().peers + at);
        peers.extend(outside.map(|port| json!({ "port": port, "protocol": "TCP" })));
    }
    let port = |address: &str| address.rsplit(':').next()?.parse::<u16>().ok();
    let coordinators = plan.coordinators();
    let ports: BTreeSet<u16> =
        coordinators.iter().filter_map(|known| port(&known.address)).collect();
    let ports = ports.into_iter().map(|port| json!({ "port": port, "protocol": "UDP" }));
    let mut coordinator = json!({ "ports": ports.collect::<Vec<_>>() });
    if plan.spec.coordinator.run.is_some() {
        coordinator["to"] =
            json!([{ "podSelector": { "matchLabels": selector(plan.name, "coordinator") } }]);
    }
    let inner = json!([{ "port": 7100, "protocol": "TCP" }, { "port": 7101, "protocol": "UDP" }]);
    let names = json!([{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" }]);
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": plan.metadata(&plan.set()),
        "spec": {
            "podSelector": { "matchLabels": selector(plan.name, "shard") },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{ "ports": inner }, looked_after()],
            // Other shards, wherever the epoch's document says that they are.
            "egress": [{ "ports": peers }, coordinator, { "ports": names }],
        },
    })
}

fn of_coordinator(plan: &Plan<'_>) -> Value {
    let inner = json!([{ "port": 7000, "protocol": "UDP" }, { "port": 7001, "protocol": "UDP" }]);
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": plan.metadata(&plan.coordinator_set()),
        "spec": {
            "podSelector": { "matchLabels": selector(plan.name, "coordinator") },
            // It dials nobody. A list without entries would be applied anew each time: the cluster keeps none.
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{ "ports": inner }, looked_after()],
        },
    })
}

/// The controller, wherever it runs, reads how network and lists stand at the admin ports.
fn looked_after() -> Value {
    json!({
        "ports": [{ "port": 9100, "protocol": "TCP" }],
        "from": [{
            "namespaceSelector": {},
            "podSelector": { "matchLabels": { "app.kubernetes.io/name": "antiphon-operator" } },
        }],
    })
}
