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
least_mixing_hops = 16
least_round_interval_ms = 2500

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
        least_mixing_hops: 16,
        least_round_interval_ms: 2500,
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

const SAMPLE_ID: &str = "74e61ef22f2a6ca4a526ee2b9b602d3a914517b7fbc31953b5a334aa97e9ae87";

#[test]
fn names_layout_and_spelt_out_defaults_do_not_change_the_id() {
    let id = |text: &str| NetworkFile::parse(text).unwrap().id();
    let same = [
        SAMPLE.replace("Alder", "Ash"),
        SAMPLE.replace("= ", "=  ") + "\n# a remark\n",
        SAMPLE.replace("name = \"Alder\"", "weight = 1\nname = \"Alder\""),
        SAMPLE.replace("1e-5", "0.00001"),
    ];
    for text in same {
        assert_eq!(id(&text), id(SAMPLE), "{text}");
    }
}

#[test]
fn any_change_of_policy_key_weight_or_order_changes_the_id() {
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
