//! The command line of the toolbox.

pub(crate) mod beats;
pub(crate) mod guarantee;
pub(crate) mod json;
pub(crate) mod network;
pub(crate) mod network_file;
pub(crate) mod values;

use antiphon_process::logging::LogFilter;
use antiphond::coordinator::CoordinatorArguments;
use antiphond::shard::ShardArguments;
use clap::{Parser, Subcommand};
use tracing::level_filters::LevelFilter;

use crate::account::AccountArguments;
use crate::attack::AttackArguments;
use crate::catalogue::CatalogueArguments;
use crate::check::CheckArguments;
use crate::client_command::ClientArguments;
use crate::client_command::commands::{ReceiveArguments, SendArguments, StatusArguments};
use crate::daemon_command::contact::ContactArguments;
use crate::daemon_command::serve::ServeArguments;
use crate::daemon_command::sleep::SleepArguments;
use crate::demo::DemoArguments;
use crate::drain::DrainArguments;
use crate::exit::EXIT_CODES;
use crate::keygen::KeygenArguments;
use crate::load::LoadArguments;
use crate::logging;
use crate::plan::PlanArguments;
use crate::profile_command::ProfileArguments;
use crate::shell::{CompletionsArguments, ManArguments};
use crate::speed::SpeedArguments;

/// Metadata-private messaging: who talks to whom stays hidden.
#[derive(Debug, Parser)]
#[command(
    version,
    after_long_help = EXIT_CODES,
    long_about = "\
Metadata-private messaging: who talks to whom stays hidden from everyone who sees the network, and \
from a stated share of those who run it.

A network is run by operators. Each of them runs shards; a coordinator announces epochs and rounds. \
To make a network, plan it, make the keys, and let everyone pin the same network file:

  antiphon plan --shards 5
  antiphon keygen operator --out alpha.key
  antiphon keygen network --operator alpha=PUBKEY --operator beta=PUBKEY ... --out network.toml"
)]
pub(crate) struct Cli {
    /// What to log to standard error: a level, or levels by module such as antiphon_mix=debug,info
    /// [default: info; demo and load: error, as they show their rounds themselves]
    #[arg(
        long,
        global = true,
        value_name = "FILTER",
        value_parser = logging::filter,
        help_heading = "Every command"
    )]
    pub(crate) log: Option<LogFilter>,
    /// What to do
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The subcommands. Each one's arguments say what its help says.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArguments),
    Shard(ShardArguments),
    Coordinator(CoordinatorArguments),
    Client(ClientArguments),
    Serve(ServeArguments),
    Contact(ContactArguments),
    Send(SendArguments),
    Receive(ReceiveArguments),
    Status(StatusArguments),
    Sleep(SleepArguments),
    Profile(ProfileArguments),
    Drain(DrainArguments),
    Metrics(CatalogueArguments),
    Load(LoadArguments),
    Plan(PlanArguments),
    Account(AccountArguments),
    Attack(AttackArguments),
    Speed(SpeedArguments),
    Keygen(KeygenArguments),
    Check(CheckArguments),
    Completions(CompletionsArguments),
    Man(ManArguments),
}

impl Cli {
    /// Filter of log lines: the one asked for, or the one that suits the command.
    pub(crate) fn filter(&self) -> LogFilter {
        let usual = match self.command {
            Command::Demo(_) | Command::Load(_) => LevelFilter::ERROR,
            _ => LevelFilter::INFO,
        };
        self.log.clone().unwrap_or_else(|| LogFilter::of(usual))
    }
}
