//! The network file: what is pinned is what was written, or an error that says what to change.

use antiphon_wire::{IdentityKey, NetworkFile, Operator, OperatorIndex, Policy, Services, Suite};
use ed25519_dalek::SigningKey;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

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
early_rounds_an_hour = 3
early_rounds_a_day = 11
longest_epoch_s = 7200
longest_deadline_ms = 9000
suite = 2
canaries = 5
operators_above_malicious = "are trusted"

[[operator]]
name = "Alder"
key = "0101010101010101010101010101010101010101010101010101010101010101"

[[operator]]
name = "Birch"
key = "0303030303030303030303030303030303030303030303030303030303030303"
weight = 3
"#;

const KEY: &str = "0101010101010101010101010101010101010101010101010101010101010101";
const OTHER_KEY: &str = "0606060606060606060606060606060606060606060606060606060606060606";

const TRUSTED: &str = "operators_above_malicious = \"are trusted\"";

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
        early_rounds_an_hour: 3,
        early_rounds_a_day: 11,
        longest_epoch_s: 7200,
        longest_deadline_ms: 9000,
        suite: Suite::Hybrid,
        canaries: 5,
        trusts_heavy_operators: true,
        services: Services::NONE,
    };
    assert_eq!(network.policy, policy);
    assert_eq!(network.total_weight(), 4);
    let birch = network.operator(OperatorIndex(1)).unwrap();
    assert_eq!((birch.name.as_str(), birch.weight, birch.key.0), ("Birch", 3, [3; 32]));
    assert_eq!(network.index_of(&birch.key), Some(OperatorIndex(1)));
    assert_eq!(network.operator(OperatorIndex(2)), None);
}

/// Everything signed names the network by this: it must not change with the program.
#[test]
fn the_id_of_a_file_stays_what_it_is() {
    let id = NetworkFile::parse(SAMPLE).unwrap().id();
    assert_eq!(hex::encode(id.0), SAMPLE_ID);
}

const SAMPLE_ID: &str = "5640143e17448c3be2c26f770559b8e26ac4f97582011b837ba19b9d97e765cc";

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
        ("early_rounds_an_hour = 3", "early_rounds_an_hour = 4"),
        ("early_rounds_a_day = 11", "early_rounds_a_day = 10"),
        ("0.125", "0.12500000000000003"),
        ("= 90", "= 91"),
        ("777", "778"),
        ("most_pairs = 3", "most_pairs = 2"),
        ("7200", "7201"),
        ("9000", "9001"),
        ("suite = 2", "suite = 1"),
        ("canaries = 5", "canaries = 4"),
        ("Alder", "Ash"),
        (KEY, OTHER_KEY),
        ("weight = 3", "weight = 4"),
    ] {
        assert_ne!(id(&SAMPLE.replace(from, to)), id(SAMPLE), "{from} -> {to}");
    }
}

const SERVICES: &str = "
[services]
dead_drop_rounds = 1
mailbox_rounds = 4
invitations_every = 24
call_boxes = 16
invitation_boxes = 2
";

#[test]
fn a_file_says_which_rounds_are_for_mailboxes_and_all_of_it_is_in_the_id() {
    let of = |services: &str| {
        let network = NetworkFile::parse(&(SAMPLE.to_owned() + services)).unwrap();
        (network.policy.services, network.id())
    };
    let (services, id) = of(SERVICES);
    let expected = Services {
        dead_drop_rounds: 1,
        mailbox_rounds: 4,
        invitations_every: 24,
        call_boxes: 16,
        invitation_boxes: 2,
    };
    assert_eq!(services, expected);
    assert_eq!(of("[services]").0, Services::USUAL);
    assert_eq!(hex::encode(of("").1.0), SAMPLE_ID);
    assert_eq!(hex::encode(of("[services]\nmailbox_rounds = 0").1.0), SAMPLE_ID);
    for (from, to) in [
        ("dead_drop_rounds = 1", "dead_drop_rounds = 2"),
        ("= 4", "= 5"),
        ("= 24", "= 25"),
        ("= 16", "= 17"),
        ("boxes = 2", "boxes = 3"),
    ] {
        assert_ne!(of(&SERVICES.replacen(from, to, 1)).1, id, "{from} -> {to}");
    }
    for (from, to, named) in [
        ("dead_drop_rounds = 1", "dead_drop_rounds = 0", "services.dead_drop_rounds"),
        ("= 4", "= 1001", "services.mailbox_rounds"),
        ("= 24", "= 1", "services.invitations_every"),
        ("= 16", "= 257", "services.call_boxes"),
        ("boxes = 2", "boxes = 0", "services.invitation_boxes"),
        ("call_boxes", "call_boxs", "call_boxs"),
    ] {
        let text = SAMPLE.to_owned() + &SERVICES.replacen(from, to, 1);
        let refused = NetworkFile::parse(&text).unwrap_err().to_string();
        assert!(refused.contains(named), "{refused}");
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
        ("an_hour = 3", "an_hour = 1001", "policy.early_rounds_an_hour"),
        ("a_day = 11", "a_day = 1001", "policy.early_rounds_a_day"),
        ("7200", "0", "policy.longest_epoch_s"),
        ("9000", "3600001", "policy.longest_deadline_ms"),
        ("suite = 2", "suite = 3", "`policy.suite` is 3"),
        ("canaries = 5", "canaries = 9", "`policy.canaries` is 9"),
        ("are trusted", "are fine", "policy.operators_above_malicious"),
        ("= 16", "= 1", "policy.least_mixing_hops"),
        ("= 16", "= 100", "policy.least_mixing_hops"),
        ("weight = 3", "weight = 0", "operator.weight"),
        ("weight = 3", "weight = 4000000000", "operator.weight"),
        ("Birch", "Alder", "operator.name"),
        ("0303030303", "03030303", "64 hexadecimal digits"),
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

/// By a weak key anybody's signature holds; with no point of the curve nobody's does.
#[test]
fn keys_that_cannot_be_an_operators_are_refused() {
    let identity_point = format!("01{}", "00".repeat(31));
    let order_eight = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05";
    for key in ["00".repeat(32), identity_point, order_eight.to_owned(), "02".repeat(32)] {
        let said = NetworkFile::parse(&SAMPLE.replace(KEY, &key)).unwrap_err().to_string();
        assert!(said.contains("operator.key") && said.contains("keygen operator"), "{key}: {said}");
    }
}

/// Nobody counts as malicious where nobody is light enough.
#[test]
fn an_operator_heavier_than_the_malicious_share_has_to_be_trusted_in_words() {
    let key = |i: u8| IdentityKey::of(&SigningKey::from_bytes(&[i; 32]));
    let network = |malicious_ppm, weights: &[u32], trusts_heavy_operators| {
        let operator =
            |(i, &weight): (u8, &u32)| Operator { name: format!("op{i}"), key: key(i), weight };
        let operators = (0..).zip(weights).map(operator).collect();
        let policy = Policy { malicious_ppm, trusts_heavy_operators, ..Policy::default() };
        NetworkFile::new(operators, policy)
    };
    for (malicious_ppm, weights, who) in [
        (200_000, &[1; 3][..], "every operator must be trusted (op0, op1, op2)"),
        (200_000, &[1; 4], "every operator must be trusted (op0, op1, op2, op3)"),
        (200_000, &[1, 1, 1, 1, 2], "one operator must be trusted (op4)"),
        (200_000, &[30, 30, 20, 10, 10], "2 operators must be trusted (op0, op1)"),
        (199_999, &[1; 5], "every operator must be trusted (op0, op1, op2, op3, op4)"),
        (100_000, &[1; 9], "every operator must be trusted (op0, op1, op2, op3, op4, ...)"),
        (0, &[1; 20], "every operator"),
        (499_999, &[1], "every operator must be trusted (op0)"),
    ] {
        let said = network(malicious_ppm, weights, false).unwrap_err().to_string();
        assert!(said.contains(who) && said.contains("operators_above_malicious"), "{said}");
        let trusting = network(malicious_ppm, weights, true).unwrap();
        assert!(trusting.trust_in_words().unwrap().contains(who));
    }
    for (malicious_ppm, weights) in
        [(200_000, &[1; 5][..]), (250_000, &[1; 4]), (200_000, &[20, 20, 20, 20, 10, 10])]
    {
        assert_eq!(network(malicious_ppm, weights, false).unwrap().trust_in_words(), None);
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
        seeds in btree_set(any::<[u8; 32]>(), 5..12),
        weights in vec(1u32..=1_000_000, 12),
    ) {
        let operators: Vec<_> = seeds
            .into_iter()
            .map(|seed| IdentityKey::of(&SigningKey::from_bytes(&seed)))
            .zip(weights)
            .enumerate()
            .map(|(i, (key, weight))| Operator { name: format!("operator {i}"), key, weight })
            .collect();
        let mut text = format!("[policy]\n{TRUSTED}\n");
        for Operator { name, key, weight } in &operators {
            let key = key.to_hex();
            text += &format!("[[operator]]\nname = \"{name}\"\nkey = \"{key}\"\nweight = {weight}\n");
        }
        let read = NetworkFile::parse(&text).unwrap();
        prop_assert_eq!(&read.operators, &operators);
        let policy = Policy { trusts_heavy_operators: true, ..Policy::default() };
        prop_assert_eq!(read.id(), NetworkFile::new(operators, policy).unwrap().id());
    }
}
