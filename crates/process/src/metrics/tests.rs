use std::collections::BTreeSet;

use super::labels::{Cause, Outcome, Refusal, ShardEndpoint};
use super::*;

fn all() -> impl Iterator<Item = &'static Declaration> {
    let lists = [
        shard::SHARD,
        coordinator::COORDINATOR,
        controller::CONTROLLER,
        network::NETWORK,
        process::PROCESS,
    ];
    lists.into_iter().flatten().copied()
}

#[test]
fn every_metric_has_a_name_of_its_own_that_says_its_kind_and_unit() {
    let mut names = BTreeSet::new();
    for metric in all() {
        let Declaration { name, kind, unit, buckets, .. } = metric;
        assert!(names.insert(name), "{name} twice");
        let plain = |c: char| c.is_ascii_lowercase() || c == '_';
        assert!(name.chars().all(plain), "{name}");
        assert_eq!(*kind == Kind::Counter, name.ends_with("_total"), "{name}");
        assert_eq!(*kind == Kind::Histogram, !buckets.is_empty(), "{name}");
        assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        for ending in ["seconds", "bytes"] {
            let stem = name.strip_suffix("_total").unwrap_or(name);
            assert_eq!(stem.ends_with(ending), *unit == ending, "{name} in {unit}");
        }
    }
}

#[test]
fn every_metric_says_what_it_means_and_who_else_could_count_it() {
    for metric in all() {
        let Declaration { name, meaning, harmless, .. } = metric;
        assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{name}: {meaning}");
        assert!(harmless.ends_with('.') && harmless.contains(' '), "{name}: {harmless}");
    }
}

#[test]
fn labels_have_few_values_and_no_metric_many_series() {
    for metric in all() {
        for (label, values) in metric.labels {
            let different: BTreeSet<_> = values.iter().collect();
            assert_eq!(different.len(), values.len(), "{}: {label}", metric.name);
        }
        assert!(metric.series() <= 10, "{}: {}", metric.name, metric.series());
    }
    // What a Prometheus keeps of a process, with the series of histograms.
    for program in Program::ALL {
        let series = program.catalogue().map(|metric| {
            let of_one = if metric.kind == Kind::Histogram { metric.buckets.len() + 3 } else { 1 };
            metric.series() * of_one
        });
        let series: usize = series.sum();
        assert!(series < 300, "{program}: {series}");
    }
}

#[test]
fn a_label_is_shown_by_a_value_of_its_own() {
    let shown: Vec<_> = Cause::ALL.iter().map(|cause| labels::Label::value(*cause)).collect();
    assert_eq!(shown, <Cause as labels::Label>::VALUES);
    assert_eq!(<(ShardEndpoint, Refusal) as labels::Labels>::SETS.len(), 2);
    assert_eq!(<() as labels::Labels>::SETS.len(), 0);
    assert_eq!(<Outcome as labels::Labels>::SETS[0].0, "outcome");
}
