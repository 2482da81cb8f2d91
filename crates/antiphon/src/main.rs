//! The command `antiphon`: planning, keys, and the processes of a network.

mod cli;
mod exit;
mod keygen;
mod logging;
mod output;
mod plan;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::exit::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::init(&cli.log);
    exit::report(run(cli.command))
}

fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Plan(arguments) => Ok(plan::run(&arguments)?),
        Command::Keygen(arguments) => Ok(keygen::run(&arguments)?),
    }
}
