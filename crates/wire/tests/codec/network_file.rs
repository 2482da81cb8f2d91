//! The network file: what is pinned is what was written, or an error that says what to change.

use antiphon_wire::{NetworkFile, Operator, OperatorIndex, Policy};
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

use crate::strategies::identity;

const SAMPLE: &str = r#"
[policy]
malicious = 0.25
epsilon = 1.0
delta = 1e-5
disturbed_rounds = 245
total_delta = 0.125
total_over_days = 90
attempts = 777
most_pairs = 3
least_mixing_hops = 16
least_round_interval_ms = 2500
longest_epoch_s = 7200
longest_deadline_ms = 9000
operators_above_malicious = "are trusted"

[[operator]]
name = "Alder"
key = "0101010101010101010101010101010101010101010101010101010101010101"

[[operator]]
name = "Birch"
key = "0202020202020202020202020202020202020202020202020202020202020202"
weight = 3
"#;

#[test]
fn a_file_says_what_it_says() {
    let network = NetworkFile::parse(SAMPLE).unwrap();
    let policy = Policy {
        malicious_ppm: 250_000,
        epsilon: 1.0,
        delta: 1e-5,
        disturbed_rounds: 245,
        total_delta: 0.125,
        total_over_days: 90,
        attempts: 777,
        most_pairs: 3,
        least_mixing_hops: 16,
        least_round_interval_ms: 2500,
        longest_epoch_s: 7200,
        longest_deadline_ms: 9000,
        trusts_heavy_operators: true,
    };
    assert_eq!(network.policy, policy);
    assert_eq!(network.total_weight(), 4);
    let birch = network.operator(OperatorIndex(1)).unwrap();
    assert_eq!((birch.name.as_str(), birch.weight, birch.key.0), ("Birch", 3, [2; 32]));
    assert_eq!(network.index_of(&birch.key), Some(OperatorIndex(1)));
    assert_eq!(network.operator(OperatorIndex(2)), None);
}

/// Everything signed names the network by this: it must not change with the program.
#[test]
fn the_id_of_a_file_stays_what_it_is() {
    let id = NetworkFile::parse(SAMPLE).unwrap().id();
    assert_eq!(hex::encode(id.0), SAMPLE_ID);
}

const SAMPLE_ID: &str = "d9b98348ed05de8bccbc8185b3f872733b939dfb9e467407580feb8a73a0d23f";

#[test]
fn layout_and_spelt_out_defaults_do_not_change_the_id() {
    let id = |text: &str| NetworkFile::parse(text).unwrap().id();
    let same = [
        SAMPLE.replace("= ", "=  ") + "\n# a remark\n",
        SAMPLE.replace("name = \"Alder\"", "weight = 1\nname = \"Alder\""),
        SAMPLE.replace("1e-5", "0.00001"),
    ];
    for text in same {
        assert_eq!(id(&text), id(SAMPLE), "{text}");
    }
}

#[test]
fn any_change_of_policy_name_key_weight_or_order_changes_the_id() {
    let id = |text: &str| NetworkFile::parse(text).unwrap().id();
    let swapped = {
        let network = NetworkFile::parse(SAMPLE).unwrap();
        let operators = network.operators.iter().rev().cloned().collect();
        NetworkFile::new(operators, network.policy).unwrap().id()
    };
    assert_ne!(swapped, id(SAMPLE));
    for (from, to) in [
        ("0.25", "0.24"),
        ("epsilon = 1.0", "epsilon = 1.1"),
        ("1e-5", "1e-6"),
        ("245", "246"),
        ("= 16", "= 17"),
        ("2500", "2501"),
        ("0.125", "0.12500000000000003"),
        ("= 90", "= 91"),
        ("777", "778"),
        ("most_pairs = 3", "most_pairs = 2"),
        ("7200", "7201"),
        ("9000", "9001"),
        ("operators_above_malicious = \"are trusted\"", ""),
        ("Alder", "Ash"),
        ("0101\"", "0102\""),
        ("weight = 3", "weight = 4"),
    ] {
        assert_ne!(id(&SAMPLE.replace(from, to)), id(SAMPLE), "{from} -> {to}");
    }
}

#[test]
fn what_makes_no_sense_is_refused_by_name() {
    for (from, to, named) in [
        ("0.25", "0.5", "`policy.malicious` is 0.5"),
        ("0.25", "-0.1", "`policy.malicious` is -0.1"),
        ("0.25", "nan", "`policy.malicious` is NaN"),
        ("0.25", "7000.0", "`policy.malicious` is 7000"),
        ("epsilon = 1.0", "epsilon = 0.0", "policy.epsilon"),
        ("epsilon = 1.0", "epsilon = inf", "policy.epsilon"),
        ("epsilon = 1.0", "epsilon = nan", "policy.epsilon"),
        ("1e-5", "1.0", "policy.delta"),
        ("1e-5", "nan", "policy.delta"),
        ("245", "0", "policy.disturbed_rounds"),
        ("245", "-1", "disturbed_rounds"),
        ("0.125", "0.000001", "policy.total_delta"),
        ("0.125", "1.5", "policy.total_delta"),
        ("0.125", "nan", "policy.total_delta"),
        ("= 90", "= 0", "policy.total_over_days"),
        ("777", "0", "policy.attempts"),
        ("most_pairs = 3", "most_pairs = 17", "policy.most_pairs"),
        ("7200", "0", "policy.longest_epoch_s"),
        ("9000", "3600001", "policy.longest_deadline_ms"),
        ("are trusted", "are fine", "policy.operators_above_malicious"),
        ("= 16", "= 1", "policy.least_mixing_hops"),
        ("= 16", "= 100", "policy.least_mixing_hops"),
        ("weight = 3", "weight = 0", "operator.weight"),
        ("weight = 3", "weight = 4000000000", "operator.weight"),
        ("Birch", "Alder", "operator.name"),
        ("0202020202", "02020202", "64 hexadecimal digits"),
        ("weight = 3", "wieght = 3", "wieght"),
        ("[policy]", "[politics]", "politics"),
    ] {
        let text = SAMPLE.replacen(from, to, 1);
        assert_ne!(text, SAMPLE, "{from}");
        let said = NetworkFile::parse(&text).unwrap_err().to_string();
        assert!(said.contains(named), "{from} -> {to}: {said}");
    }
}

/// A name is printed wherever people check a file that somebody else has made.
#[test]
fn a_name_that_would_not_look_like_one_is_refused_and_shown_escaped() {
    let long = "x".repeat(65);
    for (name, shown) in [
        (r"new\nnetwork 72199e2ce927", r"new\nnetwork"),
        (r"\u001b[31m", r"\u{1b}[31m"),
        (r"a\u009bb", r"\u{9b}"),
        (r"\u202egnirts", r"\u{202e}"),
        (r"a\u2066b", r"\u{2066}"),
        (r"a\u200fb", r"\u{200f}"),
        (r"a\u200bb", r"\u{200b}"),
        ("   ", "   "),
        ("", "operator.name"),
        (long.as_str(), "64 bytes"),
    ] {
        let said = NetworkFile::parse(&SAMPLE.replace("Alder", name)).unwrap_err().to_string();
        assert!(said.contains("operator.name") && said.contains(shown), "{name}: {said}");
        assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
    }
    let raw = SAMPLE.replace("Alder", "\u{1b}[31m\u{202e}");
    let said = NetworkFile::parse(&raw).unwrap_err().to_string();
    assert!(!said.contains(['\u{1b}', '\u{202e}']), "{said:?}");
    for name in [r#"with \"quotes\" and \\"#, "ünïcödé = [x]", "Verein für Netze e. V.", "日本"]
    {
        assert!(NetworkFile::parse(&SAMPLE.replace("Alder", name)).is_ok(), "{name}");
    }
}

/// Text that is nearly a file.
fn near_file() -> impl Strategy<Value = String> {
    (any::<prop::sample::Index>(), any::<prop::sample::Index>(), ".{0,12}").prop_map(
        |(from, to, put)| {
            let (a, b) = (from.index(SAMPLE.len()), to.index(SAMPLE.len()));
            format!("{}{put}{}", &SAMPLE[..a.min(b)], &SAMPLE[a.max(b)..])
        },
    )
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = NetworkFile::parse(&text);
    }

    #[test]
    fn any_near_miss_is_read_or_refused(text in near_file()) {
        if let Ok(network) = NetworkFile::parse(&text) {
            prop_assert!(NetworkFile::new(network.operators, network.policy).is_ok());
        }
    }

    #[test]
    fn operators_written_are_operators_read(
        keys in btree_set(identity(), 1..8),
        weights in vec(1u32..=1_000_000, 8),
    ) {
        let operators: Vec<_> = keys
            .into_iter()
            .zip(weights)
            .enumerate()
            .map(|(i, (key, weight))| Operator { name: format!("operator {i}"), key, weight })
            .collect();
        let mut text = "[policy]\n".to_owned();
        for Operator { name, key, weight } in &operators {
            let key = key.to_hex();
            text += &format!("[[operator]]\nname = \"{name}\"\nkey = \"{key}\"\nweight = {weight}\n");
        }
        let read = NetworkFile::parse(&text).unwrap();
        prop_assert_eq!(&read.operators, &operators);
        prop_assert_eq!(read.id(), NetworkFile::new(operators, Policy::default()).unwrap().id());
    }
}
