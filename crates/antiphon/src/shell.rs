//! `antiphon completions` and `antiphon man`: what a shell and its `man` know of both programs.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory as _, ValueEnum};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::output::{self, OutputError};

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  antiphon completions bash > ~/.local/share/bash-completion/completions/antiphon
  antiphon completions zsh > ~/.zfunc/_antiphon
  antiphon completions fish > ~/.config/fish/completions/antiphon.fish
  antiphon completions bash antiphond > ~/.local/share/bash-completion/completions/antiphond")]
pub(crate) struct CompletionsArguments {
    /// Which shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
    /// Of which program
    #[arg(value_name = "PROGRAM", default_value = "antiphon")]
    program: Program,
}

/// A program of this project's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Program {
    /// The toolbox and the client
    Antiphon,
    /// Runs a shard or a coordinator
    Antiphond,
}

/// Write manual pages of both programs, one for each command
#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  antiphon man --out ~/.local/share/man/man1")]
pub(crate) struct ManArguments {
    /// The folder for the pages; made if it is missing
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// Prints a script that completes command lines.
pub(crate) fn completions(arguments: &CompletionsArguments) -> Result<(), OutputError> {
    let mut script = Vec::new();
    let (mut command, name) = match arguments.program {
        Program::Antiphon => (Cli::command(), "antiphon"),
        Program::Antiphond => (antiphond::cli::Cli::command(), "antiphond"),
    };
    clap_complete::generate(arguments.shell, &mut command, name, &mut script);
    output::print(&String::from_utf8_lossy(&script))
}

/// Writes `antiphon.1`, `antiphon-client.1` and so on, and those of `antiphond`.
pub(crate) fn man(arguments: &ManArguments) -> Result<(), OutputError> {
    let folder = &arguments.out;
    let failed = |source| OutputError::File { path: folder.clone(), source };
    fs::create_dir_all(folder).map_err(failed)?;
    for command in [Cli::command(), antiphond::cli::Cli::command()] {
        clap_mangen::generate_to(command, folder).map_err(failed)?;
    }
    output::say(&format!("the pages are in {}", folder.display()));
    Ok(())
}
