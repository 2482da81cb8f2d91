//! The catalogue as a page of the book.

use std::fmt::Write as _;

use antiphon_process::metrics::{Declaration, Kind, LabelSet};

const HEAD: &str = include_str!("page_head.md");

/// The page `docs/src/metrics.md`.
pub(super) fn page() -> String {
    let mut page = HEAD.to_owned();
    for (heading, metrics) in super::parts() {
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "\n## {heading}\n\n| metric | kind, unit | meaning | who else could count it |"
        );
        page.push_str("|---|---|---|---|\n");
        metrics.iter().for_each(|metric| row(&mut page, metric));
    }
    page
}

fn row(page: &mut String, metric: &Declaration) {
    let Declaration { name, kind, unit, labels, meaning, harmless, .. } = metric;
    let labels: String = labels.iter().map(of_label).collect();
    let unit = if *kind == Kind::Histogram { "seconds, in buckets" } else { unit };
    let _ =
        writeln!(page, "| `{name}` | {}, {unit} | {meaning}{labels} | {harmless} |", kind.name());
}

fn of_label((name, values): &LabelSet) -> String {
    // Versions change without the catalogue.
    let values = match *name {
        "version" => "the program's".to_owned(),
        _ => values.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", "),
    };
    format!("<br>`{name}`: {values}")
}
