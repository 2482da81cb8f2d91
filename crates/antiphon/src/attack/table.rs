//! Stored measurements as a table of the book.

use std::fmt::Write as _;

use super::report::Report;
use super::text::figure;

/// In Markdown: a line for each strategy, network and size, with all seeds.
pub(super) fn markdown(reports: &[Report]) -> String {
    let mut text = String::new();
    if let Some(first) = reports.first() {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{} measurements; their intervals hold all at once with a confidence of {:.0} %.\n",
            reports.len(),
            100.0 * first.confidence
        );
    }
    text += "| strategy | network | worlds | shards, users, hops | trials x rounds | advantage | \
             intervals | expected | bound | verdict |\n|---|---|---|---|---|---:|---|---:|---:|---|\n";
    for seeds in reports.chunk_by(|one, other| line(one) == line(other)) {
        text += &row(seeds);
    }
    text
}

/// The columns that measurements with other seeds have in common.
fn line(report: &Report) -> impl PartialEq + use<'_> {
    let Report { strategy, broken, against, shards, users, mixing_hops, rounds, trials, .. } =
        report;
    (strategy, broken, against, shards, users, mixing_hops, rounds, trials)
}

fn row(seeds: &[Report]) -> String {
    // A chunk is never empty.
    let Some(first) = seeds.first() else { return String::new() };
    let network = first.broken.as_ref().map_or_else(|| "intact".into(), |name| format!("`{name}`"));
    let advantages: Vec<String> =
        seeds.iter().map(|report| format!("{:.4}", report.advantage)).collect();
    let low = seeds.iter().map(|report| report.ci_low).fold(1.0, f64::min);
    let high = seeds.iter().map(|report| report.ci_high).fold(-1.0, f64::max);
    // Of several seeds, what they agree on.
    let verdict =
        match (seeds.iter().all(|each| each.verdict() == first.verdict()), first.verdict()) {
            (true, "exceeded") if first.broken.is_some() => "caught",
            (true, verdict) => verdict,
            (false, _) => "undecided",
        };
    format!(
        "| `{}` | {network} | {} | {}, {}, {} | {} x {} | {} | {low:.4} to {high:.4} | {} | {} | {verdict} |\n",
        first.strategy,
        first.against,
        first.shards,
        first.users,
        first.mixing_hops,
        first.trials,
        first.rounds,
        advantages.join(", "),
        figure(seeds.iter().map(|report| report.expected).sum::<f64>() / seeds.len() as f64),
        figure(first.bound),
    )
}
