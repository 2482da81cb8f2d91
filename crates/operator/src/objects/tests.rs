//! Objects are the ones that earlier versions of the controller made.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::*;

/// A specification, and the objects that a version of the controller made of it.
#[derive(Deserialize)]
struct Golden {
    name: String,
    coordinators: Vec<String>,
    specification: MixNetworkSpec,
    /// Load balancers, in the order of the shards.
    #[serde(default)]
    peers: Vec<String>,
    #[serde(default)]
    clients: Vec<String>,
    objects: Vec<Value>,
}

impl Golden {
    fn made_now(&self) -> Vec<Value> {
        let coordinators = self.coordinators.iter().map(|key| key.parse().unwrap());
        let outer = self.peers.iter().zip(&self.clients).map(|(peers, clients)| Outer {
            peers: vec![peers.clone()],
            clients: vec![clients.clone()],
        });
        objects(&Plan {
            outer: &(0..).zip(outer).collect(),
            kinds: &BTreeSet::new(),
            name: &self.name,
            spec: &self.specification,
            coordinators: &coordinators.collect::<Vec<IdentityKey>>(),
            replicas: self.specification.shards,
        })
    }
}

fn files_of(version: &Path) -> BTreeMap<PathBuf, Golden> {
    let files = fs::read_dir(version).unwrap().map(|entry| entry.unwrap().path());
    let read = |path: PathBuf| {
        let golden = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        (path, golden)
    };
    files.map(read).collect()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}

/// Pods' templates, as bytes, by the name of their set.
fn pods(objects: &[Value]) -> BTreeMap<String, String> {
    let sets = objects.iter().filter(|object| object["kind"] == "StatefulSet");
    sets.map(|set| (set["metadata"]["name"].to_string(), set["spec"]["template"].to_string()))
        .collect()
}

#[test]
fn an_upgrade_of_the_controller_replaces_no_pod() {
    let versions = fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut compared = 0;
    for (path, golden) in versions.flat_map(|version| files_of(&version)) {
        let (then, now) = (pods(&golden.objects), pods(&golden.made_now()));
        assert!(!then.is_empty(), "{}", path.display());
        assert_eq!(
            then,
            now,
            "{}: this controller would replace every pod of networks that an earlier one runs. Make what is new depend on \
             a field of the specification that those do not have",
            path.display()
        );
        compared += 1;
    }
    assert!(compared >= 3);
}

#[test]
fn the_objects_of_this_version_are_those_that_were_agreed_on() {
    let version = folder().join(env!("CARGO_PKG_VERSION"));
    for (path, golden) in files_of(&version) {
        let same = golden.objects == golden.made_now();
        assert!(same, "{}: if this is meant, `k8s/check --update`", path.display());
    }
}

#[test]
fn a_shard_asks_for_addresses_of_both_families_where_it_is_dialled_and_nowhere_else() {
    let version = folder().join(env!("CARGO_PKG_VERSION"));
    for (kind, asked, other) in [
        ("cluster", "POD_IPS", "HOST_IPS"),
        ("loadBalancer", "POD_IPS", "HOST_IPS"),
        // Kubernetes before 1.29 refuses pods that ask for these.
        ("hostPort", "HOST_IPS", "POD_IPS"),
        ("nodePort", "HOST_IPS", "POD_IPS"),
    ] {
        let mut golden = files_of(&version).into_values().next().unwrap();
        let exposure = json!({ "type": kind, "family": "dual" });
        golden.specification.exposure = serde_json::from_value(exposure).unwrap();
        let made: String = golden.made_now().iter().map(ToString::to_string).collect();
        assert!(made.contains(&format!("\"name\":\"{asked}\"")), "{kind}");
        assert!(made.contains(&format!("${{{asked}}}:")), "{kind}");
        assert!(!made.contains(other), "{kind}");
    }
}
