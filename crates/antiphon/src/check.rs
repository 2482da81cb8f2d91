//! `antiphon check`: whether configuration files are in order, before a process starts with them.

use std::io;
use std::path::{Path, PathBuf};

use antiphon_coordinator as coordinator;
use antiphon_process::config_file::{ConfigError, read_bounded};
use antiphon_shard::{self as shard, StartError};
use antiphon_wire::{NetworkFile, NetworkFileError};
use clap::Args;

use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::{self, OutputError};

/// Check configuration files and everything that they name
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Check configuration files of shards, coordinators, clients and daemons, and network files, with all the files \
that they name. Opens no port, writes nothing and starts nothing. What a file is for follows from its keys.

  antiphon check coordinator.toml shard.toml client.toml network.toml"
)]
pub(crate) struct CheckArguments {
    /// The files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

/// Reason why a file is not in order.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CheckError {
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is no TOML: {problem}")]
    Syntax { path: PathBuf, problem: String },
    #[error(
        "{0} is no configuration of a shard (`listen_peers`), a coordinator (`listen_shards`), a client (`state`) or \
         a daemon (`coordinator`), and no network file (`operator`): docs/samples has one of each"
    )]
    Unknown(PathBuf),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{path}: {source}")]
    Shard { path: PathBuf, source: StartError },
    #[error("{path}, the network file: {source}")]
    Network { path: PathBuf, source: NetworkFileError },
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for CheckError {
    fn exit(&self) -> Exit {
        match self {
            Self::Output(error) => error.exit(),
            _ => Exit::Usage,
        }
    }
}

/// Checks the files in their order, and stops at the first that is wrong.
pub(crate) fn run(arguments: &CheckArguments) -> Result<(), CheckError> {
    for file in &arguments.files {
        let what = check(file)?;
        output::print(&format!("{}: {what}, in order\n", file.display()))?;
    }
    Ok(())
}

fn check(path: &Path) -> Result<&'static str, CheckError> {
    let text =
        read_bounded(path).map_err(|source| CheckError::Read { path: path.to_owned(), source })?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| CheckError::Syntax {
        path: path.to_owned(),
        problem: error.to_string().trim_end().to_owned(),
    })?;
    // By more than one key, so that a typo in one of them is found rather than another kind.
    let has = |keys: &[&str]| keys.iter().any(|key| table.contains_key(*key));
    if has(&["listen_peers", "operator_list"]) {
        let config = shard::ConfigFile::read(path)?;
        config
            .shard
            .check()
            .map_err(|source| CheckError::Shard { path: path.to_owned(), source })?;
        Ok("a shard's configuration")
    } else if has(&["listen_shards", "listen_clients"]) {
        coordinator::ConfigFile::read(path)?;
        Ok("a coordinator's configuration")
    } else if has(&["operator", "policy"]) {
        NetworkFile::parse(&text)
            .map_err(|source| CheckError::Network { path: path.to_owned(), source })?;
        Ok("a network file")
    } else if has(&["state", "conversation", "inbox", "socket"]) {
        antiphon_client::config::load(path)?;
        Ok("a client's configuration")
    } else if has(&["coordinator", "gateway"]) {
        antiphon_messenger::config::load(path)?;
        Ok("a daemon's configuration")
    } else {
        Err(CheckError::Unknown(path.to_owned()))
    }
}
