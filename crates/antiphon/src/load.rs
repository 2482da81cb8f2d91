//! `antiphon load`: how a network carries very many clients.

mod local;
mod progress;
mod text;

use std::io;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;

use antiphon_client::config::{self, ConfigError};
use antiphon_load::{
    Arrivals, LoadError, LoadOptions, NetworkAddress, Report, Target, check_memory,
};
use antiphon_onion::Kernel;
use antiphon_process::entropy::entropy;
use antiphon_process::signals::stop_requested;
use antiphon_routing::DocumentError;
use antiphon_testnet::{EmbeddedError, EmbeddedNetwork};
use clap::{ArgGroup, Args};
use rand::Rng as _;

use crate::cli::guarantee::GuaranteeArguments;
use crate::cli::json::JsonArguments;
use crate::cli::network::of_equals;
use crate::cli::values;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::OutputError;
use crate::plan::{Figures, PlanError};

use progress::Bar;

/// Clients on one connection to a gateway of an embedded network.
const LOCAL_LINKS_PER_CONNECTION: u32 = 256;

/// Measure how a network carries many clients
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("target").required(true).args(["local_shards", "network"])),
    after_long_help = EXIT_CODES,
    long_about = "\
Measure how a network carries many clients: simulated ones, with real onions. Some of them talk in pairs \
and the rest idle; each of them checks that what comes back is byte for byte what has to come back.

Onions are built before their round opens, so that the clients' work is not what is measured, and \
processor time is counted apart for the network and for the clients. Memory decides how many rounds are \
built ahead; if it does not hold two, the run is refused. Clients whose onions are not ready or not taken \
are counted as late.

Where beats follow rounds, clients send cells in each of them, over the circuits that their onions left, and check what comes back of these as well. Rounds and beats are told apart in all figures: with the network in this process, also what the network spends on a cell and on an onion.

It succeeds if at least one round was delivered and no message was lost. Lost cells are counted: applications send again what was in them.

Examples:
  antiphon load --local-shards 3 --clients 1000
      three shards in this process
  antiphon load --local-shards 5 --clients 10000 --rounds 10 --json load.json --report report
      figures for programs, and a page with plots in the folder report
  antiphon load --local-shards 5 --clients 2000 --beats 60 --rounds 2
      beats after each round, and onions of suite 2
  antiphon load --network client.toml --clients 500 --arrivals uniform
      a network elsewhere, from a client's configuration"
)]
pub(crate) struct LoadArguments {
    /// Run so many shards in this process, each with an operator of its own
    #[arg(long, value_name = "N", value_parser = local::shards)]
    local_shards: Option<u16>,
    /// Use the network of this client's configuration; docs/samples/client.toml is one. Its state file
    /// and conversation are left alone
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = [
            "malicious", "epsilon", "delta", "disturbed", "hops", "suite", "interval",
            "rounds_in_flight", "window", "beats", "beat_interval",
        ]
    )]
    network: Option<PathBuf>,
    /// Simulated clients
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    clients: u32,
    /// Rounds to measure
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Rounds before the measured ones
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    warmup: u32,
    /// The fraction of clients that talk
    #[arg(long, value_name = "FRACTION", default_value = "0.5", value_parser = values::share)]
    talking: f64,
    /// When in a round clients hand in their onions: at-once, uniform, exponential or normal, over 80 %
    /// of the submission window
    #[arg(long, value_name = "PATTERN", default_value = "at-once")]
    arrivals: Arrivals,
    /// The fraction of clients that leave before each round, each for a new one that joins
    #[arg(long, value_name = "FRACTION", default_value = "0", value_parser = values::share)]
    churn: f64,
    /// What everything random about the clients follows from [default: drawn]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Threads that build the clients' onions [default: one per core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// What to build onions with, and to peel them with --local-shards: avx512-ifma, avx2 or portable
    /// [default: the fastest that this machine has]
    #[arg(long, value_name = "NAME")]
    kernel: Option<Kernel>,
    /// Simulated clients on one connection. Shards allow as many as their limits.links_per_connection
    /// [default: 256 with --local-shards, 1 with --network]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    links_per_connection: Option<u32>,
    #[command(flatten)]
    json: JsonArguments,
    /// Write a page with plots, report.html, and the plots as SVG into this folder
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    local: local::LocalArguments,
    #[command(flatten)]
    guarantee: GuaranteeArguments,
}

/// Reason why a load test fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadCommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("--kernel: {0}")]
    Kernel(String),
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Network(#[from] EmbeddedError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Output(#[from] OutputError),
    #[error("cannot write the report: {0}")]
    Page(#[from] antiphon_load::PageError),
    #[error("--beats and --interval: {0}")]
    Beats(#[from] DocumentError),
    #[error("no round was delivered to all clients: see the outcomes")]
    NothingDelivered,
    #[error("{lost} of {sent} messages did not arrive as they were sent")]
    Lost { lost: u64, sent: u64 },
}

impl Exits for LoadCommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(_)
            | Self::Kernel(_)
            | Self::Beats(_)
            | Self::Load(LoadError::Memory(_)) => Exit::Usage,
            Self::Load(LoadError::Interrupted) => Exit::Interrupted,
            Self::Plan(error) => error.exit(),
            _ => Exit::Failed,
        }
    }
}

/// Runs the load test and prints its report.
pub(crate) fn run(arguments: &LoadArguments) -> Result<(), LoadCommandError> {
    if let Some(kernel) = arguments.kernel {
        kernel.select().map_err(|error| LoadCommandError::Kernel(error.to_string()))?;
    }
    // Nothing is measured in vain.
    arguments.json.check()?;
    arguments.report.as_deref().map_or(Ok(()), antiphon_load::make_folder)?;
    let report = arguments.measure()?;
    arguments.json.deliver(&report, &text::render(&report))?;
    if let Some(folder) = &arguments.report {
        antiphon_load::write_page(&report, folder)?;
    }
    if report.interrupted {
        return Err(LoadError::Interrupted.into());
    }
    match (report.lost_messages, report.delivered()) {
        (0, 0) => Err(LoadCommandError::NothingDelivered),
        (0, _) => Ok(()),
        (lost, _) => Err(LoadCommandError::Lost { lost, sent: report.messages }),
    }
}

impl LoadArguments {
    fn measure(&self) -> Result<Report, LoadCommandError> {
        let bar = Bar::new(self.rounds + self.warmup);
        let (options, stop) = (self.options(), || -> io::Result<_> { stop_requested() });
        let report = match (self.local_shards, &self.network) {
            (Some(shards), _) => {
                let policy = self.local.policy(&self.guarantee, &options);
                check_memory(&options, &policy, Some((shards, self.local.in_flight())))?;
                // A guarantee that no noise keeps, or beats that no shard takes, would leave the network without an epoch.
                let equals = of_equals(shards, policy.clone()).map_err(PlanError::from)?;
                let layers = Figures::of(&equals, 1, None)?.layers;
                let network = self.local.network(shards, policy, layers, &options);
                network.coordinator.check_beats(&equals, layers)?;
                let network = EmbeddedNetwork::start(&network, |_| None)?;
                antiphon_load::run(&options, &Target::Embedded(&network), &bar, stop)
            }
            (None, Some(file)) => {
                let address = NetworkAddress::from(config::load(file)?.client);
                check_memory(&options, &address.file.policy, None)?;
                antiphon_load::run(&options, &Target::Real(&address), &bar, stop)
            }
            (None, None) => unreachable!("clap asks for one of the two"),
        };
        bar.clear();
        Ok(report?)
    }

    fn options(&self) -> LoadOptions {
        let cores = available_parallelism().unwrap_or(NonZeroUsize::MIN);
        let threads = self.threads.and_then(|threads| NonZeroUsize::new(threads.into()));
        let local = self.local_shards.is_some();
        let links = if local { LOCAL_LINKS_PER_CONNECTION } else { 1 };
        LoadOptions {
            clients: self.clients,
            rounds: self.rounds,
            warmup: self.warmup,
            talking: self.talking,
            churn: self.churn,
            arrivals: self.arrivals,
            seed: self.seed.unwrap_or_else(|| entropy().next_u64()),
            threads: threads.unwrap_or(cores),
            links_per_connection: self.links_per_connection.unwrap_or(links),
        }
    }
}
