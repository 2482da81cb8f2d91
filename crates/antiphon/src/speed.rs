//! `antiphon speed`: what this machine can do, in a few seconds.

mod cores;
mod fixture;
mod kernels;
mod link;
mod onions;
mod report;
mod small_costs;
mod stopwatch;
mod text;

use std::io;

use antiphon_model::SpeedReport;
use antiphon_onion::dh::KernelUnavailable;
use antiphon_onion::{BuildError, KeyError, PeelError};
use antiphon_transport::{BindError, DialError};
use clap::Args;

use crate::cli::json::JsonArguments;
use crate::cli::network::NetworkArguments;
use crate::cli::values;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::OutputError;
use crate::plan::{self, Figures, PlanError};

use stopwatch::Stopwatch;

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
    /// A key of the measurement is unusable.
    #[error("the measurement's own keys: {0}")]
    Key(#[from] KeyError),
    /// No onions can be built.
    #[error("building onions: {0}")]
    Build(#[from] BuildError),
    /// Onions cannot be peeled.
    #[error("peeling onions: {0}")]
    Peel(#[from] PeelError),
    /// Onions that were built do not open: the figures would be worthless.
    #[error(
        "the kernel {kernel} opened {opened} of {onions} onions: do not use it on this machine"
    )]
    Wrong {
        /// Name of the kernel.
        kernel: &'static str,
        /// Onions that came out whole.
        opened: usize,
        /// Onions that were put in.
        onions: usize,
    },
    /// The kernel that ran before does not any more.
    #[error(transparent)]
    Kernel(#[from] KernelUnavailable),
    /// The network to plan users for.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No link over loopback.
    #[error("no port on the loopback interface: {0}")]
    Bind(#[from] BindError),
    /// The link over the loopback interface could not be opened.
    #[error("no link over the loopback interface: {0}")]
    Dial(#[from] DialError),
    /// A link that broke.
    #[error("the link over the loopback interface was lost")]
    Link,
    /// No threads, no sockets.
    #[error("the system does not give what a measurement needs: {0}")]
    System(#[from] io::Error),
    /// A thread of the measurement panicked.
    #[error("a measuring thread ended unexpectedly: this is a bug, and its log says where")]
    Panicked,
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

/// Measures this machine, roughly if `quick`.
pub(crate) fn measure(quick: bool) -> Result<SpeedReport, SpeedError> {
    let stopwatch = if quick { Stopwatch::QUICK } else { Stopwatch::THOROUGH };
    let fixture = fixture::Fixture::new()?;
    let kernels = kernels::measure(&stopwatch, &fixture)?;
    let onions = onions::costs(&stopwatch, &fixture)?;
    let small = small_costs::costs(&stopwatch, &fixture);
    let all = cores::all_at_once(&stopwatch, &fixture)?;
    let link = link::over_loopback(quick)?;
    Ok(report::report(kernels, &onions, &small, &all, link))
}
