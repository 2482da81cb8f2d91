//! The objects of a network, as the chart renders them for the same settings: `k8s/check` compares both.

mod coordinator;
mod grace;
mod monitoring;
mod outer;
mod pod;
mod policies;
mod services;
mod shards;

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::IdentityKey;
use serde_json::{Value, json};

pub(crate) use grace::MOST_LAYERS;
pub(crate) use monitoring::GROUP as MONITORING;
pub(crate) use outer::{Outer, outer_service};

use crate::resource::{Exposure, ExposureType, Family, MixNetworkSpec};

/// The input from which the objects are made.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    /// The resource's name, with which every object's name begins.
    pub(crate) name: &'a str,
    /// The resource's specification.
    pub(crate) spec: &'a MixNetworkSpec,
    /// The public keys of the coordinators that run here, in the order of their pods.
    pub(crate) coordinators: &'a [IdentityKey],
    /// The number of pods.
    pub(crate) replicas: u16,
    /// The addresses of shards' load balancers, as far as they have any.
    pub(crate) outer: &'a BTreeMap<u16, Outer>,
    /// The kinds of a Prometheus operator that the cluster knows.
    pub(crate) kinds: &'a BTreeSet<String>,
}

/// Names of objects that are not made from a template.
pub(crate) fn keys_secret(name: &str) -> String {
    format!("{name}-shard-keys")
}

pub(crate) fn coordinator_secret(name: &str) -> String {
    format!("{name}-coordinator-keys")
}

pub(crate) fn lists_map(name: &str) -> String {
    format!("{name}-operator-lists")
}

pub(crate) fn set(name: &str) -> String {
    format!("{name}-shard")
}

pub(crate) fn coordinator(name: &str) -> String {
    format!("{name}-coordinator")
}

/// The labels of the pods of one component, which Services and policies go by.
pub(crate) fn selector(name: &str, component: &str) -> Value {
    json!({
        "app.kubernetes.io/name": "antiphon",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/component": component,
    })
}

/// All objects, in the order in which they are applied.
pub(crate) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let mut objects = Vec::new();
    if let Some(own) = &plan.spec.coordinator.run {
        objects.extend(coordinator::objects(plan, own));
    }
    objects.extend(services::objects(plan));
    objects.extend(policies::objects(plan));
    objects.extend(shards::objects(plan));
    objects.extend(monitoring::objects(plan));
    objects
}

/// A coordinator as shards know it.
struct KnownCoordinator {
    /// Host and port of its endpoint for shards.
    address: String,
    /// Its public key, in hexadecimal.
    identity: String,
}

impl Plan<'_> {
    fn metadata(&self, name: &str) -> Value {
        json!({
            "name": name,
            "labels": {
                "app.kubernetes.io/name": "antiphon",
                "app.kubernetes.io/instance": self.name,
                "app.kubernetes.io/managed-by": "antiphon-operator",
            },
        })
    }

    fn set(&self) -> String {
        set(self.name)
    }

    fn coordinator_set(&self) -> String {
        coordinator(self.name)
    }

    fn exposure(&self) -> &Exposure {
        &self.spec.exposure
    }

    fn has_host_ports(&self) -> bool {
        self.exposure().kind == ExposureType::HostPort
    }

    /// `true` if pods have Services of their own, for dials from outside.
    fn has_outer_services(&self) -> bool {
        matches!(self.exposure().kind, ExposureType::NodePort | ExposureType::LoadBalancer)
    }

    /// Every address of a machine, as configurations write it: for IPv6, which takes IPv4 in as well.
    fn any(&self) -> &'static str {
        if self.exposure().family == Family::Ipv4 { "0.0.0.0" } else { "[::]" }
    }

    /// The variable with the address at which a pod is dialled: its own or its node's.
    fn own_variable(&self) -> &'static str {
        match self.exposure().kind {
            ExposureType::Cluster | ExposureType::LoadBalancer => "POD_IP",
            ExposureType::HostPort | ExposureType::NodePort => "HOST_IP",
        }
    }

    /// That variable's address or addresses, as configurations write them before a port.
    fn own(&self) -> String {
        let variable = self.own_variable();
        match self.exposure().family {
            Family::Ipv4 => format!("${{{variable}}}"),
            Family::Ipv6 => format!("[${{{variable}}}]"),
            Family::Dual => format!("${{{variable}S}}"),
        }
    }

    /// The last section of every configuration.
    fn telemetry(&self) -> String {
        self.spec.telemetry.as_ref().map_or_else(String::new, |telemetry| {
            format!("\n[telemetry]\nendpoint = \"{}\"\n", telemetry.endpoint)
        })
    }

    /// The coordinators as shards know them.
    fn coordinators(&self) -> Vec<KnownCoordinator> {
        let set = self.coordinator_set();
        let own = if self.spec.coordinator.run.is_some() { self.coordinators } else { &[] };
        let own = own.iter().enumerate().map(|(at, key)| KnownCoordinator {
            address: format!("{set}-{at}.{set}:7000"),
            identity: key.to_hex(),
        });
        let joined = self.spec.coordinator.join.iter().flatten().map(|joined| KnownCoordinator {
            address: joined.address.clone(),
            identity: joined.identity.clone(),
        });
        own.chain(joined).collect()
    }

    /// Shards for which there are files and Services: those that run, and those that are to.
    fn ordinals(&self) -> std::ops::Range<u16> {
        0..self.replicas.max(self.spec.shards)
    }
}

#[cfg(test)]
mod tests;
