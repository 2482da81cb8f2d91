use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::{Value, json};

use crate::process::Process;

fn demo(arguments: &str) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny"), "a few words").unwrap();
    Command::new(env!("CARGO_BIN_EXE_antiphon"))
        .current_dir(folder.path())
        .arg("demo")
        .args(arguments.split_whitespace())
        .output()
        .unwrap()
}

fn report(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {errors}"))
}

#[test]
fn the_demonstration_carries_a_file_and_its_counts_add_up() {
    // Beats over onions of suite 2 are tried with far less noise, by `testnet`: these take much longer to build.
    let output = demo("--shards 2 --clients 4 --beats 20 --suite 1 --file tiny --json -");
    let report = report(&output);
    assert_eq!(output.status.code(), Some(0), "{report}");
    for (name, value) in
        [("shards", 2), ("operators", 2), ("hops", 14), ("clients", 4), ("suite", 1)]
    {
        assert_eq!(report[name], value, "{name}");
    }
    assert_eq!(report["disturbed_rounds_budget"], 1000);
    for name in ["noise_per_shard", "epsilon", "delta", "delta_mix", "delta_total"] {
        assert!(report[name].as_f64().unwrap() > 0.0, "{name}");
    }
    let messages = &report["messages"];
    assert_eq!(messages["intact"], true);
    assert_eq!(messages["sent"], messages["received"]);
    assert_eq!(messages["bytes"], 2 * "a few words".len());

    assert_eq!(report["spent"], json!({ "rounds": 0, "of": 500 }));
    let beats = &report["beats"];
    assert_eq!((&beats["per_round"], &beats["interval_ms"]), (&20.into(), &1000.into()));
    // Two a beat of the conversation; how many are lost is for the machine to say that runs this.
    let of = |name: &str| beats[name].as_u64().unwrap_or_else(|| panic!("{name}: {beats}"));
    assert!(of("count") >= 10 && of("cells") > 0 && of("lost") < of("cells"), "{beats}");
    let latency = &beats["latency_ms"];
    assert!(
        latency["p50"].as_u64() > Some(0) && latency["p99"].as_u64() >= latency["p50"].as_u64()
    );

    let rounds = report["rounds"].as_array().unwrap();
    assert!(!rounds.is_empty());
    let made = |name: &str| report[name].as_u64().unwrap();
    let made_by_each = made("noise_per_shard") + 2 * made("canaries_per_shard");
    assert!(made("canaries_per_shard") > 0);
    for round in rounds {
        let of = |name: &str| round[name].as_u64().unwrap_or_else(|| panic!("{name}: {round}"));
        assert_eq!(round["outcome"], "delivered");
        assert_eq!(of("noise_onions"), 2 * made_by_each);
        assert_eq!(of("user_onions") + of("noise_onions"), 2 * of("pairs") + of("singles"));
        assert_eq!(of("filters_checked"), 4);
        assert!(of("round") > 0 && of("latency_ms") > 0 && of("filter_bytes") > 0);
    }
}

#[test]
fn noise_that_a_shard_drops_is_missed_and_nothing_is_opened() {
    // That all rounds are lucky has a chance of one in a thousand.
    let output = demo("--shards 2 --clients 2 --rounds 4 --drop-noise 1 --json -");
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    // Rounds follow each other at once: without beats, and in suite 1.
    assert_eq!((&report["suite"], &report["beats"]), (&1.into(), &Value::Null));
    let rounds = report["rounds"].as_array().unwrap();
    assert_eq!(rounds.len(), 4);
    let aborted: Vec<_> = rounds.iter().filter(|round| round["outcome"] == "aborted").collect();
    assert!(!aborted.is_empty(), "{report}");
    for round in aborted {
        assert_eq!((&round["pairs"], &round["singles"]), (&0.into(), &0.into()));
        assert!(!round["reason"].as_str().unwrap().is_empty());
    }
    assert_eq!(report["messages"]["intact"], false);
}

#[test]
fn a_demonstration_that_is_stopped_or_cannot_work_says_so_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut stopped = Process::start(folder.path(), "stopped", "--log info demo --shards 2");
    stopped.wait_for_words("shard started");
    let (code, took) = stopped.terminate();
    assert_eq!(code, 3);
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert!(stopped.log().contains("interrupted"), "{}", stopped.log());

    for (arguments, code, words) in [
        ("demo --json nowhere/report", 1, "nowhere/report"),
        ("demo --file /dev/zero", 2, "no regular file"),
        ("plan --network /dev/zero", 2, "larger than"),
        ("load --local-shards 2 --interval 0.001", 2, "from 0.05"),
    ] {
        let mut refused = Process::start(folder.path(), "refused", arguments);
        assert_eq!(refused.exit_code(), code, "{arguments}");
        assert!(refused.log().contains(words), "{arguments}: {}", refused.log());
    }
    let few = format!("ulimit -n 40; exec {} demo", env!("CARGO_BIN_EXE_antiphon"));
    let output = Command::new("sh").args(["-c", &few]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("raise the limit"), "{said}");
}
