//! Refusals by their words.

use antiphon_process::keyfile::{SecretKind, secret_file};
use serde_json::{Value, json};

use super::*;

/// A network file of five operators, of whom `alpha` has the key of ones.
fn network_file() -> String {
    let names = ["alpha", "beta", "gamma", "delta", "epsilon"];
    let operators = names.iter().zip(1..).map(|(name, seed)| {
        let key = IdentityKey::of(&SigningKey::from_bytes(&[seed; 32])).to_hex();
        format!("[[operator]]\nname = \"{name}\"\nkey = \"{key}\"\n")
    });
    operators.fold("[policy]\n".to_owned(), |text, operator| text + &operator)
}

fn specification() -> Value {
    let id = hex::encode(NetworkFile::parse(&network_file()).unwrap().id().0);
    json!({
        "operator": "alpha",
        "shards": 3,
        "network": { "configMap": "net", "id": id },
        "operatorKey": { "secret": "alpha-key" },
        "coordinator": { "run": {} },
        "image": format!("localhost/antiphon@sha256:{}", "1".repeat(64)),
    })
}

/// What is said of the specification with this in the place of what is there.
fn said(changes: &Value) -> String {
    let mut spec = specification();
    spec.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let spec: MixNetworkSpec = serde_json::from_value(spec).unwrap();
    let (network, key) = (network_file(), secret_file(SecretKind::Operator, &[1; 32]));
    let given = Given { network: Some(&network), operator_key: Some(&key), coordinators: Some(1) };
    accept(&spec, &given).map_or_else(|refusal| refusal.to_string(), |_| String::new())
}

#[test]
fn what_can_work_is_accepted() {
    assert_eq!(said(&json!({})), "");
    let one =
        json!({ "address": "a:7000", "identity": "06".repeat(32), "status": "http://a:9100" });
    let join = json!({ "join": [one] });
    assert_eq!(said(&json!({ "coordinator": join })), "");
    assert_eq!(said(&json!({ "image": "antiphon:1", "allowTags": true })), "");
    assert_eq!(said(&json!({ "requires": { "operators": 5, "epsilon": 0.7, "delta": 1e-6 } })), "");
}

#[test]
fn what_cannot_work_is_refused_in_words_that_say_what_would() {
    let both = json!({ "run": {}, "join": [{ "address": "a:1", "identity": "", "status": "" }] });
    for (changes, words) in [
        (json!({ "image": "antiphon:latest" }), "has no digest: a tag can be moved"),
        (
            json!({ "requires": { "operators": 6 } }),
            "requires.operators is 6, and the network file has 5",
        ),
        (
            json!({ "update": { "onlyBetween": "2-5" } }),
            "update.onlyBetween is 2-5: it should be a part of the day in UTC",
        ),
        (json!({ "requires": { "epsilon": 0.5 } }), "requires.epsilon is 0.5 at most"),
        (json!({ "requires": { "delta": 1e-9 } }), "requires.delta is"),
        (
            json!({ "shards": 1500 }),
            "more than an epoch of 720 rounds carries: set coordinator.run.epoch.rounds to",
        ),
        (
            json!({ "autoscale": { "minShards": 4, "maxShards": 3 } }),
            "autoscale.minShards is 4, which is more than autoscale.maxShards, 3",
        ),
        (
            json!({ "autoscale": { "minShards": 1, "maxShards": 197 } }),
            "on a round takes longer with every shard. Set it to 196 at most",
        ),
        (
            json!({
                "autoscale": { "minShards": 1, "maxShards": 100 },
                "coordinator": { "run": { "epoch": { "rounds": 20000, "intervalMs": 100, "prepareAheadRounds": 60 } } },
            }),
            "100 shards are more than an epoch of 20000 rounds carries",
        ),
        (
            json!({
                "autoscale": { "minShards": 1, "maxShards": 9 },
                "exposure": { "type": "nodePort", "peers": 30100, "clients": 30108 },
            }),
            "9 ports from 30100 on run into those from 30108 on",
        ),
        (
            json!({ "coordinator": { "run": { "beats": { "perRound": 2, "intervalMs": 4000 } } } }),
            "coordinator.run.beats: ",
        ),
        (json!({ "operator": "zeta" }), "names no operator zeta: it has alpha, beta"),
        (json!({ "operator": "beta" }), "holds another key than operator beta has"),
        (
            json!({ "network": { "configMap": "net", "id": "00".repeat(32) } }),
            "somebody has another file",
        ),
        (json!({ "coordinator": both }), "either run, to have it here, or join"),
        (
            json!({ "coordinator": { "run": { "replicas": 2 } } }),
            "coordinator.run.replicas is 2, and 1 run",
        ),
        (json!({ "coordinator": {} }), "either run, to have it here, or join"),
        (
            json!({ "shards": 9, "exposure": { "type": "nodePort", "peers": 30100, "clients": 30108 } }),
            "9 ports from 30100 on run into those from 30108 on",
        ),
        (
            json!({ "exposure": { "type": "nodePort", "coordinatorShards": 30710 } }),
            "1 ports from 30710 on run into those from 30710 on",
        ),
    ] {
        let said = said(&changes);
        assert!(said.contains(words), "{changes}: {said}");
    }
}

#[test]
fn what_is_missing_is_named() {
    let spec: MixNetworkSpec = serde_json::from_value(specification()).unwrap();
    let network = network_file();
    let said = |given: &Given<'_>| accept(&spec, given).map(|_| ()).unwrap_err().to_string();
    assert!(said(&Given::default()).contains("no ConfigMap net with `network.toml`"));
    let given = Given { network: Some(&network), operator_key: None, coordinators: None };
    assert!(said(&given).contains("no Secret alpha-key with `operator.key`"));
    let given = Given { network: Some(&network), operator_key: Some(b"zz"), coordinators: None };
    assert!(said(&given).contains("antiphon keygen operator"));
    assert!(
        said(&Given { network: Some("x"), operator_key: None, coordinators: None })
            .contains("network.toml in the ConfigMap net")
    );
}
