//! Predictions of `antiphon plan`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{done, refused};

fn plan(arguments: &str) -> Value {
    let text = done(Path::new("."), &format!("plan {arguments} --json -"));
    serde_json::from_str(&text).unwrap()
}

#[test]
fn the_json_has_the_names_that_others_read() {
    let round = plan("--users 2000000 --shards 100 --cores 36 --link-gbps 10 --delay-ms 50");
    let latency = round["predicted_latency_ms"].as_f64().unwrap();
    // Not below 37 delays, and far below what Karaoke took.
    assert!((1850.0..6800.0).contains(&latency), "{latency}");
    let phases = round["phases"].as_object().unwrap();
    let sum: f64 = phases.values().map(|ms| ms.as_f64().unwrap()).sum();
    assert!((sum - latency).abs() < 1e-6 * latency);
    for name in
        ["submit", "delay", "transfer", "peel", "shuffle", "verification", "exchange", "replies"]
    {
        assert!(phases.contains_key(name), "{name}");
    }
    for name in [
        "bandwidth_per_shard_gbps",
        "memory_per_shard_bytes",
        "bytes_per_client_up",
        "bytes_per_client_down",
        "cpu_s_per_shard",
        "load",
    ] {
        assert!(round[name].as_f64().unwrap() > 0.0, "{name}");
    }
    // What a plan says without users is still there.
    assert_eq!(round["hops"], 14);
    assert_eq!(round["users"], 2_000_000);
}

#[test]
fn suite_2_costs_a_client_17_times_the_bytes() {
    let network = "--users 2000000 --shards 100 --interval 300";
    let [one, two] = [1, 2].map(|suite| plan(&format!("{network} --suite {suite}")));
    assert_eq!(one["assumptions"]["suite"], 1);
    assert_eq!(two["assumptions"]["suite"], 2);
    let figure = |of: &Value, name: &str| of[name].as_f64().unwrap();
    let times = |name| figure(&two, name) / figure(&one, name);
    assert!((15.0..18.0).contains(&times("bytes_per_client_up")));
    assert!((0.99..1.01).contains(&times("bytes_per_client_down")), "replies stay as they are");
    assert!(times("cpu_s_per_shard") > 5.0 && times("memory_per_shard_bytes") > 2.5);
    refused(Path::new("."), &format!("plan {network} --suite 3"), 2, "there is no suite");
}

#[test]
fn the_egress_of_a_user_is_what_the_shards_send_over_a_month_of_rounds() {
    let figure = |of: &Value, name: &str| of[name].as_f64().unwrap();
    for (shards, users, interval) in [(100, 1_000_000, 5), (5, 10_000, 10)] {
        let of = plan(&format!("--shards {shards} --users {users} --interval {interval}"));
        let sent = figure(&of, "bytes_sent_per_shard") * f64::from(shards) / f64::from(users);
        let month = sent * 30.0 * 86_400.0 / f64::from(interval);
        let ratio = figure(&of, "egress_bytes_per_user_and_month") / month;
        assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
        // Each onion leaves a shard once a layer, and its reply does, and clients get theirs.
        let replies = figure(&of, "bytes_per_client_down");
        assert!(figure(&of, "egress_bytes_per_user_and_round") > 10.0 * replies);
    }
}

#[test]
fn without_users_nothing_is_predicted() {
    let quiet = plan("--shards 5");
    assert!(quiet.get("predicted_latency_ms").is_none());
    assert!(quiet.get("assumptions").is_none());
}

#[test]
fn the_largest_load_for_a_target_takes_as_long_as_the_target() {
    let network = "--shards 100 --delay-ms 50";
    let users = plan(&format!("{network} --target-latency-s 6.8"))["largest_users_for_target"]
        .as_u64()
        .unwrap();
    let latency = plan(&format!("{network} --users {users}"))["predicted_latency_ms"].as_f64();
    assert!((6700.0..=6800.0).contains(&latency.unwrap()), "{latency:?}");
    let here = Path::new(".");
    refused(here, &format!("plan {network} --target-latency-s 1"), 1, "cannot be reached");
}

#[test]
fn people_get_the_phases_in_order_and_what_was_assumed() {
    let text = done(Path::new("."), "plan --users 100000 --shards 20 --target-latency-s 30");
    let (_, predicted) = text.split_once("A round of 100000 users").unwrap();
    let places: Vec<_> =
        ["  latency", "  submit", "  delay", "  peel", "  replies", "largest", "Assumed"]
            .map(|words| predicted.find(words).unwrap())
            .into();
    assert!(places.is_sorted(), "{predicted}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn this_machine_carries_all_shards_itself() {
    let round = plan("--users 1000 --shards 3 --this-machine");
    assert_eq!(round["assumptions"]["one_machine"], true);
    assert!(round["assumptions"]["delay_ms"].is_null());
    let cpu = round["cpu_s_per_shard"].as_f64().unwrap() * 3.0;
    let cores = round["assumptions"]["cores"].as_f64().unwrap();
    let latency = round["predicted_latency_ms"].as_f64().unwrap() * 1e-3;
    assert!(latency > 0.5 * cpu / cores, "{latency} s for {cpu} s of {cores} cores");
}

#[test]
fn a_curve_stands_beside_what_was_published() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let json: Value = serde_json::from_str(&done(
        here,
        "plan --shards 100 --curve users --plot curve.svg --json -",
    ))
    .unwrap();
    let points = json["points"].as_array().unwrap();
    let users = |i: usize| points[i]["users"].as_u64().unwrap();
    assert_eq!((users(0), users(points.len() - 1)), (100_000, 100_000_000));
    let latencies: Vec<_> =
        points.iter().map(|point| point["predicted_latency_ms"].as_f64().unwrap()).collect();
    assert!(latencies.is_sorted());
    assert_eq!(json["karaoke"][0]["latency_ms"], 6800.0);
    let svg = fs::read_to_string(here.join("curve.svg")).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("Karaoke"));
    // Karaoke's servers are not comparable with other numbers of shards.
    let json: Value =
        serde_json::from_str(&done(here, "plan --shards 20 --curve users --json -")).unwrap();
    assert_eq!(json["karaoke"].as_array().unwrap().len(), 0);

    // Beats are a line of their own, and delays as well as users can vary.
    let json: Value = serde_json::from_str(&done(
        here,
        "plan --shards 100 --curve delay --users 2000000 --beats --plot delay.svg --json -",
    ))
    .unwrap();
    let latency = |at: usize, name: &str| json["points"][at][name].as_f64().unwrap();
    for at in 0..7 {
        assert!(latency(at, "beat_latency_ms") < latency(at, "predicted_latency_ms"));
        assert!(latency(at, "beat_latency_ms") < latency(at + 1, "beat_latency_ms"));
    }
    assert!(fs::read_to_string(here.join("delay.svg")).unwrap().contains("a beat, predicted"));
    let table = done(here, "plan --shards 100 --curve users --beats");
    for system in ["Yodel: 0.99 s for 5000000 users", "Groove: 32.00 s", "TEEMS: 1.00 s", "Trellis"]
    {
        assert!(table.contains(system), "{table}");
    }
    let table = done(here, "plan --curve shards");
    assert!(table.contains("   1000 ") && table.contains(" 6.8 "), "{table}");
}

#[test]
fn nonsense_is_told_what_would_be_right() {
    let here = Path::new(".");
    for users in ["0", "many", "1e6", "18446744073709551616", "100000000001"] {
        refused(here, &format!("plan --users {users}"), 2, "a whole number of users from 1 to");
    }
    // The model counts a shard's onions as the protocol does.
    refused(here, "plan --users 100000000000 --shards 5", 2, "take more shards");
    refused(here, "plan --users 1 --cores 0", 2, "1..=4096");
    refused(here, "plan --users 1 --link-gbps 0", 2, "above 0");
    refused(here, "plan --users 1 --delay-ms -1", 2, "unexpected argument");
    refused(here, "plan --users 1 --delay-ms=-1", 2, "from 0");
    refused(here, "plan --users 1 --interval 0", 2, "above 0");
    refused(here, "plan --users 1 --shards 65536", 2, "from 2 to 1000");
    refused(here, "plan --users 1 --target-latency-s 0", 2, "above 0");
    refused(here, "plan --users 1 --speed missing.json", 2, "missing.json");
    refused(here, "plan --users 1 --this-machine --delay-ms 5", 2, "cannot be used with");
    refused(here, "plan --curve users --plot curve.png", 2, ".svg");
    refused(here, "plan --curve users --plot /nowhere/curve.svg", 1, "/nowhere/curve.svg");
    // What would say nothing is not passed over in silence.
    for option in ["--speed s.json", "--cores 5", "--link-gbps 5", "--delay-ms 5", "--this-machine"]
    {
        refused(here, &format!("plan {option}"), 2, "--users <N>");
    }
    refused(here, "plan --curve users --users 5", 2, "leave --users out");
    refused(here, "plan --curve shards --network n.toml", 2, "leave --network out");
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("speed.json"), "{\"cores\": 2}").unwrap();
    refused(directory.path(), "plan --users 1 --speed speed.json", 2, "antiphon speed --json");
    refused(directory.path(), "plan --users 1 --speed .", 2, "cannot read the speed file .");
}

#[test]
fn rounds_and_beats_stand_apart_and_their_parts_add_up() {
    // A total below 1, so that its parts add up to it.
    let network = "--users 2000000 --shards 100 --delay-ms 25 --total-delta 0.01";
    let text = format!("{network} --beats --beat-layer-ms 100 --mailboxes");
    let plan = plan(&text);
    let beats = &plan["beats"];
    let figure = |of: &Value, name: &str| of[name].as_f64().unwrap_or_else(|| panic!("{name}"));
    // What rounds with beats have unless something else is said.
    assert_eq!((&plan["assumptions"]["suite"], &beats["per_round"]), (&2.into(), &150.into()));
    assert_eq!(
        (&plan["assumptions"]["interval_s"], &beats["interval_ms"]),
        (&100.0.into(), &4000.into())
    );
    assert_eq!(plan["total_interval_ms"], 100_000);
    let latency = figure(beats, "beat_latency_ms");
    let layers = figure(&plan, "layers");
    let links = figure(beats, "beat_link_delays");
    assert_eq!(links, 2.0 * layers + 2.0);
    assert!(
        latency > 25.0 * links && latency < figure(&plan, "predicted_latency_ms") / 5.0,
        "{latency}"
    );
    let phases = beats["beat_phases"].as_object().unwrap();
    let sum: f64 = phases.values().map(|ms| ms.as_f64().unwrap()).sum();
    assert!((sum / latency - 1.0).abs() < 1e-9);
    // The same functions as rounds and machines have.
    let delta = &beats["delta"];
    let parts = ["noise", "disturbed", "undisturbed", "peek", "early"];
    let sum: f64 = parts.iter().map(|name| figure(delta, name)).sum();
    assert!((sum / figure(&plan, "delta_total") - 1.0).abs() < 1e-9, "{delta}");
    assert!(figure(delta, "early") > 0.0);
    let month = &beats["month"];
    for kind in ["client", "egress"] {
        let parts = ["rounds", "beats", "mailbox"];
        let sum: f64 =
            parts.iter().map(|part| figure(month, &format!("{kind}_{part}_bytes"))).sum();
        assert!((sum / figure(month, &format!("{kind}_bytes")) - 1.0).abs() < 1e-9, "{month}");
    }
    assert_eq!((figure(month, "rounds"), figure(month, "mailbox_rounds")), (8640.0, 17_280.0));
    assert_eq!(figure(month, "beats"), 648_000.0);
    let suites = beats["by_suite"].as_array().unwrap();
    assert!(
        figure(&suites[1], "round_cpu_s_per_shard")
            > 5.0 * figure(&suites[0], "round_cpu_s_per_shard")
    );
    let at_25 =
        beats["by_delay"].as_array().unwrap().iter().find(|at| at["delay_ms"] == 25.0).unwrap();
    assert_eq!(at_25["beat_latency_ms"], beats["beat_latency_ms"]);
    assert_eq!(at_25["round_latency_ms"], plan["predicted_latency_ms"]);
    // A hop more is two links more.
    assert!(figure(beats, "beat_ms_per_hop") >= 50.0);
}

#[test]
fn canaries_count_where_beats_follow_and_a_classic_network_says_nothing_of_beats() {
    let network = "--users 20000 --shards 5";
    let classic = plan(network);
    assert!(classic.get("beats").is_none());
    let same = plan(&format!("{network} --beats --suite 1 --interval 5"));
    let onions = |of: &Value| of["onions"].as_f64().unwrap();
    assert_eq!(onions(&same) - onions(&classic), 2.0 * 5.0);
    assert_eq!(same["beats"]["circuits"], same["onions"]);
    assert_eq!(same["beats"]["cell_operations"].as_f64(), Some(onions(&same) * 30.0));
    let here = Path::new(".");
    refused(here, &format!("plan {network} --beats 100"), 2, "from 150 to 65535 beats");
    refused(here, &format!("plan {network} --beat-ms 100"), 2, "--beats");
    refused(here, &format!("plan {network} --beats 40 --interval 100 --mailboxes"), 2, "from 150");
    refused(here, "plan --beats", 2, "--users <N>");
    let text = done(here, &format!("plan {network} --beats --delay-ms 300"));
    assert!(text.contains("cells are lost, see --beat-layer-ms"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}
