#![doc = include_str!("../README.md")]
// Both macros end the process when nobody reads: `output` has what does not.
#![warn(clippy::print_stderr, clippy::print_stdout)]

mod account;
mod attack;
mod catalogue;
mod check;
mod cli;
mod client_command;
mod daemon_command;
mod demo;
mod drain;
mod exit;
mod keygen;
mod load;
mod logging;
mod measurement;
mod network_status;
mod output;
mod plan;
mod profile_command;
mod serve;
mod shell;
mod speed;

use std::process::ExitCode;

use antiphon_process::logging::LogLevel;
use clap::Parser as _;

use crate::cli::{Cli, Command};
use crate::client_command::commands;
use crate::exit::Failure;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let log_level = logging::init(cli.filter());
    exit::report(run(cli.command, log_level))
}

fn run(command: Command, log_level: LogLevel) -> Result<(), Failure> {
    match command {
        Command::Demo(arguments) => Ok(demo::run(&arguments)?),
        Command::Shard(arguments) => Ok(antiphond::shard::run(&arguments, log_level)?),
        Command::Coordinator(arguments) => Ok(antiphond::coordinator::run(&arguments, log_level)?),
        Command::Client(arguments) => Ok(client_command::run(&arguments)?),
        Command::Serve(arguments) => Ok(daemon_command::serve::run(&arguments)?),
        Command::Contact(arguments) => Ok(daemon_command::contact::run(&arguments)?),
        Command::Send(arguments) => match arguments.sending() {
            Some(sending) => Ok(daemon_command::send::run(&sending)?),
            None => Ok(commands::send(&arguments)?),
        },
        Command::Receive(arguments) => match arguments.receiving() {
            Some(receiving) => Ok(daemon_command::receive::run(&receiving)?),
            None => Ok(commands::receive(&arguments)?),
        },
        Command::Status(arguments) => match (arguments.network(), arguments.daemon()) {
            (Some(url), _) => Ok(network_status::run(url, arguments.json())?),
            (None, Some((place, allowance))) => match arguments.test() {
                Some(rounds) => Ok(daemon_command::status::test(place, rounds, arguments.json())?),
                None => Ok(daemon_command::status::run(place, allowance, arguments.json())?),
            },
            (None, None) => Ok(commands::status(&arguments)?),
        },
        Command::Sleep(arguments) => Ok(daemon_command::sleep::run(&arguments)?),
        Command::Profile(arguments) => Ok(profile_command::run(&arguments)?),
        Command::Drain(arguments) => Ok(drain::run(&arguments)?),
        Command::Metrics(arguments) => Ok(catalogue::run(&arguments)?),
        Command::Load(arguments) => Ok(load::run(&arguments)?),
        Command::Plan(arguments) => Ok(plan::run(&arguments)?),
        Command::Account(arguments) => Ok(account::run(&arguments)?),
        Command::Attack(arguments) => Ok(attack::run(&arguments)?),
        Command::Speed(arguments) => Ok(speed::run(&arguments)?),
        Command::Keygen(arguments) => Ok(keygen::run(&arguments)?),
        Command::Check(arguments) => Ok(check::run(&arguments)?),
        Command::Completions(arguments) => Ok(shell::completions(&arguments)?),
        Command::Man(arguments) => Ok(shell::man(&arguments)?),
    }
}
