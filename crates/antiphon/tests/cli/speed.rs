use std::path::Path;

use serde_json::Value;

use crate::{done, refused};

#[test]
fn the_json_has_the_names_that_others_read() {
    let directory = tempfile::tempdir().unwrap();
    let text = done(directory.path(), "speed --quick --interval 5 --json -");
    let json: Value = serde_json::from_str(&text).unwrap();
    let kernels = json["kernels"].as_array().unwrap();
    let mut best = f64::INFINITY;
    for kernel in kernels {
        assert!(kernel["name"].is_string());
        let measured = [&kernel["dh_us"], &kernel["peel_us"]];
        if kernel["available"] == true {
            let [dh, peel] = measured.map(|us| us.as_f64().unwrap());
            assert!(dh > 0.0 && peel > 0.0, "{kernel}");
            best = peel.min(best);
        } else {
            assert!(measured.iter().all(|us| us.is_null()), "{kernel}");
        }
    }
    assert_eq!(json["best_peel_us"].as_f64(), Some(best));
    assert!(kernels.iter().any(|kernel| kernel["name"] == "portable"));
    for name in [
        "build_us_per_hop",
        "build_us_per_hop_without_tables",
        "kem_peel_us",
        "kem_build_us_per_hop",
        "reply_us",
        "cell_us",
        "close_us",
        "filter_insert_ns",
        "filter_test_ns",
        "sign_us",
        "verify_us",
        "hash_ns_per_byte",
        "link_gbytes_per_s",
        "link_cpu_ns_per_byte",
        "onions_per_s_per_core",
        "onions_per_s_all_cores",
        "core_scaling",
        "gbps_at_interval",
    ] {
        assert!(json[name].as_f64().unwrap() > 0.0, "{name}");
    }
    assert!(json["cores"].as_u64().unwrap() >= 1);
    assert!(json["users_at_interval"].is_u64());
    assert_eq!(json["interval_s"], 5.0);

    // The same file is what a plan takes.
    std::fs::write(directory.path().join("speed.json"), &text).unwrap();
    let plan = "plan --users 1000000 --shards 100 --speed speed.json --json -";
    let plan: Value = serde_json::from_str(&done(directory.path(), plan)).unwrap();
    assert_eq!(plan["assumptions"]["peel_us"].as_f64(), Some(best));
    assert!(plan["assumptions"]["machine"].as_str().unwrap().starts_with("speed.json"));
}

#[test]
fn wrong_values_are_told_what_would_be_right() {
    let here = Path::new(".");
    refused(here, "speed --interval 0", 2, "seconds");
    refused(here, "speed --shards 0", 2, "2 to 1000");
    refused(here, "speed --shards 1", 2, "both ends of every path");
    refused(here, "speed --epsilon 0", 2, "noise without end");
    // Nothing is measured for what cannot be planned or written.
    refused(here, "speed --epsilon 1e-9", 1, "Possible instead");
    refused(here, "speed --json /nowhere/speed.json", 1, "/nowhere/speed.json");
    refused(here, "speed --json .", 1, "cannot write .");
    refused(here, "speed --epsilon ln1", 2, "ln2");
}
