//! Services through which a single pod is dialled from outside of the cluster, and the addresses that those get.

use serde_json::{Value, json};

use super::{Plan, selector};
use crate::resource::ExposureType;

/// Addresses or names at which a shard is reached through its load balancers. None while there is no load balancer yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outer {
    pub(crate) peers: Vec<String>,
    pub(crate) clients: Vec<String>,
}

/// A port of a Service.
pub(super) struct Port {
    pub(super) name: &'static str,
    pub(super) number: u16,
    pub(super) protocol: &'static str,
    /// The port that nodes have for it, where they have.
    pub(super) on_node: u16,
}

/// The name of the Service through which `whom` dials a shard.
pub(crate) fn outer_service(name: &str, shard: u16, whom: &str) -> String {
    format!("{}-{shard}-{whom}", super::set(name))
}

impl Outer {
    /// `true` if others find the shard.
    pub(crate) fn is_known(&self) -> bool {
        !self.peers.is_empty() && !self.clients.is_empty()
    }

    /// The files that a shard reads its addresses from, by the ends of their names.
    pub(super) fn files(&self) -> [(&'static str, String); 2] {
        [("peers", lines(&self.peers, 7100)), ("clients", lines(&self.clients, 7101))]
    }
}

fn lines(hosts: &[String], port: u16) -> String {
    let line = |host: &String| {
        if host.contains(':') { format!("[{host}]:{port}\n") } else { format!("{host}:{port}\n") }
    };
    hosts.iter().map(line).collect()
}

/// A Service of one pod. Clients' addresses have to be seen, so it sends nobody on to another node.
pub(super) fn service(
    plan: &Plan<'_>,
    name: &str,
    (component, pod): (&str, &str),
    ports: &[Port],
) -> Value {
    let exposure = plan.exposure();
    let by_nodes = exposure.kind == ExposureType::NodePort;
    let mut labels = selector(plan.name, component);
    labels["statefulset.kubernetes.io/pod-name"] = json!(pod);
    let port = |port: &Port| {
        let Port { name, number, protocol, on_node } = port;
        let mut port = json!({
            "name": name, "port": number, "targetPort": name, "protocol": protocol,
        });
        if by_nodes {
            port["nodePort"] = json!(on_node);
        }
        port
    };
    let mut metadata = plan.metadata(name);
    if !exposure.annotations.is_empty() {
        metadata["annotations"] = json!(exposure.annotations);
    }
    let mut spec = json!({
        "type": if by_nodes { "NodePort" } else { "LoadBalancer" },
        "externalTrafficPolicy": "Local",
        "publishNotReadyAddresses": true,
        "selector": labels,
        "ports": ports.iter().map(port).collect::<Vec<_>>(),
    });
    if let Some(class) = exposure.load_balancer_class.as_ref().filter(|_| !by_nodes) {
        spec["loadBalancerClass"] = json!(class);
    }
    plan.of_both_families(&mut spec);
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec })
}

impl Plan<'_> {
    /// Has a Service be of both families, where pods have addresses of both.
    pub(super) fn of_both_families(&self, service: &mut Value) {
        if self.exposure().family == crate::resource::Family::Dual {
            service["ipFamilyPolicy"] = json!("PreferDualStack");
        }
    }
}
