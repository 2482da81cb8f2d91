//! Exit codes and their meanings.

use std::error::Error;
use std::process::ExitCode;

use crate::output;

/// The exit codes, for the end of every `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  the job itself failed: no noise is enough, a file cannot be written, a link is lost
  2  the command line, a configuration file or a key file is wrong; nothing has been done
  3  interrupted by SIGTERM or SIGINT before the job was done (send, receive, drain, load)
  4  the trials show nothing either way (attack)";

/// The exit codes other than success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The job itself failed.
    Failed = 1,
    /// The command line or a file given on it is wrong. What clap exits with, too.
    Usage = 2,
    /// Asked to stop before the job was done.
    Interrupted = 3,
    /// The question has no answer yet.
    Undecided = 4,
}

/// An error of a subcommand, which knows its exit code.
pub(crate) trait Exits: Error {
    /// The code that tells a script what went wrong.
    fn exit(&self) -> Exit;
}

/// Message and exit code of a failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    exit: Exit,
}

impl<E: Exits> From<E> for Failure {
    fn from(error: E) -> Self {
        Self { message: error.to_string(), exit: error.exit() }
    }
}

/// Prints what failed, if anything, and gives the process's exit code.
pub(crate) fn report(outcome: Result<(), Failure>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::say(&format!("error: {}", failure.message));
            ExitCode::from(failure.exit as u8)
        }
    }
}
