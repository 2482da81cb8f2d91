//! How pods are found.

use serde_json::{Value, json};

use super::{Plan, selector};
use crate::resource::ExposureType;

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let port = |name: &str, number: u16, protocol: &str| json!({ "name": name, "port": number, "targetPort": name, "protocol": protocol });
    let peers = [port("peers", 7100, "TCP"), port("admin", 9100, "TCP")];
    let mut services = vec![headless(plan, "peers", "shard", &peers)];
    let outer = plan.exposure().kind == ExposureType::NodePort;
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
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": plan.metadata(&format!("{}-{name}", plan.name)),
        "spec": {
            "clusterIP": "None",
            "publishNotReadyAddresses": true,
            "selector": selector(plan.name, component),
            "ports": ports,
        },
    })
}

/// Clients and shards have a section for each coordinator, by its key.
fn of_coordinator(plan: &Plan<'_>, at: u16) -> Value {
    let (exposure, name) = (plan.exposure(), format!("{}-{at}", plan.coordinator_set()));
    let mut labels = selector(plan.name, "coordinator");
    labels["statefulset.kubernetes.io/pod-name"] = json!(name);
    let port = |name: &str, number: u16, outside: u16| json!({ "name": name, "port": number, "targetPort": name, "protocol": "UDP", "nodePort": outside });
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": plan.metadata(&format!("{name}-outside")),
        "spec": {
            "type": "NodePort",
            "externalTrafficPolicy": "Local",
            "publishNotReadyAddresses": true,
            "selector": labels,
            "ports": [
                port("shards", 7000, exposure.coordinator_shards + at),
                port("clients", 7001, exposure.coordinator_clients + at),
            ],
        },
    })
}

/// A client has chosen one shard, so each Service has one pod; each has one protocol, as not all clouds take two.
fn of_one_shard(plan: &Plan<'_>, at: u16) -> [Value; 2] {
    let exposure = plan.exposure();
    let service = |kind: &str, number: u16, protocol: &str, outside: u16| {
        let mut labels = selector(plan.name, "shard");
        labels["statefulset.kubernetes.io/pod-name"] = json!(format!("{}-{at}", plan.set()));
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": plan.metadata(&format!("{}-{at}-{kind}", plan.set())),
            "spec": {
                "type": "NodePort",
                "externalTrafficPolicy": "Local",
                "publishNotReadyAddresses": true,
                "selector": labels,
                "ports": [{
                    "name": kind, "port": number, "targetPort": kind, "protocol": protocol, "nodePort": outside,
                }],
            },
        })
    };
    [
        service("peers", 7100, "TCP", exposure.peers + at),
        service("clients", 7101, "UDP", exposure.clients + at),
    ]
}
