//! `antiphon shard` and `antiphon coordinator`: processes that run until they are asked to stop.

use std::io;
use std::path::PathBuf;

use antiphon_coordinator::server::{CoordinatorServer, ServerConfig, ServerError};
use antiphon_process::config_file::ConfigError;
use antiphon_process::descriptors;
use antiphon_process::signals::stop_requested;
use antiphon_shard::{ConfigFile, RunError, ShardServer, StartError, metrics};
use clap::Args;
use tokio::runtime::Runtime;

use crate::announce::announce;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::operator_lists::OperatorLists;

/// Run a shard
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Run a shard until SIGTERM or SIGINT. It then asks for an epoch without it and serves until that takes \
over, which takes some rounds, and two minutes at most; a second signal stops it at once.

A shard mixes in every layer, and is the gateway of the clients that link to it. It keeps no secret \
on disk but its identity: started again, it takes part from the next epoch on. docs/samples/shard.toml \
is a commented configuration.

  antiphon shard --config shard.toml"
)]
pub(crate) struct ShardArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Run the coordinator
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Run the coordinator until SIGTERM or SIGINT, which let the running round end first.

The coordinator plans epochs and opens rounds. Nobody trusts it with more than that: shards and \
clients check every document themselves. Its state survives a restart. \
docs/samples/coordinator.toml is a commented configuration.

  antiphon coordinator --config coordinator.toml"
)]
pub(crate) struct CoordinatorArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Why a process does not start, or stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{config}: {source}")]
    ShardStart { config: PathBuf, source: StartError },
    #[error(transparent)]
    Metrics(#[from] metrics::MetricsError),
    #[error("the shard stopped: {0}")]
    Shard(#[from] RunError),
    #[error(transparent)]
    Coordinator(#[from] ServerError),
    #[error("the system does not give what a server needs: {0}")]
    System(#[from] io::Error),
}

impl Exits for ServeError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(_) => Exit::Usage,
            Self::ShardStart {
                source:
                    StartError::NoAddress { .. }
                    | StartError::OtherNetwork
                    | StartError::UnknownOperator(_)
                    | StartError::ListSignature { .. }
                    | StartError::NotListed { .. },
                ..
            } => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}

/// Runs a shard.
pub(crate) fn shard(arguments: &ShardArguments) -> Result<(), ServeError> {
    let config = ConfigFile::read(&arguments.config)?;
    announce(&config.shard.network);
    descriptors::raise();
    Runtime::new()?.block_on(async {
        let stop = stop_requested()?;
        if let Some(address) = config.metrics {
            let (address, _) = metrics::serve(address).await?;
            tracing::info!(%address, "metrics are served over HTTP");
        }
        let mut lists = OperatorLists::watch(config.operator_list)?;
        let mut server = ShardServer::start(config.shard).map_err(|source| {
            ServeError::ShardStart { config: arguments.config.clone(), source }
        })?;
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                failed = server.failed() => return Ok(failed?),
                list = lists.changed() => match server.renew_list(list) {
                    Ok(()) => tracing::info!("going on with the operator's new list"),
                    Err(error) => tracing::error!(%error, "the operator's new list is of no use"),
                },
                () = &mut stop => break,
            }
        }
        tracing::info!(
            "leaving once an epoch without this shard has taken over; a second signal stops it at once"
        );
        let at_once = stop_requested()?;
        tokio::select! {
            left = server.shut_down() => left?,
            () = at_once => tracing::warn!("stopping in the middle of it all, as asked"),
        }
        tracing::info!("stopped");
        Ok(())
    })
}

/// Runs the coordinator.
pub(crate) fn coordinator(arguments: &CoordinatorArguments) -> Result<(), ServeError> {
    let config = ServerConfig::load(&arguments.config)?;
    announce(&config.network);
    descriptors::raise();
    Runtime::new()?.block_on(async {
        let stop = stop_requested()?;
        let mut server = CoordinatorServer::start(config)?;
        tracing::info!(
            shards = %server.shard_addr(),
            clients = %server.client_addr(),
            "coordinator started"
        );
        tokio::select! {
            failed = server.failed() => return Ok(failed?),
            () = stop => {}
        }
        tracing::info!("stopping after the running round");
        server.shut_down().await?;
        tracing::info!("stopped");
        Ok(())
    })
}
