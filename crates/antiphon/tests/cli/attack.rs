//! `antiphon attack`.

use std::path::Path;

use serde_json::Value;

use crate::{done, refused, run};

#[test]
fn the_json_has_the_names_that_others_read() {
    let arguments = "attack --strategy drop-one-each --broken no-noise --trials 200 --json -";
    let json: Value = serde_json::from_str(&done(Path::new("."), arguments)).unwrap();
    assert_eq!(json["strategy"], "drop-one-each");
    assert_eq!(json["broken"], "no-noise");
    assert_eq!(json["trials"], 200);
    assert_eq!(json["caught"], true);
    let [advantage, low, high, bound] =
        ["advantage", "ci_low", "ci_high", "bound"].map(|name| json[name].as_f64().unwrap());
    assert!(bound < low && low <= advantage && advantage <= high, "{json}");
}

#[test]
fn an_intact_network_is_within_its_bound() {
    for worlds in ["idle", "pattern"] {
        let arguments =
            format!("attack --strategy drop-both --against {worlds} --trials 500 --json -");
        // The best guess reaches the bound, so that no number of trials tells.
        let run = run(Path::new("."), &arguments);
        assert_eq!(run.code, 4, "{}", run.err);
        let json: Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!(json["caught"], false);
        assert_eq!(json["verdict"], "undecided");
        assert_eq!(json["broken"], Value::Null);
        assert_eq!(json["against"], worlds);
    }
    let text = done(Path::new("."), "attack --strategy joint --trials 400");
    assert!(text.contains("Within: the guarantee holds against this attack."), "{text}");
}

#[test]
fn too_few_trials_show_nothing_and_say_how_many_would() {
    let run = run(Path::new("."), "attack --strategy joint --trials 1");
    assert_eq!(run.code, 4, "{}", run.err);
    assert!(run.out.contains("Undecided: the bound lies in the interval"), "{}", run.out);
    assert!(!run.out.contains("guarantee holds"), "{}", run.out);
    assert!(run.err.contains("joint on intact"), "{}", run.err);
    // So many do.
    let (_, takes) = run.out.split_once("nothing is shown; about ").unwrap();
    let (trials, _) = takes.split_once(" trials would tell").unwrap();
    let json = done(Path::new("."), &format!("attack --strategy joint --trials {trials} --json -"));
    assert!(json.contains("\"verdict\": \"within\""), "{json}");
}

#[test]
fn looking_before_disturbing_is_counted() {
    let arguments = "attack --strategy peek --rounds 100 --trials 10 --json -";
    let json: Value = serde_json::from_str(&run(Path::new("."), arguments).out).unwrap();
    let [bound, noise, mixing, peek] = ["bound", "bound_noise", "bound_mixing", "bound_peek"]
        .map(|name| json[name].as_f64().unwrap());
    assert!((peek / (400.0 * 0.4_f64.powi(13)) - 1.0).abs() < 1e-3, "{json}");
    assert!((bound - noise - mixing - peek).abs() < 1e-12 && peek > mixing, "{json}");
}

#[test]
fn what_is_not_as_it_should_be_is_named_and_fails() {
    // Ten trials cannot tell.
    let arguments = "attack --all --against pattern --trials 10";
    let run = run(Path::new("."), arguments);
    assert_eq!(run.code, 1, "{}", run.err);
    assert!(run.err.contains("aborts on early-open (pattern, 5 shards, seed 1)"), "{}", run.err);
    assert!(run.out.contains("drop-both"), "{}", run.out);
}

#[test]
fn the_book_shows_what_is_stored() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let page = std::fs::read_to_string(docs.join("src/results/attacks.md")).unwrap();
    for stored in ["idle", "pattern", "large"] {
        let table = done(&docs.join("results/attacks"), &format!("attack --table {stored}.json"));
        assert!(page.contains(&table), "the page is not made from {stored}.json:\n{table}");
    }
}

#[test]
fn several_seeds_and_other_sizes_can_be_asked_for() {
    let arguments = "attack --strategy drop-one-each --shards 10 --users 40 --hops 4 \
                     --seed 1,2 --trials 50 --json -";
    let run = run(Path::new("."), arguments);
    // So few trials show nothing either way.
    assert_eq!(run.code, 4, "{}", run.err);
    let json: Value = serde_json::from_str(&run.out).unwrap();
    for (at, seed) in [(0, 1), (1, 2)] {
        assert_eq!(json[at]["verdict"], "undecided");
        assert_eq!(json[at]["seed"], seed);
        assert_eq!(json[at]["comparisons"], 2);
        assert_eq!(json[at]["shards"], 10);
        assert_eq!(json[at]["users"], 40);
        assert_eq!(json[at]["mixing_hops"], 4);
    }
}

#[test]
fn unknown_names_list_what_there_is() {
    let here = Path::new(".");
    refused(here, "attack --strategy bribe", 2, "n-minus-one, sybil, joint, drop-one-each");
    refused(here, "attack --strategy drop-one-ech", 2, "'drop-one-each'");
    refused(here, "attack --strategy passive --broken no-shufle", 2, "'no-shuffle'");
    refused(here, "attack --strategy passive --broken no-door", 2, "no-verification, no-noise");
    refused(here, "attack --strategy passive --against all", 2, "idle, pattern");
    refused(here, "attack --strategy passive --trials 0", 2, "from 1 to");
    refused(here, "attack --strategy passive --rounds 0", 2, "from 1 to");
    refused(here, "attack --strategy left-out --against pattern", 2, "against idle");
    refused(here, "attack", 2, "--strategy");
    refused(here, "attack --strategy passive --users 1", 2, "from 2 to");
    refused(here, "attack --strategy passive --shards 2", 2, "none would be malicious");
    refused(here, "attack --strategy passive --hops 1", 2, "mixing hops");
    refused(here, "attack --strategy absent --shards 100", 2, "its size cannot be chosen");
    refused(here, "attack --strategy passive --large", 2, "cannot be used with");
    refused(here, "attack --table nowhere.json", 2, "nowhere.json");
    let list = done(here, "attack --list");
    assert!(list.contains("drop-noise") && list.contains("early-open"), "{list}");
}

#[test]
fn strategies_on_beats_see_nothing_on_the_intact_network_and_notice_what_is_broken() {
    let text = done(Path::new("."), "attack --beats --trials 8 --json -");
    let reports: Vec<Value> = serde_json::from_str(&text).unwrap();
    let of = |network: &str| reports.iter().filter(move |one| one["network"] == network).count();
    assert!(of("intact") > 15 && of("asks-early-on-loss") > 2 && of("no-fill") > 2, "{text}");
    for report in &reports {
        let told = report["told_apart"].as_u64().unwrap();
        assert_eq!(told > 0, report["network"] != "intact", "{report}");
    }
    // One round shows too little of what is broken, and the command says so.
    let few = run(Path::new("."), "attack --beats --trials 1");
    assert_eq!(few.code, 1, "{}", few.err);
    assert!(few.err.contains("NOT NOTICED"), "{}", few.err);
    refused(Path::new("."), "attack --beats --strategy passive", 2, "cannot be used with");
    assert!(done(Path::new("."), "attack --list").contains("drop-one "));
}
