use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::{done, refused, run};

const DEFAULT: &str = "account --honest 4 --sigma 101 --volume 1616";

fn json(arguments: &str) -> Value {
    serde_json::from_str(&done(Path::new("."), &format!("{arguments} --json -"))).unwrap()
}

fn number(json: &Value, name: &str) -> f64 {
    json[name].as_f64().unwrap_or_else(|| panic!("{name}: {json}"))
}

#[test]
fn epsilon_is_what_the_plan_reaches() {
    let account = json(&format!("{DEFAULT} --disturbed 1000 --delta 1e-6"));
    let plan = json("plan");
    assert_eq!(account["epsilon"], plan["epsilon_reached"]);
    assert_eq!(account["epsilon_two_step"], plan["epsilon_between_patterns"]);
    for (name, value) in [("honest", 4.0), ("sigma", 101.0), ("volume", 1616.0)] {
        assert_eq!(number(&account, name), value);
    }
    assert_eq!(account["mechanism"], "gaussian");
    assert_eq!(account["disturbed"], 1000);
    assert_eq!(number(&account, "delta"), 1e-6);
}

#[test]
fn epsilons_agree_with_the_reference_file() {
    let reference: Value =
        serde_json::from_str(include_str!("../../../dp-noise/vectors/accounting.json")).unwrap();
    for case in reference["cases"].as_array().unwrap() {
        let account = json(&format!(
            "account --honest {} --sigma {} --volume {} --disturbed {} --delta {}",
            case["honest_shards"],
            case["sigma"],
            case["volume"],
            case["disturbed_rounds"],
            case["delta"]
        ));
        let ratio = number(&account, "epsilon") / number(case, "epsilon");
        assert!((0.995..1.03).contains(&ratio), "{case}: {ratio}");
    }
}

#[test]
fn the_inverse_questions_invert() {
    let epsilon = number(&json(&format!("{DEFAULT} --disturbed 1000 --delta 1e-6")), "epsilon");
    let back = json(&format!("{DEFAULT} --disturbed 1000 --epsilon {epsilon}"));
    assert!((number(&back, "delta") / 1e-6 - 1.0).abs() < 0.01, "{back}");
    assert!(number(&back, "delta_two_step") > number(&back, "delta"));

    let rounds = json(&format!("{DEFAULT} --epsilon ln2 --delta 1e-6"));
    let most = number(&rounds, "rounds");
    assert!((1000.0..1010.0).contains(&most) && rounds["disturbed"] == rounds["rounds"]);
    assert!(number(&rounds, "rounds_two_step") < most);
    let beyond = json(&format!("{DEFAULT} --disturbed {} --delta 1e-6", most + 1.0));
    assert!(number(&beyond, "epsilon") > std::f64::consts::LN_2);
}

#[test]
fn the_other_mechanisms_take_their_own_parameters() {
    let laplace = json(
        "account --mechanism laplace --honest 1 --mean 240 --scale 12 --disturbed 1 --delta 1e-6",
    );
    // Two counts are seen, with a margin of 5e-5 each.
    assert!(number(&laplace, "epsilon") <= number(&laplace, "vuvuzela_epsilon") + 1e-4 + 1e-9);
    assert_eq!(laplace["mean_pairs"], 120.0);
    assert!(laplace.get("sigma").is_none() && laplace.get("volume").is_none());

    let poisson =
        json("account --mechanism poisson --honest 80 --mean 3100 --disturbed 1000 --delta 1e-6");
    assert!((0.5..0.8).contains(&number(&poisson, "epsilon")), "{poisson}");
    assert_eq!(poisson["honest_noise"], 496_000.0);
    // As much noise in the other split tells a little more or less, never the same.
    let split = json(
        "account --mechanism poisson --honest 80 --mean 3100 --mean-pairs 1000 --disturbed 1000 \
         --delta 1e-6",
    );
    assert!(number(&split, "epsilon") > number(&poisson, "epsilon"));
}

#[test]
fn json_without_a_path_goes_to_standard_output() {
    let given = format!("{DEFAULT} --json --disturbed 1000 --delta 1e-6");
    let account: Value = serde_json::from_str(&done(Path::new("."), &given)).unwrap();
    assert_eq!(account, json(&format!("{DEFAULT} --disturbed 1000 --delta 1e-6")));
}

#[test]
fn what_else_may_be_tried_adds_to_epsilon() {
    let base = number(&json(&format!("{DEFAULT} --disturbed 1000 --delta 1e-6")), "epsilon");
    for more in ["--lost-noise 2", "--left-out-attempts 100", "--attempts 100"] {
        let account = json(&format!("{DEFAULT} --disturbed 1000 --delta 1e-6 {more}"));
        let epsilon = number(&account, "epsilon");
        assert!(epsilon > base && epsilon < 1.03 * base, "{more}: {epsilon}");
    }
    let account = json(&format!("{DEFAULT} --disturbed 1000 --delta 1e-6 --attempts 100"));
    assert_eq!(number(&account, "false_positive"), 1.0 / f64::from(1 << 20));
    assert_eq!(number(&account, "epsilon_of_noise"), base);
    assert!(number(&account, "epsilon_of_false_positives") < 1e-6);
}

#[test]
fn the_least_volume_is_what_the_plan_solves_for() {
    let budget = "--disturbed 245 --epsilon ln4 --delta 1e-4";
    let least = json(&format!("account --honest 80 {budget}"));
    assert_eq!((&least["computed"], &least["volume"]), (&"volume".into(), &68.into()));
    assert_eq!(number(&least, "sigma"), 4.25);
    assert!(number(&least, "epsilon") <= 4.0_f64.ln());
    let nearer = json(&format!("account --honest 80 {budget} --least-cut 2"));
    assert_eq!(nearer["volume"], 40);
    let here = Path::new(".");
    let margin = "account --honest 80 --disturbed 1000 --delta 1e-6 --epsilon 0.04";
    refused(here, margin, 1, "fewer than 800 rounds");
    let wide = "account --honest 1 --disturbed 10000 --delta 1e-6 --epsilon 0.6";
    refused(here, wide, 1, "Possible instead: an epsilon of");
    refused(here, &format!("{DEFAULT} {budget}"), 2, "two of");
    refused(
        here,
        &format!("{DEFAULT} --disturbed 9 --delta 1e-6 --least-cut 2"),
        2,
        "least volume",
    );
    refused(here, &format!("account --honest 4 {budget} --least-cut 9"), 2, "from 0 to 8");
}

#[test]
fn people_get_the_same_figures_and_what_they_mean() {
    let directory = tempfile::tempdir().unwrap();
    let text = done(
        directory.path(),
        &format!("{DEFAULT} --disturbed 1000 --delta 1e-6 --lost-noise 1 --json a.json"),
    );
    for words in ["<- computed", "epsilon between patterns", "Upper bounds", "lost noise"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 120), "{text}");
    assert!(fs::read_to_string(directory.path().join("a.json")).unwrap().contains("\"epsilon\""));
    let near = done(
        directory.path(),
        "account --honest 9 --sigma 101 --volume 800 --disturbed 10 --delta 1e-4",
    );
    assert!(near.contains("nearer than four sigma"), "{near}");
}

#[test]
fn impossible_targets_are_told_what_is_possible() {
    let here = Path::new(".");
    let cases = [
        ("--honest 4 --sigma 101 --volume 1616 --disturbed 9 --epsilon 0", "noise without end"),
        ("--honest 4 --sigma 101 --volume 1616 --disturbed 9 --delta 0", "such as 1e-6"),
        ("--honest 4 --sigma 101 --volume 1616 --disturbed 0 --delta 1e-6", "1..=1000000"),
        ("--honest 0 --sigma 101 --volume 1616 --disturbed 9 --delta 1e-6", "from 1 to"),
        (
            "--honest 4 --sigma 0 --volume 1616 --disturbed 9 --delta 1e-6",
            "between 0.0625 and 65536",
        ),
        ("--honest 4 --sigma 101 --volume 1618 --disturbed 9 --delta 1e-6", "1616 or 1620"),
        ("--honest 4 --sigma 101 --volume 0 --disturbed 9 --delta 1e-6", "between 4 and 2097152"),
        ("--shards 1 --sigma 101 --volume 1616 --disturbed 9 --delta 1e-6", "with 2 shards"),
        (
            "--shards 3 --malicious-shards 5 --sigma 101 --volume 1616 --disturbed 9 --delta 1e-6",
            "at most 2 may be malicious",
        ),
        ("--sigma 101 --volume 1616 --disturbed 9 --delta 1e-6", "--honest"),
        ("--honest 4 --sigma 101 --volume 1616 --disturbed 9", "two of"),
        ("--honest 4 --sigma 101 --disturbed 9 --delta 1e-6", "--sigma and --volume"),
        (
            "--mechanism poisson --honest 4 --sigma 101 --mean 9 --disturbed 9 --delta 1e-6",
            "means nothing",
        ),
        ("--mechanism laplace --honest 4 --mean 9 --scale 0 --disturbed 9 --delta 1e-6", "scale"),
        ("--mechanism karaoke --honest 4 --disturbed 9 --delta 1e-6", "gaussian"),
        (
            "--honest 4 --sigma 101 --volume 1616 --disturbed 9 --delta 1e-6 --lost-noise 99",
            "up to 12",
        ),
        (
            "--honest 4 --sigma 101 --volume 1616 --disturbed 9 --delta 1e-6 --attempts 1 \
             --false-positive 2",
            "from 0 to 0.25",
        ),
        (
            "--honest 4 --sigma 101 --volume 1616 --disturbed 9 --delta 1e-6 --attempts 1 \
             --lost-noise 1",
            "give either",
        ),
    ];
    for (arguments, words) in cases {
        refused(here, &format!("account {arguments}"), 2, words);
    }
}

#[test]
fn what_the_noise_cannot_keep_is_exit_code_1() {
    let here = Path::new(".");
    let lone = "account --honest 1 --sigma 101 --volume 1616";
    refused(here, &format!("{lone} --disturbed 1000 --delta 1e-6"), 1, "Possible instead: a delta");
    refused(here, &format!("{lone} --epsilon ln2 --delta 1e-6"), 1, "more delta");
    refused(here, &format!("{DEFAULT} --epsilon 0.0001 --delta 1e-6"), 1, "one takes 0.0");
    // The answer itself is printed; only its file cannot be.
    let run = run(here, &format!("{DEFAULT} --disturbed 9 --delta 1e-6 --json /nowhere/a.json"));
    assert_eq!(run.code, 1);
    assert!(run.err.contains("/nowhere/a.json"), "{}", run.err);
}
