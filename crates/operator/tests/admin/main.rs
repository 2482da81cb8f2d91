//! The controller's own admin server, asked over its port while it runs against an API server of the tests' own.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(
    clippy::disallowed_methods,
    reason = "processes are watched by the clock, with a deadline"
)]

mod api;
mod controller;

use std::collections::BTreeSet;

use antiphon_process::metrics::{Kind, Program};
use serde_json::json;

use api::Api;
use controller::Controller;

/// Everything served of the catalogue's metrics, as `name{label="value"}` without bounds of buckets.
fn series(page: &str) -> BTreeSet<String> {
    let lines = page.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let names = lines.filter_map(|line| line.rsplit_once(' ')).map(|(name, _)| {
        let without = name.split("le=\"").next().unwrap_or(name);
        without.trim_end_matches([',', '{', '}']).to_owned()
    });
    names.collect()
}

/// Everything that the catalogue says a controller serves.
fn declared() -> BTreeSet<String> {
    let mut series = BTreeSet::new();
    for metric in Program::Controller.catalogue() {
        let shown = |suffix: &str, labels: &str| {
            let name = format!("{}{suffix}", metric.name);
            if labels.is_empty() { name } else { format!("{name}{{{labels}") }
        };
        let values = metric.labels.iter().flat_map(|(name, values)| {
            values.iter().map(move |value| format!("{name}=\"{value}\""))
        });
        let mut values: Vec<String> = values.collect();
        if metric.labels.is_empty() {
            values.push(String::new());
        }
        let suffixes: &[&str] =
            if metric.kind == Kind::Histogram { &["_bucket", "_sum", "_count"] } else { &[""] };
        for suffix in suffixes {
            series.extend(values.iter().map(|labels| shown(suffix, labels)));
        }
    }
    series
}

#[test]
fn a_controller_says_why_it_is_not_ready_and_serves_its_metrics_and_no_others() {
    let api = Api::start();
    api.answers(false);
    let controller = Controller::start(&api);
    controller.wait_for("/ready", "503", "cannot be asked since 2");
    assert!(controller.get("/live").contains("200 OK"));
    api.answers(true);
    controller.wait_for("/ready", "200", "ready: acts: looks after one MixNetwork");

    let page = controller.get("/metrics");
    let (_, page) = page.split_once("\r\n\r\n").unwrap();
    let (served, declared) = (series(page), declared());
    let missing: Vec<_> = declared.difference(&served).collect();
    assert!(missing.is_empty(), "in the catalogue, and not served: {missing:?}");
    let foreign: Vec<_> = served.difference(&declared).collect();
    assert!(foreign.is_empty(), "served, and not in the catalogue: {foreign:?}");
    for line in [
        "antiphon_controller_leads 1",
        "antiphon_controller_resources{outcome=\"refused\"} 1",
        "antiphon_controller_looks_total{outcome=\"refused\"} 1",
    ] {
        assert!(page.contains(&format!("{line}\n")), "{line}: {page}");
    }
    let unreachable = "antiphon_controller_failures_total{why=\"unreachable\"} 0\n";
    assert!(!page.contains(unreachable), "the API server was away: {page}");

    let status = controller.status();
    assert_eq!(status["lease"], json!({ "holder": "one", "acts": true }));
    assert_eq!(status["resources"][0]["name"], "space/mix");
    let refused = status["resources"][0]["words"].as_str().unwrap().to_owned();
    assert!(refused.contains("there is no ConfigMap net"), "{refused}");
    assert!(status["verdict"]["advice"].to_string().contains(&refused), "{status}");
}

#[test]
fn another_controller_stands_by_and_is_ready_for_that_and_its_log_level_is_set() {
    let api = Api::start();
    api.held_by("another");
    let controller = Controller::start(&api);
    controller.wait_for("/ready", "200", "ready: stands by: another holds the Lease");
    let page = controller.get("/metrics");
    assert!(page.contains("antiphon_controller_leads 0\n"), "{page}");
    assert!(page.contains("antiphon_controller_last_look_timestamp_seconds 0\n"), "{page}");
    let set = controller.ask("PUT", "/log-level", "antiphon_operator=debug,warn");
    assert!(set.contains("200 OK") && set.ends_with("antiphon_operator=debug,warn\n"), "{set}");
    let drained = controller.ask("POST", "/drain", "");
    assert!(drained.contains("409") && drained.contains("kubectl scale"), "{drained}");
    assert_eq!(api.writes(), 0, "only the one that holds the Lease writes");
}
