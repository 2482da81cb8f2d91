//! `antiphon load`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{refused, run};

/// A network whose rounds are short.
const SMALL: &str = "--local-shards 2 --malicious 0 --epsilon 4 --delta 1e-2 --disturbed 2 --hops 3 \
                     --interval 0.3 --window 1 --rounds 1";

#[test]
fn a_run_tells_its_figures_to_people_and_programs_and_draws_them() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = format!("load {SMALL} --clients 20 --seed 7 --json out.json --report page");
    let run = run(folder.path(), &arguments);
    assert_eq!(run.code, 0, "{}", run.err);
    assert!(run.out.contains("20 clients (10 talking) against 2 shards"), "{}", run.out);
    assert!(run.out.contains("0 lost"), "{}", run.out);
    // No bar where nobody watches.
    assert!(run.err.is_empty(), "{}", run.err);

    let json = fs::read_to_string(folder.path().join("out.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    for (name, value) in
        [("clients", 20), ("shards", 2), ("hops", 3), ("messages", 20), ("late", 0)]
    {
        assert_eq!(report[name], value, "{name}: {report}");
    }
    assert_eq!(report["lost_messages"], 0);
    assert_eq!(report["seed"], "7", "digits, as programs round numbers");
    let command = report["provenance"]["command"].as_str().unwrap();
    assert!(command.ends_with(&arguments), "{command}");
    assert_eq!((&report["interrupted"], &report["beats"]), (&false.into(), &Value::Null));
    for name in [
        "onions_total",
        "hop_operations",
        "bytes_per_client_up",
        "bytes_per_client_down",
        "duration_s",
        "messages_per_s",
    ] {
        assert!(report[name].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    if cfg!(target_os = "linux") {
        for name in ["server_cpu_s", "client_cpu_s", "peak_rss_bytes", "peel_us_per_onion"] {
            assert!(report[name].as_f64().unwrap() > 0.0, "{name}: {report}");
        }
    }
    for name in ["p50", "p90", "p99", "max"] {
        assert!(report["latency_ms"][name].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    let round = &report["rounds"][0];
    assert_eq!(round["outcome"], "delivered");
    assert!(round["latency_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(round["opened_ms"], 0.0);
    let phases = &round["phases"];
    assert_eq!(phases["layers"].as_array().unwrap().len(), 4, "{round}");
    for name in ["submit", "verification", "exchange", "replies"] {
        assert!(phases[name]["max_ms"].as_f64() >= phases[name]["median_ms"].as_f64(), "{name}");
    }
    for name in ["report.html", "latency.svg", "phases.svg", "cpu.svg", "memory.svg"] {
        assert!(folder.path().join("page").join(name).exists(), "{name}");
    }
}

#[test]
fn beats_are_told_apart_from_the_rounds_that_they_follow() {
    let folder = tempfile::tempdir().unwrap();
    // The last of several values counts.
    let beats = SMALL.replace("--interval 0.3", "--interval 2 --beats 16 --beat-interval 0.25");
    let run = run(folder.path(), &format!("load {beats} --clients 12 --json out.json"));
    assert_eq!(run.code, 0, "{}", run.err);
    for words in
        ["suite 2", "\nbeats ", "\nlatency, cells ", "us a client's cell, ", "with its beats"]
    {
        assert!(run.out.contains(words), "{words}: {}", run.out);
    }
    let json = fs::read_to_string(folder.path().join("out.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    let beats = &report["beats"];
    assert_eq!(
        (&report["suite"], &beats["per_round"], &beats["cell_bytes"]),
        (&2.into(), &16.into(), &256.into())
    );
    for name in ["count", "cells", "cell_operations"] {
        assert!(beats[name].as_u64().unwrap() > 0, "{name}: {report}");
    }
    assert!(
        beats["lost_cells"].as_u64().unwrap() < beats["cells"].as_u64().unwrap() / 2,
        "{report}"
    );
    for name in ["p50", "p90", "p99", "max"] {
        assert!(beats["latency_ms"][name].as_f64().unwrap() > 0.0, "{name}: {report}");
    }
    if cfg!(target_os = "linux") {
        for name in ["server_cpu_s", "server_us_per_cell", "server_us_per_onion", "onion_to_cell"] {
            assert!(beats[name].as_f64().unwrap() > 0.0, "{name}: {report}");
        }
    }
}

#[test]
fn what_cannot_be_run_is_refused_with_what_would_be_right() {
    let here = Path::new(".");
    refused(here, "load", 2, "--local-shards");
    refused(here, "load --local-shards 3 --network client.toml", 2, "cannot be used with");
    refused(here, "load --local-shards 0", 2, "from 2 to 200");
    refused(here, "load --local-shards 201", 2, "at most 200");
    refused(here, "load --local-shards 1", 2, "both ends of every path");
    refused(here, "load --local-shards 3 --clients 0", 2, "1..=4294967295");
    refused(here, "load --local-shards 3 --epsilon 0", 2, "noise without end");
    refused(here, "load --local-shards 3 --epsilon 1e-9", 1, "Possible instead");
    // Nothing is measured for what cannot be written.
    refused(here, "load --local-shards 3 --json /nowhere/load.json", 1, "/nowhere/load.json");
    refused(here, "load --local-shards 3 --json .", 1, "cannot write .");
    refused(here, "load --local-shards 3 --report Cargo.toml", 1, "Cargo.toml");
    refused(here, "load --local-shards 3 --arrivals poisson", 2, "exponential");
    refused(here, "load --local-shards 3 --talking 1.5", 2, "from 0 to 1");
    refused(here, "load --local-shards 3 --kernel abacus", 2, "portable");
    refused(here, "load --network client.toml --hops 4", 2, "cannot be used with");
    refused(here, "load --network client.toml --beats 60", 2, "cannot be used with");
    refused(here, "load --local-shards 3 --beat-interval 1", 2, "--beats");
    refused(here, "load --local-shards 3 --beats 10 --interval 60", 2, "less than two intervals");
}

#[test]
fn more_clients_than_memory_holds_are_refused_with_how_many_fit() {
    let words = "clients need about";
    for clients in ["4000000000", "4294967295"] {
        let arguments = format!("load --local-shards 3 --clients {clients}");
        refused(Path::new("."), &arguments, 2, words);
        refused(Path::new("."), &arguments, 2, "ask for at most");
    }
}

#[test]
fn a_network_that_is_not_there_or_not_described_is_named() {
    let folder = tempfile::tempdir().unwrap();
    refused(folder.path(), "load --network nowhere.toml", 2, "nowhere.toml");
    refused(folder.path(), "load --network .", 2, "cannot read .");
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("odd.toml", "colour = 3");
    refused(folder.path(), "load --network odd.toml", 2, "colour");

    let (operator, coordinator) = ("01".repeat(32), "02".repeat(32));
    let network = format!(
        "[policy]\noperators_above_malicious = \"are trusted\"\n[[operator]]\nname = \"a\"\nkey = \"{operator}\"\n"
    );
    write("network.toml", &network);
    write(
        "client.toml",
        &format!(
            "network = \"network.toml\"\nstate = \"client.state\"\n[coordinator]\n\
             address = \"127.0.0.1:9\"\nidentity = \"{coordinator}\"\n"
        ),
    );
    refused(folder.path(), "load --network client.toml --clients 2", 1, "127.0.0.1:9");
    assert!(!folder.path().join("client.state").exists(), "the state is the client's own");
}

#[test]
#[ignore = "minutes of two cores and 2 GB of memory; docs/src/results.md says when it was run last, and what it found"]
fn a_hundred_shards_carry_a_thousand_clients_in_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let command = "load --local-shards 100 --clients 1000 --rounds 2 --json out.json";
    let run = run(folder.path(), command);
    assert_eq!(run.code, 0, "{}", run.err);
    println!("{}", run.out);
    let json = fs::read_to_string(folder.path().join("out.json")).unwrap();
    let report: Value = serde_json::from_str(&json).unwrap();
    for (name, value) in [("shards", 100), ("clients", 1000), ("hops", 14), ("lost_messages", 0)] {
        assert_eq!(report[name], value, "{name}: {report}");
    }
    let rounds = report["rounds"].as_array().unwrap();
    assert!(rounds.iter().all(|round| round["outcome"] == "delivered"), "{report}");
    // Whoever is late for a round has no message in it.
    let messages = report["messages"].as_u64().unwrap();
    assert!(rounds.len() == 2 && messages > 1800, "{report}");
}
