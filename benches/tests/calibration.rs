//! The model beside runs that were made before: nothing is run.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A machine, as it is kept.
const KEPT: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/results/calibration/measured.json");

fn calibrate(here: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_antiphon-calibrate");
    // What would be run if anything were.
    let nothing = ["--program", "/nowhere/antiphon"];
    Command::new(program).args(arguments).args(nothing).current_dir(here).output().unwrap()
}

#[track_caller]
fn done(here: &Path, arguments: &[&str]) -> String {
    let output = calibrate(here, arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn refused(here: &Path, arguments: &[&str], why: &str) {
    let output = calibrate(here, arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(why), "{output:?}");
}

#[test]
fn a_calibration_compares_what_is_there_and_runs_nothing_twice() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let kept = fs::read_to_string(KEPT).unwrap();
    let machine = serde_json::from_str::<Value>(&kept).unwrap()["machine"].clone();
    // Runs as the model has them, give or take 5 %: a fit finds the overheads of the model again.
    let mut runs = Vec::new();
    for (shards, clients) in [
        (3, 1000),
        (3, 5000),
        (3, 20_000),
        (5, 1000),
        (5, 5000),
        (5, 10_000),
        (5, 20_000),
        (10, 1000),
        (10, 10_000),
        (10, 20_000),
        (20, 1000),
        (20, 20_000),
    ] {
        let ms = 1e3 * (0.4 + f64::from(clients) * 2e-4 + f64::from(shards * shards) * 4e-3);
        runs.push(serde_json::json!({
            "shards": shards,
            "clients": clients,
            "layers": 15,
            "noise_per_shard": 1000,
            "latencies_ms": [ms, ms, ms],
            "median_latency_ms": ms,
            "server_cpu_s": 1.8e-3 * ms,
            "client_cpu_s": 3e-5 * f64::from(clients),
            "peel_us_per_onion": 6.0,
            "peak_rss_bytes": 1,
            "bytes_per_client_up": 2100.0,
            "bytes_per_client_down": 640.0,
        }));
    }
    let keep = |runs: &[Value]| {
        let all = serde_json::json!({ "machine": machine, "runs": runs });
        fs::write(here.join("measured.json"), all.to_string()).unwrap();
    };
    keep(&runs);
    let table = done(here, &["."]);
    assert!(table.contains("| 20 | 20000 |") && table.contains("Fitted to these very runs"));
    assert_eq!(fs::read_to_string(here.join("calibration.md")).unwrap(), table);
    let json: Value =
        serde_json::from_str(&fs::read_to_string(here.join("calibration.json")).unwrap()).unwrap();
    let compared = json["runs"].as_array().unwrap();
    for run in compared {
        let of = |name: &str| run[name].as_f64().unwrap();
        let ratio = of("predicted_latency_ms") / of("measured_latency_ms");
        assert!((of("ratio") - ratio).abs() < 1e-9);
    }
    assert_eq!(compared.iter().filter(|run| run["judges"] == true).count(), 4);
    assert!(fs::read_to_string(here.join("calibration.svg")).unwrap().starts_with("<svg"));

    // The fit gives what the model's source takes, and does not depend on the runs that judge.
    let source = done(here, &[".", "--fit"]);
    let figures: String = source.lines().filter(|line| !line.starts_with("//")).collect();
    assert!(figures.starts_with("Overheads {") && figures.contains("harness_us: "), "{source}");
    let fits: Vec<_> = runs
        .iter()
        .zip(compared)
        .filter(|(_, compared)| compared["judges"] == false)
        .map(|(run, _)| run.clone())
        .collect();
    keep(&fits);
    let again = done(here, &[".", "--fit"]);
    assert_eq!(again.lines().filter(|line| !line.starts_with("//")).collect::<String>(), figures);

    keep(&fits[..3]);
    refused(here, &[".", "--fit"], "4 are needed");
    fs::write(here.join("measured.json"), "{}").unwrap();
    refused(here, &["."], "measured.json");
    refused(here, &["measured.json"], "measured.json");
}
