use std::path::Path;

use serde_json::Value;

use crate::{done, refused};

const PAGE: &str = include_str!("../../../../docs/src/metrics.md");

#[test]
fn the_page_of_the_book_is_the_catalogue() {
    let page = done(Path::new("."), "metrics --page");
    let differs = page.lines().zip(PAGE.lines()).find(|(now, written)| now != written);
    let how = "`antiphon metrics --page > docs/src/metrics.md` writes it anew";
    assert!(differs.is_none() && page.len() == PAGE.len(), "{how}: {differs:?}");
}

#[test]
fn every_metric_is_told_to_people_and_to_programs() {
    let here = Path::new(".");
    let text = done(here, "metrics");
    let catalogue: Value = serde_json::from_str(&done(here, "metrics --json")).unwrap();
    let metrics = catalogue.as_array().unwrap();
    let of = |program: &str| metrics.iter().filter(|metric| metric["program"] == program).count();
    assert!(of("shard") > 30 && of("coordinator") > 30, "{catalogue}");
    for metric in metrics {
        for field in ["name", "meaning", "harmless"] {
            assert!(text.contains(metric[field].as_str().unwrap()), "{field} of {metric}");
        }
        for label in metric["labels"].as_array().unwrap() {
            assert!(label["values"].as_array().unwrap().len() < 20, "{metric}");
        }
    }
    refused(here, "metrics --page --json", 2, "cannot be used with");
}
