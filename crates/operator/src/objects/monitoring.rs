//! The objects that a Prometheus operator goes by, where the cluster knows their kinds.

use std::sync::LazyLock;

use serde_json::{Value, json};

use super::Plan;

/// The group and version of these kinds.
pub(crate) const GROUP: &str = "monitoring.coreos.com/v1";

/// The chart's rules.
static RULES: LazyLock<Value> = LazyLock::new(|| {
    serde_saphyr::from_str(include_str!("../../../../k8s/chart/antiphon/alerts/antiphon.yaml"))
        .expect("the file is YAML: it is compiled in, and read in the tests")
});

pub(super) fn objects(plan: &Plan<'_>) -> Vec<Value> {
    let monitoring = &plan.spec.monitoring;
    if !monitoring.enabled {
        return Vec::new();
    }
    let object = |kind: &str, spec: Value| {
        let mut metadata = plan.metadata(plan.name);
        for (key, value) in &monitoring.labels {
            metadata["labels"][key] = json!(value);
        }
        json!({ "apiVersion": GROUP, "kind": kind, "metadata": metadata, "spec": spec })
    };
    let knows = |kind: &str| plan.kinds.contains(kind);
    let mut objects = Vec::new();
    if knows("ServiceMonitor") {
        let instance = json!({ "app.kubernetes.io/name": "antiphon", "app.kubernetes.io/instance": plan.name });
        let spec = json!({
            // The job is called `antiphon`: the rules go by that.
            "jobLabel": "app.kubernetes.io/name",
            "selector": { "matchLabels": instance },
            "endpoints": [{ "port": "admin", "path": "/metrics", "interval": monitoring.interval }],
        });
        objects.push(object("ServiceMonitor", spec));
    }
    if monitoring.rules && knows("PrometheusRule") {
        objects.push(object("PrometheusRule", RULES.clone()));
    }
    objects
}
