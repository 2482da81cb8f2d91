//! The rules of who may dial whom.

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
    let mut peers = vec![7100];
    if plan.exposure().kind == ExposureType::NodePort {
        peers.extend(plan.ordinals().map(|at| plan.exposure().peers + at));
    }
    let others = plan.spec.network_policy.peer_ports.iter().filter(|port| !peers.contains(port));
    let peers: Vec<u16> = peers.iter().chain(others).copied().collect();
    let peers = peers.into_iter().map(|port| json!({ "port": port, "protocol": "TCP" }));
    let peers: Vec<Value> = peers.collect();
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
    let mut egress = vec![json!({ "ports": peers }), coordinator, names()];
    egress.extend(collector(plan));
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": plan.metadata(&plan.set()),
        "spec": {
            "podSelector": { "matchLabels": selector(plan.name, "shard") },
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{ "ports": inner }, looked_after(plan)],
            // Other shards, wherever the epoch's document says that they are.
            "egress": egress,
        },
    })
}

/// The servers of names.
fn names() -> Value {
    json!({ "ports": [{ "port": 53, "protocol": "UDP" }, { "port": 53, "protocol": "TCP" }] })
}

/// The collector of traces, wherever it is.
fn collector(plan: &Plan<'_>) -> Option<Value> {
    let port = plan.spec.telemetry.as_ref()?.port()?;
    Some(json!({ "ports": [{ "port": port, "protocol": "TCP" }] }))
}

fn of_coordinator(plan: &Plan<'_>) -> Value {
    let inner = json!([{ "port": 7000, "protocol": "UDP" }, { "port": 7001, "protocol": "UDP" }]);
    let mut spec = json!({
        "podSelector": { "matchLabels": selector(plan.name, "coordinator") },
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{ "ports": inner }, looked_after(plan), seen()],
    });
    // It dials nobody else. A list without entries would be applied anew each time: the cluster keeps none.
    if let Some(collector) = collector(plan) {
        spec["egress"] = json!([collector, names()]);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": plan.metadata(&plan.coordinator_set()),
        "spec": spec,
    })
}

/// Whoever reaches admin ports changes what is logged and drains shards: the operator's own controller, and those of its
/// choice.
fn looked_after(plan: &Plan<'_>) -> Value {
    let mut from = vec![json!({ "podSelector": controllers() })];
    let namespaces = plan.spec.network_policy.admin_from.iter();
    from.extend(namespaces.map(|namespace| {
        json!({ "namespaceSelector": { "matchLabels": { "kubernetes.io/metadata.name": namespace } } })
    }));
    json!({ "ports": [{ "port": 9100, "protocol": "TCP" }], "from": from })
}

/// Controllers of other operators in this cluster see how the network stands, and change nothing.
fn seen() -> Value {
    json!({
        "ports": [{ "port": 9101, "protocol": "TCP" }],
        "from": [{ "namespaceSelector": {}, "podSelector": controllers() }],
    })
}

fn controllers() -> Value {
    json!({ "matchLabels": { "app.kubernetes.io/name": "antiphon-operator" } })
}
