//! `antiphon client`: a client that stays in the network, whether its user talks or not.

mod arrivals;
pub(crate) mod commands;
pub(crate) mod durations;
mod file_name;
mod jobs;
mod outgoing;
mod progress;
mod resting;
mod status_text;
mod stay;
mod talk;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use antiphon_client::config::{self, ConfigError};
use antiphon_client::{Client, StateError};
use antiphon_process::signals::stop_requested;
use antiphon_process::until;
use antiphond::announce::announce;
use clap::Args;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use crate::exit::{EXIT_CODES, Exit, Exits};

use jobs::{JobSocket, SocketError};
use stay::Stay;
use talk::Talk;

/// Jobs that wait to be looked at.
const JOBS: usize = 16;

/// Run a client, which takes part in every round
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Run a client. It takes part in every round, whether its user talks or not, until SIGTERM or SIGINT, or \
until a time that was fixed when it was started. Nothing else ends it: not the end of a file or of a \
conversation, not a used-up ledger, not a silent partner. Everybody sees when a client is there, so \
start and stop it at times that have nothing to do with when you talk.

Files are sent and received by other commands, at any time, through the client that runs with the same \
configuration:

  antiphon client --config client.toml --for 8h &
  antiphon send --config client.toml photo.jpg
  antiphon receive --config client.toml
  antiphon status --config client.toml

docs/samples/client.toml is a commented configuration. With a [conversation] in it, the client meets \
the partner from the start on. A secret serves one conversation: when that is over, put a new secret in \
the place of the old one, at both ends, and the running client takes it up by itself.

With --for, an open conversation is closed by agreement some 20 rounds before the end, so that the \
partner need not wait for an end that is gone; the client leaves at its time whatever comes of that. \
SIGTERM and SIGINT close no conversation: waiting for one would show that there is one. They let the round \
in flight end first; a second one ends the client at once."
)]
pub(crate) struct ClientArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Leave after so long, such as 45m, 8h or 7d [default: stay until SIGTERM or SIGINT]
    #[arg(long = "for", value_name = "TIME", value_parser = durations::parse)]
    stay: Option<Duration>,
}

/// Reason why a client does not start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    State(#[from] StateError),
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error(
        "inbox {path}: {source}: it should be a folder that this user may write in, or one that can be \
         made"
    )]
    Inbox { path: PathBuf, source: io::Error },
    #[error("the system does not give what a client needs: {0}")]
    System(#[from] io::Error),
}

impl Exits for ClientError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Inbox { .. } => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}

/// Runs a client until it is to leave.
pub(crate) fn run(arguments: &ClientArguments) -> Result<(), ClientError> {
    let settings = config::load(&arguments.config)?;
    if let Some(inbox) = &settings.inbox {
        // Found now rather than when the first file comes.
        arrivals::prepare_folder(inbox)
            .map_err(|source| ClientError::Inbox { path: inbox.clone(), source })?;
    }
    Runtime::new()?.block_on(async {
        let stop = stop_requested()?;
        let stay = arguments.stay.map(Stay::begin);
        announce(&settings.client.network);
        // Takes the state file, so that no other client uses the socket.
        let client = Client::start(settings.client.clone())?;
        let (jobs, taken) = mpsc::channel(JOBS);
        let socket = JobSocket::open(settings.socket.clone(), jobs)?;
        tracing::info!("the client has started; it stays whatever its user does");
        let mut talk = Talk::new(&client, arguments.config.clone(), &settings, taken, stay);
        tokio::select! {
            () = talk.run() => {}
            () = stop => {}
            () = until(stay.map(Stay::ends_at)) => tracing::info!("the time that was fixed at the start is up"),
        }
        drop(talk);
        drop(socket);
        tracing::info!("stopping after the running round");
        client.shut_down().await;
        tracing::info!("stopped");
        Ok(())
    })
}
