//! `antiphon speed`: what this machine can do, in a few seconds.

mod text;

use clap::Args;

use crate::cli::json::JsonArguments;
use crate::cli::network::NetworkArguments;
use crate::cli::values;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::measurement::{MeasurementError, measure};
use crate::output::OutputError;
use crate::plan::{self, Figures, PlanError};

/// Measure what this machine can do, in a few seconds
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Measure what this machine can do, in a few seconds: how fast it peels and builds onions with each \
kernel of its processor, what filters, signatures and links cost, and how many users a shard on it \
can serve as one of --shards, each of an operator of its own.

Costs are processor time of one thread, the least of several repetitions, so that other programs \
disturb little. `antiphon plan --speed FILE` predicts a network of such machines.

Examples:
  antiphon speed
      a table, after some ten seconds
  antiphon speed --interval 2 --shards 20
      users for a round every two seconds, as one of twenty shards
  antiphon speed --json machine.json
      the figures for `antiphon plan --speed machine.json`"
)]
pub(crate) struct SpeedArguments {
    /// Seconds between the starts of two rounds
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = values::seconds)]
    interval: f64,
    #[command(flatten)]
    network: NetworkArguments,
    /// Fewer repetitions: about two seconds, and a less certain result
    #[arg(long)]
    quick: bool,
    #[command(flatten)]
    json: JsonArguments,
}

/// Reason why a machine's speed cannot be told.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpeedError {
    /// Nothing is measured.
    #[error(transparent)]
    Measurement(#[from] MeasurementError),
    /// The network to plan users for.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The measurement cannot be handed over.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for SpeedError {
    fn exit(&self) -> Exit {
        match self {
            Self::Plan(error) => error.exit(),
            Self::Output(error) => error.exit(),
            _ => Exit::Failed,
        }
    }
}

/// Measures this machine and prints its speed.
pub(crate) fn run(arguments: &SpeedArguments) -> Result<(), SpeedError> {
    // What cannot be planned or written is found before anything is measured.
    let network = Figures::of(&arguments.network.file().map_err(PlanError::from)?, 1, None)?;
    arguments.json.check()?;
    let mut report = measure(arguments.quick)?;
    report.at_interval = Some(plan::carried(&report, &network, arguments.interval)?);
    arguments.json.deliver(&report, &text::render(&report))?;
    Ok(())
}
