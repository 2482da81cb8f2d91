//! The parts that all pods have in common.

use std::sync::LazyLock;

use serde_json::{Map, Value, json};

use super::{Plan, selector};
use crate::resource::{Family, Resources, State};

/// The parts that the chart's pods have as well: ports, probes, mounts, and what every pod is forbidden.
static PODS: LazyLock<Value> = LazyLock::new(|| {
    let text = include_str!("../../../../k8s/chart/antiphon/files/pods.json");
    serde_json::from_str(text).expect("the file is JSON: it is compiled in, and read in the tests")
});

/// A pod's metadata and specification, with what is its own.
pub(super) fn template(plan: &Plan<'_>, component: &str, annotations: &Value, own: Value) -> Value {
    let mut labels = selector(plan.name, component);
    merge(&mut labels, PODS["labels"].clone());
    let mut notes = PODS["annotations"].clone();
    merge(&mut notes, annotations.clone());
    let mut spec = PODS["pod"].clone();
    merge(&mut spec, own);
    json!({ "metadata": { "labels": labels, "annotations": notes }, "spec": spec })
}

/// The container of a component.
pub(super) fn container(plan: &Plan<'_>, component: &str, resources: &Resources) -> Value {
    let own = &PODS[component];
    let mut args = json!(["--log", plan.spec.log]);
    if let (Some(all), Some(own)) = (args.as_array_mut(), own["args"].as_array()) {
        all.extend(own.iter().cloned());
    }
    let mut env = own["env"].as_array().cloned().unwrap_or_default();
    if plan.exposure().family == Family::Dual {
        // Older API servers know nothing of a node's other address, and refuse pods that ask for it.
        env.extend(own["envOfBothFamilies"].get(plan.own_variable()).cloned());
    }
    if plan.spec.telemetry.is_some() {
        env.extend(own["envToTell"].as_array().into_iter().flatten().cloned());
    }
    let on_node = own["onNode"].as_array().filter(|_| plan.has_host_ports());
    let ports = own["ports"].as_array().into_iter().flatten().map(|port| {
        let mut port = port.clone();
        if on_node.is_some_and(|names| names.contains(&port["name"])) {
            port["hostPort"] = port["containerPort"].clone();
        }
        port
    });
    let mut container = json!({
        "name": component,
        "image": plan.spec.image,
        "imagePullPolicy": plan.spec.image_pull_policy,
        "args": args,
        "env": env,
        "ports": ports.collect::<Vec<_>>(),
        "volumeMounts": own["volumeMounts"],
        "resources": {
            "requests": {
                "cpu": resources.cpu_request.as_ref().unwrap_or(&resources.cpu),
                "memory": resources.memory,
            },
            "limits": { "cpu": resources.cpu, "memory": resources.memory },
        },
    });
    merge(&mut container, PODS["container"].clone());
    container
}

/// Has pods of one component run on as many nodes and in as many zones as there are, and where they have ports of their
/// nodes, on one node each.
pub(super) fn spread(plan: &Plan<'_>, component: &str, pod: &mut Value) {
    let pods = json!({ "matchLabels": selector(plan.name, component) });
    let over = |key: &str| {
        json!({
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": pods,
        })
    };
    pod["topologySpreadConstraints"] =
        json!([over("kubernetes.io/hostname"), over("topology.kubernetes.io/zone")]);
    if plan.has_host_ports() {
        pod["affinity"] = json!({ "podAntiAffinity": {
            "requiredDuringSchedulingIgnoredDuringExecution":
                [{ "topologyKey": "kubernetes.io/hostname", "labelSelector": pods }],
        } });
    }
}

/// Number of pods of one component that a drain takes at once.
pub(super) fn budget(plan: &Plan<'_>, component: &str) -> Value {
    json!({
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": plan.metadata(&format!("{}-{component}", plan.name)),
        "spec": {
            "maxUnavailable": 1,
            "selector": { "matchLabels": selector(plan.name, component) },
        },
    })
}

/// The claim of a pod's state.
pub(super) fn claim(plan: &Plan<'_>, component: &str) -> Value {
    let State { size, storage_class } = &plan.spec.state;
    let mut spec = json!({
        "accessModes": ["ReadWriteOnce"],
        "resources": { "requests": { "storage": size } },
    });
    if let Some(class) = storage_class {
        spec["storageClassName"] = json!(class);
    }
    json!({ "metadata": { "name": "state", "labels": selector(plan.name, component) }, "spec": spec })
}

fn merge(into: &mut Value, own: Value) {
    if let (Some(into), Value::Object(own)) = (into.as_object_mut(), own) {
        let own: Map<String, Value> = own;
        into.extend(own);
    }
}
