//! `antiphon serve`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_messenger::api::{ApiError, Server};
use antiphon_messenger::config::{self, ConfigError};
use antiphon_messenger::{Messenger, StartError};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_process::signals::stop_requested;
use antiphon_process::until;
use antiphon_profile::{KeyCost, Profile, ProfileError};
use antiphond::announce::announce;
use clap::Args;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::DaemonError;
use super::place::PlaceArguments;
use crate::client_command::durations;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::profile_command::ProfileCommandError;
use crate::profile_command::secret::SecretArguments;

/// A port that the system chooses, on this machine alone.
const SOMEWHERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// Stay in the network on a profile, and serve its user's contacts and messages to programs on this machine
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Stay in the network on a profile, and serve its user's contacts and messages to programs on this machine. It takes \
part in every round, whether its user talks or not, until SIGTERM or SIGINT, or until a time that was \
fixed when it was started. Everybody sees when it is there, so start and stop it at times that have nothing to \
do with when you talk.

  antiphon serve --new --config antiphon.toml

It asks for a passphrase and stays; a system that starts it says where the passphrase is with --passphrase-file. In \
another window:

  antiphon contact code bob
  antiphon contact add bob antiphon1...
  antiphon send bob 'hello'
  antiphon receive --follow

docs/samples/antiphon.toml is a commented configuration. The HTTP API answers on loopback, at the URL in the \
file `url` of the profile's folder, and on the socket `socket` there, to those who show the token in the file \
`token`. /v1/openapi.json describes it."
)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// The configuration file: the network and its coordinators
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Make the profile first, in a folder that does not exist yet
    #[arg(long)]
    new: bool,
    /// The loopback address for HTTP [default: 127.0.0.1 and a port that is free]
    #[arg(long, value_name = "ADDRESS", default_value_t = SOMEWHERE, hide_default_value = true)]
    listen: SocketAddr,
    /// Leave after so long, such as 45m, 8h or 7d [default: stay until SIGTERM or SIGINT]
    #[arg(long = "for", value_name = "TIME", value_parser = durations::parse)]
    stay: Option<Duration>,
    #[command(flatten)]
    secret: SecretArguments,
}

/// Reason why a daemon does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ServeCommandError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Place(#[from] DaemonError),
    #[error(transparent)]
    Profile(#[from] ProfileCommandError),
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("the system does not give what a daemon needs: {0}")]
    System(#[from] std::io::Error),
}

impl From<ProfileError> for ServeCommandError {
    fn from(error: ProfileError) -> Self {
        Self::Profile(error.into())
    }
}

impl Exits for ServeCommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Api(ApiError::NotLoopback(_)) => Exit::Usage,
            Self::Place(error) => error.exit(),
            Self::Profile(error) => error.exit(),
            _ => Exit::Failed,
        }
    }
}

/// Serves until it is to leave.
pub(crate) fn run(arguments: &ServeArguments) -> Result<(), ServeCommandError> {
    let client = config::load(&arguments.config)?;
    let folder = arguments.place.folder()?;
    let now = SystemClock::now();
    let profile = if arguments.new {
        let unlock = arguments.secret.draw()?;
        Profile::create(&folder, &unlock, KeyCost::default(), now, &mut entropy())?
    } else {
        let unlock = arguments.secret.read("Passphrase: ")?;
        Profile::open(&folder, &unlock, now, &mut entropy())?
    };
    Runtime::new()?.block_on(async {
        let stop = stop_requested()?;
        let leaves_at = arguments.stay.map(|stay| Instant::now() + stay);
        announce(&client.network);
        let messenger = Arc::new(Messenger::start(profile, client)?);
        let server = Server::start(Arc::clone(&messenger), &folder, arguments.listen).await?;
        tracing::info!(
            "the daemon serves {} at http://{}; it stays whatever its user does",
            folder.display(),
            server.address()
        );
        tokio::select! {
            () = stop => {}
            () = until(leaves_at) => tracing::info!("the time that was fixed at the start is up"),
        }
        drop(server);
        tracing::info!("stopping after the running round");
        messenger.shut_down().await;
        tracing::info!("stopped");
        Ok(())
    })
}
