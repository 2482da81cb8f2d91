//! Sets that somebody else installed, as the chart does, and what hinders this controller to take them over as they are.

use antiphon_wire::NetworkFile;
use k8s_openapi::api::apps::v1::StatefulSet;
use kube::ResourceExt as _;
use serde_json::Value;

use crate::cluster::MANAGER;
use crate::found::Found;
use crate::lists;
use crate::resource::MixNetworkSpec;

/// Note of a resource that lets pods be replaced for taking them over.
const REPLACES: &str = "antiphon.dev/adopt";
/// Differences that are told; there may be many.
const TOLD: usize = 6;

/// The reason for which sets that somebody else installed are not taken over.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Hindrance {
    #[error(
        "the ConfigMap with the operators' lists has those of {others} as well, so the set runs shards of several operators: a \
         MixNetwork is one operator's. Give each operator's shards a release of their own first"
    )]
    OtherOperators { others: String },
    #[error(
        "the set {set} has {found} pods, and the specification asks for {wanted} shards: set shards to {found} until it is taken over"
    )]
    Number { set: String, found: u16, wanted: u16 },
    #[error(
        "taking over the set {set} would replace its pods, one at a time, since their template would change: {changes}. Have the \
         specification say what runs, or allow it with the annotation antiphon.dev/adopt: replace-pods"
    )]
    Pods { set: String, changes: String },
}

/// `true` if somebody else made the set.
pub(crate) fn is_foreign(set: &StatefulSet) -> bool {
    set.labels().get("app.kubernetes.io/managed-by").is_none_or(|by| by != MANAGER)
}

/// `true` if whoever wrote the resource lets pods be replaced.
pub(crate) fn may_replace(resource: &impl kube::ResourceExt) -> bool {
    resource.annotations().get(REPLACES).is_some_and(|value| value == "replace-pods")
}

/// The hindrances to a take-over, as far as they are seen without asking the API server.
pub(crate) fn check(
    spec: &MixNetworkSpec,
    network: &NetworkFile,
    found: &Found,
) -> Result<(), Hindrance> {
    let Some(set) = found.set.as_ref().filter(|set| is_foreign(set)) else { return Ok(()) };
    let data = found.lists.as_ref().and_then(|map| map.data.as_ref());
    let has = |name: &&str| data.is_some_and(|data| data.contains_key(&lists::file_name(name)));
    let others = network.operators.iter().map(|operator| operator.name.as_str());
    let others: Vec<&str> = others.filter(|name| *name != spec.operator).filter(has).collect();
    if !others.is_empty() {
        return Err(Hindrance::OtherOperators { others: others.join(", ") });
    }
    match found.replicas() {
        Some(pods) if pods > 0 && pods != spec.shards => {
            Err(Hindrance::Number { set: set.name_any(), found: pods, wanted: spec.shards })
        }
        _ => Ok(()),
    }
}

/// The template of a set as it would become by what the API server says, and what that changes.
pub(crate) fn compare(now: &StatefulSet, then: &StatefulSet) -> Result<(), Hindrance> {
    let template = |set: &StatefulSet| {
        let template = set.spec.as_ref().map(|spec| &spec.template);
        serde_json::to_value(template).unwrap_or_default()
    };
    let mut changes = Vec::new();
    differences("", &template(now), &template(then), &mut changes);
    if changes.is_empty() {
        return Ok(());
    }
    let more = changes.len().saturating_sub(TOLD);
    changes.truncate(TOLD);
    let mut told = changes.join("; ");
    if more > 0 {
        told.push_str(&format!("; and {more} more"));
    }
    Err(Hindrance::Pods { set: now.name_any(), changes: told })
}

/// Every place at which two values differ, with both.
fn differences(at: &str, now: &Value, then: &Value, found: &mut Vec<String>) {
    match (now, then) {
        (Value::Object(one), Value::Object(other)) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
            keys.sort_unstable();
            keys.dedup();
            let of = |map: &serde_json::Map<String, Value>, key: &str| {
                map.get(key).cloned().unwrap_or_default()
            };
            for key in keys {
                let at = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
                differences(&at, &of(one, key), &of(other, key), found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (number, (one, other)) in one.iter().zip(other).enumerate() {
                differences(&format!("{at}[{number}]"), one, other, found);
            }
        }
        _ if now == then => {}
        (Value::Null, then) => found.push(format!("{at} would become {then}")),
        (now, Value::Null) => found.push(format!("{at} is {now}, and would be gone")),
        (now, then) => found.push(format!("{at} is {now}, and would become {then}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(by: &str, image: &str, args: &[&str]) -> StatefulSet {
        let labels = json!({ "app.kubernetes.io/managed-by": by });
        let containers = json!([{ "name": "shard", "image": image, "args": args }]);
        let template = json!({ "spec": { "containers": containers } });
        let spec =
            json!({ "replicas": 3, "selector": {}, "serviceName": "x", "template": template });
        serde_json::from_value(json!({
            "metadata": { "name": "mix-shard", "labels": labels }, "spec": spec,
        }))
        .unwrap()
    }

    fn specification(shards: u16) -> (MixNetworkSpec, NetworkFile) {
        let key = |seed| {
            antiphon_wire::IdentityKey::of(&ed25519_dalek::SigningKey::from_bytes(&[seed; 32]))
                .to_hex()
        };
        let names = ["alpha", "beta", "gamma", "delta", "epsilon"];
        let operators = names.iter().zip(1..);
        let file = operators.fold("[policy]\n".to_owned(), |text, (name, seed)| {
            text + &format!("[[operator]]\nname = \"{name}\"\nkey = \"{}\"\n", key(seed))
        });
        let spec = json!({
            "operator": "alpha", "shards": shards, "network": { "configMap": "net", "id": "" },
            "operatorKey": { "secret": "s" }, "coordinator": { "run": {} }, "image": "x",
        });
        (serde_json::from_value(spec).unwrap(), NetworkFile::parse(&file).unwrap())
    }

    fn found(by: &str, lists: &[&str]) -> Found {
        let data: serde_json::Map<String, Value> =
            lists.iter().map(|name| (format!("{name}.list"), json!(""))).collect();
        Found {
            set: Some(set(by, "a", &[])),
            lists: Some(serde_json::from_value(json!({ "data": data })).unwrap()),
            ..Found::default()
        }
    }

    #[test]
    fn what_the_chart_installed_is_taken_over_as_it_is_and_anything_else_is_told_in_words() {
        let said = |shards, found: &Found| {
            let (spec, network) = specification(shards);
            check(&spec, &network, found)
                .map_or_else(|hindrance| hindrance.to_string(), |()| String::new())
        };
        assert_eq!(said(3, &found("Helm", &["alpha"])), "");
        let several = said(3, &found("Helm", &["alpha", "beta", "gamma"]));
        assert!(several.contains("those of beta, gamma as well"), "{several}");
        let number = said(1, &found("Helm", &["alpha"]));
        assert!(number.contains("has 3 pods") && number.contains("set shards to 3"), "{number}");
        // Its own sets it scales, whatever the number was.
        assert_eq!(said(1, &found(MANAGER, &["alpha"])), "");
        assert_eq!(said(1, &Found::default()), "");
    }

    #[test]
    fn a_take_over_that_would_replace_pods_says_what_would_change_in_them() {
        let now = set("Helm", "a@sha256:1", &["--log", "info"]);
        assert_eq!(compare(&now, &set(MANAGER, "a@sha256:1", &["--log", "info"])), Ok(()));
        let then = set(MANAGER, "a@sha256:2", &["--log", "debug"]);
        let words = compare(&now, &then).unwrap_err().to_string();
        for part in [
            "spec.containers[0].image is \"a@sha256:1\", and would become \"a@sha256:2\"",
            "spec.containers[0].args[1] is \"info\", and would become \"debug\"",
            "antiphon.dev/adopt: replace-pods",
        ] {
            assert!(words.contains(part), "{words}");
        }
    }
}
