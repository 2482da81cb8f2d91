use std::fs;
use std::path::Path;

use antiphon_fixture::{Scripted, Setup};
use antiphon_routing::most_rounds;
use antiphon_wire::{IdentityKey, Policy};
use ed25519_dalek::SigningKey;
use serde_json::Value;

use crate::{done, refused, run};

#[test]
fn the_json_has_the_names_that_others_read() {
    let text = done(Path::new("."), "plan --json -");
    let json: Value = serde_json::from_str(&text).unwrap();
    for (name, value) in [
        ("shards", 5.0),
        ("operators", 5.0),
        ("hops", 14.0),
        ("layers", 15.0),
        ("honest_shards", 4.0),
        ("malicious", 0.2),
        ("epsilon", std::f64::consts::LN_2),
        ("delta", 1e-6),
        ("disturbed_rounds_budget", 1000.0),
    ] {
        assert_eq!(json[name].as_f64(), Some(value), "{name}");
    }
    for (name, about) in [
        ("noise_per_shard", 1616.0),
        ("sigma", 100.8),
        ("epsilon_reached", std::f64::consts::LN_2),
        ("epsilon_between_patterns", 2.0 * std::f64::consts::LN_2),
        ("delta_mix", 2.3e-10),
        ("delta_mix_conjectured", 7.5e-11),
        ("peek_round", 6.6e-10),
        ("peek_year", 4.1e-3),
        ("delta_mix_halfway_budget", 0.134),
        ("delta_total", 0.297),
        ("epsilon_with_attempts", 0.84),
        ("attempts_in_all", 2341.0),
        ("delta_mix_unnoticed", 0.18),
        ("p_fewer_than_two_honest", 9.3e-9),
    ] {
        let value = json[name].as_f64().unwrap();
        assert!(value > about / 3.0 && value < about * 3.0, "{name}: {value}");
    }
}

#[test]
fn the_total_is_the_sum_of_its_parts_and_stands_first() {
    let text = done(Path::new("."), "plan --json -");
    let json: Value = serde_json::from_str(&text).unwrap();
    let figure = |name: &str| json[name].as_f64().unwrap();
    let parts = ["", "_total_disturbed", "_total_undisturbed", "_total_peek"];
    let sum: f64 = parts.map(|part| figure(&format!("delta{part}"))).iter().sum();
    assert!((figure("delta_total") / sum - 1.0).abs() < 1e-9, "{json}");
    let text = done(Path::new("."), "plan");
    let (first, _) = text.split_once("Paths\n").unwrap();
    for words in ["epsilon", "delta in all", "peek", "over K = 1000 disturbed rounds", "0.3"] {
        assert!(first.contains(words), "{words}: {first}");
    }
    // What a large network promises at the same hops: nothing.
    let text = done(Path::new("."), "plan --shards 100");
    assert!(text.contains("1 promises nothing") && text.contains("0.15"), "{text}");
}

#[test]
fn how_long_a_shard_takes_to_stop_is_printed_and_grows_with_the_layers() {
    let here = Path::new(".");
    let grace = |arguments: &str| {
        let json: Value =
            serde_json::from_str(&done(here, &format!("plan {arguments} --json -"))).unwrap();
        (json["layers"].as_u64().unwrap(), json["termination_grace_s"].as_u64().unwrap())
    };
    let ((layers, usual), (more, longer)) = (grace(""), grace("--mix-target 1e-12"));
    // Three seconds for a layer, and as many for its replies.
    assert_eq!(longer - usual, 6 * (more - layers));
    let text = done(here, "plan");
    let line = text.lines().find(|line| line.contains("to stop a shard")).unwrap();
    assert!(line.contains(&format!(" {usual} s ")) && line.contains("SIGTERM"), "{line}");
    // As the handbook says.
    let page = include_str!("../../../../docs/src/running-a-network.md");
    assert!(
        page.contains(&format!("{usual} s with {layers} layers")),
        "{usual} s, {layers} layers"
    );
}

#[test]
fn a_smaller_total_takes_longer_paths() {
    let json = |arguments: &str| -> Value {
        serde_json::from_str(&done(Path::new("."), &format!("plan {arguments} --json -"))).unwrap()
    };
    let usual = json("");
    let hops = |total: f64| {
        let all = usual["hops_by_total"].as_array().unwrap();
        all.iter().find(|each| each["total"] == total).unwrap()["hops"].as_u64().unwrap()
    };
    assert_eq!(hops(0.3), 14);
    let longer = json("--total-delta 0.01");
    assert_eq!(longer["hops"], hops(0.01));
    assert!(longer["delta_total"].as_f64().unwrap() <= 0.01, "{longer}");
    refused(Path::new("."), "plan --total-delta 1e-7", 2, "policy.total_delta");
}

#[test]
fn people_get_labelled_figures_and_the_price_of_an_outage() {
    let text = done(Path::new("."), "plan");
    for words in [
        "mixing hops",
        "proven",
        "conjectured, not proven",
        "epsilon between patterns",
        "K/2 = 500",
        "at least 25 such hours",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
}

#[test]
fn json_goes_to_a_file_beside_the_text() {
    let directory = tempfile::tempdir().unwrap();
    let text = done(directory.path(), "plan --shards 10 --mix-target 1e-14 --json plan.json");
    assert!(text.contains("--mix-target"));
    let json: Value =
        serde_json::from_str(&fs::read_to_string(directory.path().join("plan.json")).unwrap())
            .unwrap();
    assert_eq!(json["shards"], 10);
    assert_eq!(json["hops"], json["hops_for_mix_target"]);
    assert_eq!(json["hops_by_rule"], 14);
    assert!(json["delta_mix"].as_f64().unwrap() <= 1e-14);
}

#[test]
fn wrong_values_are_told_what_would_be_right() {
    let here = Path::new(".");
    refused(here, "plan --malicious 0.5", 2, "below 0.5, such as 0.2");
    refused(here, "plan --epsilon ln1", 2, "ln2");
    refused(here, "plan --delta 1", 2, "1e-6");
    refused(here, "plan --network .", 2, "cannot read the network file .");
    refused(here, "plan --shards 0", 2, "2 to 1000");
    refused(here, "plan --disturbed 0", 2, "1..=1000000");
    refused(here, "plan --mix-target 0", 2, "probability");
    refused(here, "plan --network missing.toml", 2, "missing.toml");
    refused(here, "plan --network n.toml --shards 3", 2, "cannot be used with");
}

#[test]
fn impossible_targets_are_told_what_is_possible() {
    let here = Path::new(".");
    refused(here, "plan --epsilon 0", 2, "noise without end");
    refused(here, "plan --epsilon=-1", 2, "above 0");
    refused(here, "plan --epsilon nan", 2, "ln2");
    refused(here, "plan --delta 0", 2, "runs into its ends");
    for malicious in ["0.5", "1", "nan"] {
        let arguments = format!("plan --malicious {malicious}");
        refused(here, &arguments, 2, "as long as fewer than half are malicious");
    }
    // Nobody to share the trust with, however many shards the one operator runs.
    let lone = "both ends of every path";
    for arguments in ["--shards 1", "--shards 1 --malicious 0", "--shards 1 --users 1000"] {
        refused(here, &format!("plan {arguments}"), 2, lone);
    }
    refused(here, "plan --shards 1 --shards-per-operator 5", 2, lone);
    let directory = tempfile::tempdir().unwrap();
    let key = "01".repeat(32);
    let file = format!(
        "[policy]\noperators_above_malicious = \"are trusted\"\n[[operator]]\nname = \"o\"\nkey = \"{key}\"\n"
    );
    fs::write(directory.path().join("n.toml"), file).unwrap();
    refused(directory.path(), "plan --network n.toml", 2, lone);
    // What is offered instead is possible.
    done(here, "plan --shards 2");
    let three = done(here, "plan --shards 3 --malicious 0.34 --json -");
    let three: Value = serde_json::from_str(&three).unwrap();
    assert_eq!((&three["malicious_shards"], &three["honest_shards"]), (&1.into(), &2.into()));
    let text = done(here, "plan --shards 3");
    assert!(text.contains("--malicious 0.34"), "{text}");
}

#[test]
fn networks_that_cannot_form_an_epoch_are_refused() {
    let here = Path::new(".");
    let words = "64000 shards cannot form an epoch";
    refused(here, "plan --shards 1000 --shards-per-operator 64", 2, words);
    refused(here, "plan --users 10000 --shards 1000 --shards-per-operator 5", 2, "at most");
}

#[test]
fn budgets_out_of_reach_come_with_budgets_within() {
    let here = Path::new(".");
    let run = run(here, "plan --epsilon 0.01");
    assert_eq!((run.code, run.out.as_str()), (1, ""), "{}", run.err);
    let (_, instead) = run.err.split_once("Possible instead: ").unwrap();
    assert!(instead.contains("--epsilon 0.") && instead.contains("--disturbed "), "{instead}");
    let fewer = instead.split(", or ").find(|way| way.starts_with("--disturbed")).unwrap();
    done(here, &format!("plan --epsilon 0.01 {}", fewer.trim()));
    refused(here, "plan --delta 1e-300", 1, "Possible instead: --delta 1e-9");
    done(here, "plan --delta 1e-9");
    // Where that would fail as well, it is not offered.
    let run = crate::run(here, "plan --disturbed 1000000 --epsilon 0.001 --delta 1e-30");
    assert_eq!(run.code, 1);
    assert!(run.err.contains("more than one of") && !run.err.contains("1e-9"), "{}", run.err);
}

#[test]
fn what_cannot_be_reached_is_exit_code_1() {
    let here = Path::new(".");
    refused(here, "plan --mix-target 1e-300", 1, "raise the target");
    // The plan itself is printed; only its file cannot be.
    let run = run(here, "plan --json /nowhere/plan.json");
    assert_eq!(run.code, 1);
    assert!(run.err.contains("/nowhere/plan.json"), "{}", run.err);
}

fn public_key(seed: u8) -> String {
    IdentityKey::of(&SigningKey::from_bytes(&[seed; 32])).to_hex()
}

#[test]
fn conversations_of_more_pairs_are_planned_with_wider_noise() {
    let sigma = |arguments: &str| {
        let json: Value = serde_json::from_str(&done(Path::new("."), arguments)).unwrap();
        (json["pairs"].as_u64().unwrap(), json["sigma"].as_f64().unwrap())
    };
    let (one, two) = (sigma("plan --json -"), sigma("plan --pairs 2 --json -"));
    assert_eq!((one.0, two.0), (1, 2));
    assert!((two.1 / one.1 - 2.0).abs() < 0.02, "{one:?} {two:?}");
    assert!(done(Path::new("."), "plan --pairs 2").contains("moves the count"));
}

#[test]
fn a_network_file_is_planned_for() {
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path();
    let operators: String =
        (1..=4).map(|i| format!(" --operator o{i}={}:{i}", public_key(i))).collect();
    let trusting = "--malicious 0.1 --trust-heavy-operators --disturbed 100 --out n.toml";
    done(here, &format!("keygen network{operators} {trusting}"));
    let json: Value = serde_json::from_str(&done(here, "plan --network n.toml --json -")).unwrap();
    assert_eq!(json["operators"], 4);
    assert_eq!(json["malicious"], 0.1);
    assert_eq!(json["disturbed_rounds_budget"], 100);
    assert_eq!(json["noise_by_operator"][3]["weight"], 4);
    let text = done(here, "plan --network n.toml");
    assert!(text.contains("  o4 "), "{text}");

    fs::write(here.join("bad.toml"), "[policy]\nmalicious = 0.6\n[[operator]]\n").unwrap();
    refused(here, "plan --network bad.toml", 2, "bad.toml");
}

#[test]
fn a_plan_for_a_thousand_shards_is_what_the_planner_makes_of_them() {
    for (operators, arguments) in
        [(1000, "--shards 1000"), (100, "--shards 100 --shards-per-operator 10")]
    {
        let text = done(Path::new("."), &format!("plan {arguments} --json -"));
        let plan: Value = serde_json::from_str(&text).unwrap();
        let planned = |name: &str| plan[name].as_f64().unwrap();
        let mut setup = Setup { operators, ..Setup::small(1000, 0) };
        // As plans have it: nothing but the rule for f decides about the hops.
        setup.policy = Policy { least_mixing_hops: 2, total_delta: 1.0, ..Policy::default() };
        let (document, _) = Scripted::new(setup).honest(1, (1, 2));
        assert_eq!((document.shards.len(), planned("shards")), (1000, 1000.0));
        assert_eq!(f64::from(document.parameters.layers), planned("layers"), "{arguments}");
        let volumes = document.shards.iter().map(|shard| f64::from(shard.noise_volume));
        assert_eq!(volumes.sum::<f64>(), planned("noise_total"), "{arguments}");
        for shard in &document.shards {
            assert_eq!(f64::from(shard.noise_volume), planned("noise_per_shard"));
            assert_eq!(f64::from(shard.noise_sigma) / 1024.0, planned("sigma"));
        }
        assert_eq!(most_rounds(1000) as f64, planned("most_epoch_rounds"));
    }
}
