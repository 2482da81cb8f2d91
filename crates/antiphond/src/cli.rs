//! The command line of the servers.

use antiphon_process::logging::{Crates, LogFilter};
use clap::{Parser, Subcommand};

use crate::coordinator::CoordinatorArguments;
use crate::shard::ShardArguments;

/// The exit codes of a server, for the end of every `--help`.
pub const EXIT_CODES: &str = "\
Exit codes:
  0  stopped as asked
  1  the process failed: a port is taken, the state cannot be kept
  2  the command line, a configuration file or a key file is wrong; nothing has been done
  3  stopped at once, as asked twice";

/// Crates that a filter for logs may name.
pub const CRATES: Crates = &[
    "antiphon_coordinator",
    "antiphon_mix",
    "antiphon_process",
    "antiphon_shard",
    "antiphon_transport",
    "antiphond",
    "quinn",
    "quinn_proto",
    "rustls",
];

/// Run a shard or a coordinator of an Antiphon network.
#[derive(Debug, Parser)]
#[command(
    name = "antiphond",
    version,
    after_long_help = EXIT_CODES,
    long_about = "\
Run a shard or a coordinator of an Antiphon network until SIGTERM or SIGINT.

Keys, network files and operators' lists are made with `antiphon keygen`, and configurations are checked \
with `antiphon check`.

  antiphond coordinator --config coordinator.toml
  antiphond shard --config shard.toml"
)]
pub struct Cli {
    /// What to log to standard error: a level, or levels by module such as antiphon_mix=debug,info
    #[arg(long, global = true, value_name = "FILTER", default_value = "info", value_parser = filter)]
    pub log: LogFilter,
    /// What to run
    #[command(subcommand)]
    pub command: Command,
}

/// Command to run. Its arguments say themselves what they take.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a shard
    Shard(ShardArguments),
    /// Run the coordinator
    Coordinator(CoordinatorArguments),
}

impl Cli {
    /// Filter of log lines that the command line asks for.
    pub fn filter(&self) -> LogFilter {
        self.log.clone()
    }
}

fn filter(text: &str) -> Result<LogFilter, String> {
    LogFilter::parse(text, CRATES)
}
