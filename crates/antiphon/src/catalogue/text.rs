//! The catalogue for people at a terminal.

use std::fmt::Write as _;

use antiphon_process::metrics::{Declaration, LabelSet};

/// Two lines for each metric, and one for each of its labels.
pub(super) fn text() -> String {
    let mut text = String::new();
    for (heading, metrics) in super::parts() {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{heading}");
        metrics.iter().for_each(|metric| of_metric(&mut text, metric));
        text.push('\n');
    }
    text
}

fn of_metric(text: &mut String, metric: &Declaration) {
    let Declaration { name, kind, unit, labels, meaning, harmless, .. } = metric;
    let _ = writeln!(text, "  {name}  ({}, {unit})", kind.name());
    let _ = writeln!(text, "      {meaning}. {harmless}");
    for (label, values) in *labels as &[LabelSet] {
        let _ = writeln!(text, "      {label}: {}", values.join(", "));
    }
}
