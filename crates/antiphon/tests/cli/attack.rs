//! `antiphon attack`.

use std::path::Path;

use serde_json::Value;

use crate::{done, refused};

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
        let json: Value = serde_json::from_str(&done(Path::new("."), &arguments)).unwrap();
        assert_eq!(json["caught"], false);
        assert_eq!(json["broken"], Value::Null);
        assert_eq!(json["against"], worlds);
    }
    let text = done(Path::new("."), "attack --strategy passive --trials 100");
    assert!(text.contains("The guarantee holds against this attack."), "{text}");
}

#[test]
fn unknown_names_list_what_there_is() {
    let here = Path::new(".");
    refused(here, "attack --strategy bribe", 2, "n-minus-one, sybil, drop-one-each");
    refused(here, "attack --strategy passive --broken no-door", 2, "no-verification, no-noise");
    refused(here, "attack --strategy passive --against all", 2, "idle or pattern");
    refused(here, "attack --strategy passive --trials 0", 2, "from 1 to");
    refused(here, "attack --strategy passive --rounds 0", 2, "from 1 to");
    refused(here, "attack --strategy left-out --against pattern", 2, "against idle");
    refused(here, "attack", 2, "--strategy");
    let list = done(here, "attack --list");
    assert!(list.contains("drop-noise") && list.contains("early-open"), "{list}");
}
