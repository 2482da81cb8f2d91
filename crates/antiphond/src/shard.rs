//! A shard as a process of its own.

use std::path::PathBuf;
use std::pin::pin;

use antiphon_process::admin::{AdminServer, MetricsPage};
use antiphon_process::descriptors;
use antiphon_process::logging::LogLevel;
use antiphon_process::metrics::Program;
use antiphon_process::signals::stop_requested;
use antiphon_process::telemetry::{self, TelemetrySection, Teller};
use antiphon_shard::{ConfigFile, ShardServer, ShardServerConfig};
use antiphon_wire::IdentityKey;
use clap::Args;
use tokio::runtime::Runtime;

use crate::ServeError;
use crate::announce::announce;
use crate::cli::EXIT_CODES;
use crate::operator_lists::OperatorLists;

/// Run a shard
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Run a shard until SIGTERM or SIGINT. It then asks for an epoch without it and serves until that takes \
over, which takes some rounds, and the longest round and 75 seconds at most; a second signal stops it at once.

A shard mixes in every layer, and is the gateway of the clients that link to it. It keeps no secret \
on disk but its identity: started again, it takes part from the next epoch on. docs/samples/shard.toml \
is a commented configuration.

  antiphond shard --config shard.toml"
)]
pub struct ShardArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs a shard until it is asked to stop.
///
/// # Errors
/// If it cannot start, or fails.
pub fn run(arguments: &ShardArguments, log_level: LogLevel) -> Result<(), ServeError> {
    let config = ConfigFile::read(&arguments.config)?;
    announce(&config.shard.network);
    descriptors::raise();
    Runtime::new()?.block_on(serve(arguments, config, log_level))
}

async fn serve(
    arguments: &ShardArguments,
    config: ConfigFile,
    log_level: LogLevel,
) -> Result<(), ServeError> {
    let mut stop = pin!(stop_requested()?);
    // Before the shard starts, so that nothing goes uncounted and a port that is taken stops the start.
    let admin = match config.admin {
        Some(section) => {
            Some(AdminServer::bind(section, MetricsPage::install(Program::Shard)?).await?)
        }
        None => None,
    };
    tell_rounds(config.telemetry, &config.shard);
    let mut lists = OperatorLists::watch(config.operator_list)?;
    let mut server = ShardServer::start(config.shard)
        .map_err(|source| ServeError::ShardStart { config: arguments.config.clone(), source })?;
    let _admin = admin.map(|admin| admin.serve(server.readiness(), log_level, server.asker()));
    loop {
        tokio::select! {
            failed = server.failed() => return Ok(failed?),
            list = lists.changed() => match server.renew_list(list) {
                // The shard says what becomes of it.
                Ok(()) => {}
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
}

/// Has a collector told of the shard's rounds, if one is named.
fn tell_rounds(collector: Option<TelemetrySection>, shard: &ShardServerConfig) {
    let Some(section) = collector else { return };
    let (network, identity) = (shard.network.id(), IdentityKey::of(&shard.identity));
    telemetry::install(section, Teller { program: Program::Shard, network, identity });
}
