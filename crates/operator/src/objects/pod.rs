//! What all pods have in common.

use serde_json::{Map, Value, json};

use super::{Plan, selector};
use crate::resource::{Resources, State};

/// A pod's metadata and specification, with what is its own.
pub(super) fn template(plan: &Plan<'_>, component: &str, annotations: &Value, own: Value) -> Value {
    let mut labels = selector(plan.name, component);
    labels["sidecar.istio.io/inject"] = json!("false");
    let mut notes = json!({
        "linkerd.io/inject": "disabled",
        "sidecar.istio.io/inject": "false",
    });
    merge(&mut notes, annotations.clone());
    let mut spec = json!({
        "automountServiceAccountToken": false,
        "enableServiceLinks": false,
        "securityContext": {
            "runAsNonRoot": true,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": { "type": "RuntimeDefault" },
        },
    });
    merge(&mut spec, own);
    json!({ "metadata": { "labels": labels, "annotations": notes }, "spec": spec })
}

/// A container that runs the image, with what is its own.
pub(super) fn container(plan: &Plan<'_>, name: &str, resources: &Resources, own: Value) -> Value {
    let probe = |path: &str| json!({ "path": path, "port": "admin" });
    let mut container = json!({
        "name": name,
        "image": plan.spec.image,
        "imagePullPolicy": plan.spec.image_pull_policy,
        "securityContext": {
            "allowPrivilegeEscalation": false,
            "readOnlyRootFilesystem": true,
            "capabilities": { "drop": ["ALL"] },
        },
        "startupProbe": { "httpGet": probe("/live"), "periodSeconds": 1, "failureThreshold": 60 },
        "livenessProbe": {
            "httpGet": probe("/live"), "periodSeconds": 10, "timeoutSeconds": 5, "failureThreshold": 6,
        },
        "readinessProbe": { "httpGet": probe("/ready"), "periodSeconds": 2, "timeoutSeconds": 2 },
        "resources": {
            "requests": {
                "cpu": resources.cpu_request.as_ref().unwrap_or(&resources.cpu),
                "memory": resources.memory,
            },
            "limits": { "cpu": resources.cpu, "memory": resources.memory },
        },
    });
    merge(&mut container, own);
    container
}

/// A port of a container, at the node as well where shards are reached there.
pub(super) fn port(plan: &Plan<'_>, name: &str, number: u16, protocol: &str) -> Value {
    let mut port = json!({ "name": name, "containerPort": number, "protocol": protocol });
    if plan.has_host_ports() && name != "admin" {
        port["hostPort"] = json!(number);
    }
    port
}

/// A variable of the environment that has what only the pod knows.
pub(super) fn field(name: &str, path: &str) -> Value {
    json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } })
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

/// How many pods of one component a drain takes at once.
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
