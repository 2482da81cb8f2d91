//! The Services by which pods are found.

use serde_json::{Value, json};

use super::outer::{self, Port, outer_service};
use super::{Plan, selector};

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let port = |name: &str, number: u16, protocol: &str| json!({ "name": name, "port": number, "targetPort": name, "protocol": protocol });
    let peers = [port("peers", 7100, "TCP"), port("admin", 9100, "TCP")];
    let mut services = vec![headless(plan, "peers", "shard", &peers)];
    let outer = plan.has_outer_services();
    if outer {
        for at in plan.ordinals() {
            services.extend(of_one_shard(plan, at));
        }
    }
    if let Some(own) = &plan.spec.coordinator.run {
        let ports = [
            port("shards", 7000, "UDP"),
            port("clients", 7001, "UDP"),
            port("admin", 9100, "TCP"),
            port("status", 9101, "TCP"),
        ];
        services.push(headless(plan, "coordinator", "coordinator", &ports));
        if outer {
            services.extend((0..own.replicas).map(|at| of_coordinator(plan, at)));
        }
    }
    services
}

/// Without an address of its own, and with pods that are not ready: they are ready only once they have found each
/// other.
fn headless(plan: &Plan<'_>, name: &str, component: &str, ports: &[Value]) -> Value {
    let mut spec = json!({
        "clusterIP": "None",
        "publishNotReadyAddresses": true,
        "selector": selector(plan.name, component),
        "ports": ports,
    });
    plan.of_both_families(&mut spec);
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": plan.metadata(&format!("{}-{name}", plan.name)),
        "spec": spec,
    })
}

/// Clients and shards have a section for each coordinator, by its key.
fn of_coordinator(plan: &Plan<'_>, at: u16) -> Value {
    let (exposure, pod) = (plan.exposure(), format!("{}-{at}", plan.coordinator_set()));
    let port = |name, number, first: u16| Port {
        name,
        number,
        protocol: "UDP",
        on_node: first.saturating_add(at),
    };
    let ports = [
        port("shards", 7000, exposure.coordinator_shards),
        port("clients", 7001, exposure.coordinator_clients),
    ];
    outer::service(plan, &format!("{pod}-outside"), ("coordinator", &pod), &ports)
}

/// A client has chosen one shard, so each Service has one pod; each has one protocol, as not all clouds take two.
fn of_one_shard(plan: &Plan<'_>, at: u16) -> [Value; 2] {
    let (exposure, pod) = (plan.exposure(), format!("{}-{at}", plan.set()));
    let service = |name, number, protocol, first: u16| {
        let port = Port { name, number, protocol, on_node: first.saturating_add(at) };
        outer::service(plan, &outer_service(plan.name, at, name), ("shard", &pod), &[port])
    };
    [
        service("peers", 7100, "TCP", exposure.peers),
        service("clients", 7101, "UDP", exposure.clients),
    ]
}
