//! The program: see the library.

use std::io::{self, Write as _};
use std::process::ExitCode;

use antiphon_process::logging;
use antiphond::cli::{CRATES, Cli, Command};
use antiphond::{coordinator, shard};
use clap::Parser as _;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log_level = logging::init(cli.filter(), CRATES, false);
    let outcome = match &cli.command {
        Command::Shard(arguments) => shard::run(arguments, log_level),
        Command::Coordinator(arguments) => coordinator::run(arguments, log_level),
    };
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    // Whether anybody reads it makes no difference.
    let _ = writeln!(io::stderr(), "error: {error}");
    ExitCode::from(if error.is_usage() { 2 } else { 1 })
}
