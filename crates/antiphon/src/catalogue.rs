//! `antiphon metrics`: every metric that shards, coordinators and controllers serve.

mod page;
mod text;

use antiphon_process::metrics::{Declaration, LabelSet, Program};
use clap::Args;
use serde::Serialize;

use crate::cli::json::JsonArguments;
use crate::exit::EXIT_CODES;
use crate::output::OutputError;

/// Show every metric that shards, coordinators and controllers serve
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Show the catalogue of metrics: what shards, coordinators and controllers serve at /metrics of their admin \
servers, each with its kind, its unit, its labels with all of their values, what it means, and why it tells \
nothing about users. A process serves these and no others.

  antiphon metrics
  antiphon metrics --json metrics.json
  antiphon metrics --page > docs/src/metrics.md"
)]
pub(crate) struct CatalogueArguments {
    /// Print the page of the book that has them
    #[arg(long, conflicts_with = "json")]
    page: bool,
    #[command(flatten)]
    json: JsonArguments,
}

/// A metric as JSON.
#[derive(Debug, Serialize)]
struct Entry {
    /// `shard`, `coordinator` or `controller`.
    program: String,
    name: &'static str,
    kind: &'static str,
    unit: &'static str,
    labels: Vec<Label>,
    /// The upper bounds of a histogram's buckets.
    buckets: &'static [f64],
    meaning: &'static str,
    harmless: &'static str,
}

#[derive(Debug, Serialize)]
struct Label {
    name: &'static str,
    values: &'static [&'static str],
}

/// Shows the catalogue.
pub(crate) fn run(arguments: &CatalogueArguments) -> Result<(), OutputError> {
    arguments.json.check()?;
    let entries: Vec<_> = Program::ALL
        .into_iter()
        .flat_map(|program| program.catalogue().map(move |metric| entry(program, metric)))
        .collect();
    let text = if arguments.page { page::page() } else { text::text() };
    arguments.json.deliver(&entries, &text)
}

fn entry(program: Program, metric: &Declaration) -> Entry {
    let label = |(name, values): &LabelSet| Label { name, values };
    Entry {
        program: program.to_string(),
        name: metric.name,
        kind: metric.kind.name(),
        unit: metric.unit,
        labels: metric.labels.iter().map(label).collect(),
        buckets: metric.buckets,
        meaning: metric.meaning,
        harmless: metric.harmless,
    }
}

/// The catalogue in parts, each with a heading.
fn parts() -> [(&'static str, &'static [&'static Declaration]); 5] {
    use antiphon_process::metrics::{controller, coordinator, network, process, shard};
    [
        ("Shards", shard::SHARD),
        ("Coordinators", coordinator::COORDINATOR),
        ("Shards and coordinators", network::NETWORK),
        ("Controllers", controller::CONTROLLER),
        ("Every process", process::PROCESS),
    ]
}
