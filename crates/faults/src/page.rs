//! The matrix as a page of the book.

use std::fmt::Write as _;

use crate::row::{Row, Seen, Verdict};

const HEAD: &str = "\
# Fault matrix

A network of five shards, each a process of its own, and a coordinator, on loopback with rounds every two \
seconds and the default guarantee. Each row breaks a fresh network in one way. `cargo build --release -p \
antiphon && cargo run --release -p antiphon-faults -- --page docs/src/results/faults.md` writes this page \
anew. Times are of release builds on two cores on which other work was going on; those of rows in which two \
people talk are of development builds, which are optimised less, beside up to twenty other processes that \
wanted the same cores. Rows that were run again have what they saw last.

| row | what is done | what a person expects | what was seen |
|---|---|---|---|
";

/// Renders the page: a row for each result that there is.
pub(crate) fn render(rows: &[Row], seen: &[Seen]) -> String {
    let mut page = HEAD.to_owned();
    for row in rows {
        let Some(seen) = seen.iter().find(|seen| seen.row == row.name) else { continue };
        let mark = match seen.verdict {
            Verdict::Held => "",
            Verdict::Failed => "**not as expected**: ",
            Verdict::Skipped => "skipped: ",
        };
        // Writing to a string does not fail.
        let _ = writeln!(
            page,
            "| `{}` | {} | {} | {mark}{} |",
            row.name,
            cell(row.done),
            cell(row.expected),
            cell(&seen.seen)
        );
    }
    page
}

/// A text that keeps to its cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
