//! The coordinator as a process of its own.

use std::path::PathBuf;

use antiphon_coordinator::{ConfigFile, CoordinatorServer};
use antiphon_process::admin::{AdminServer, MetricsPage};
use antiphon_process::descriptors;
use antiphon_process::logging::LogLevel;
use antiphon_process::metrics::Program;
use antiphon_process::signals::stop_requested;
use antiphon_process::telemetry::{self, Teller};
use antiphon_wire::IdentityKey;
use clap::Args;
use tokio::runtime::Runtime;

use crate::ServeError;
use crate::announce::announce;
use crate::cli::EXIT_CODES;

/// Run the coordinator
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Run the coordinator until SIGTERM or SIGINT, which let the running round end first.

The coordinator plans epochs and opens rounds. Nobody trusts it with more than that: shards and \
clients check every document themselves. Its state survives a restart. \
docs/samples/coordinator.toml is a commented configuration.

  antiphond coordinator --config coordinator.toml"
)]
pub struct CoordinatorArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs the coordinator until it is asked to stop.
///
/// # Errors
/// If it cannot start, or fails.
pub fn run(arguments: &CoordinatorArguments, log_level: LogLevel) -> Result<(), ServeError> {
    let config = ConfigFile::read(&arguments.config)?;
    announce(&config.coordinator.network);
    descriptors::raise();
    Runtime::new()?.block_on(serve(config, log_level))
}

async fn serve(config: ConfigFile, log_level: LogLevel) -> Result<(), ServeError> {
    let stop = stop_requested()?;
    // Before the coordinator starts, so that nothing goes uncounted.
    let admin = match config.admin {
        Some(section) => {
            Some(AdminServer::bind(section, MetricsPage::install(Program::Coordinator)?).await?)
        }
        None => None,
    };
    if let Some(section) = config.telemetry {
        let identity = IdentityKey(config.coordinator.identity.public().0);
        let network = config.coordinator.network.id();
        telemetry::install(section, Teller { program: Program::Coordinator, network, identity });
    }
    let mut server = CoordinatorServer::start(config.coordinator)?;
    let _admin = admin.map(|admin| admin.serve(server.readiness(), log_level, server.asker()));
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
}
