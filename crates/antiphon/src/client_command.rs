//! `antiphon client`: one conversation, and a file each way.

mod arrivals;
mod file_name;
mod message;
mod report;
mod session;

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use antiphon_client::config::{self, ConfigError};
use antiphon_client::{Client, ConnectError, OpenConversationError};
use clap::{ArgGroup, Args};
use tokio::runtime::Runtime;
use tokio::time::Instant;

use crate::announce::announce;
use crate::cli::json::JsonArguments;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::OutputError;
use crate::signals::stop_requested;

use arrivals::{Arrivals, WriteError};
use report::Report;
use session::{Session, SessionError};

/// Send a file to the partner of a conversation, receive one, or both
#[derive(Debug, Args)]
#[command(
    group(ArgGroup::new("job").required(true).multiple(true).args(["send", "receive"])),
    after_long_help = EXIT_CODES,
    long_about = "\
Send a file to the partner of a conversation, receive one, or both. docs/samples/client.toml is a \
commented configuration; it has to have a [conversation].

The job is done when the partner has acknowledged all of --send, and, with --receive, when one file \
has arrived whole. The client then stays until the partner has done its own job too, and both close \
the conversation by agreement, which takes 16 rounds and costs neither of them anything. If it hears \
nothing of the partner for 256 rounds it leaves by itself.

Received files get the name that the partner gives, without folders and odd characters, and a number \
if there is such a file already. They can be read by their owner alone.

SIGTERM and SIGINT let the round in flight end first.

  antiphon client --config client.toml --send photo.jpg --receive inbox"
)]
pub(crate) struct ClientArguments {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The file to send
    #[arg(long, value_name = "FILE")]
    send: Option<PathBuf>,
    /// The folder for files that the partner sends; ends after the first one
    #[arg(long, value_name = "DIR")]
    receive: Option<PathBuf>,
    /// Give up after so long [default: never, once connected]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=31_536_000))]
    timeout: Option<u64>,
    #[command(flatten)]
    json: JsonArguments,
}

/// Why the job is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClientError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(
        "{config}: `conversation` is missing: it should be a section with the file of the secret \
         and this end's role, as in docs/samples/client.toml"
    )]
    NoConversation { config: PathBuf },
    #[error("--send {path}: {source}: it should be a file that this user may read")]
    Send { path: PathBuf, source: io::Error },
    #[error("--receive {path}: it should be a folder that is there")]
    Receive { path: PathBuf },
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the conversation cannot be opened: {0}")]
    Open(#[from] OpenConversationError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("interrupted before the job was done: {left}")]
    Interrupted { left: String },
    #[error("not done within {seconds} seconds: {left}")]
    TimedOut { seconds: u64, left: String },
    #[error("the system does not give what a client needs: {0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for ClientError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::NoConversation { .. } => Exit::Usage,
            Self::Send { .. } | Self::Receive { .. } => Exit::Usage,
            Self::Interrupted { .. } => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}

/// How a session came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing is left to do.
    Over,
    /// The system or a person asked to stop.
    Stopped,
    /// The time is up.
    TimedOut,
}

/// Does the job.
pub(crate) fn run(arguments: &ClientArguments) -> Result<(), ClientError> {
    let mut config = config::load(&arguments.config)?;
    let Some(conversation) = config.conversation.take() else {
        return Err(ClientError::NoConversation { config: arguments.config.clone() });
    };
    let outgoing = arguments.outgoing()?;
    let arrivals = match &arguments.receive {
        Some(path) if !path.is_dir() => return Err(ClientError::Receive { path: path.clone() }),
        folder => Arrivals::new(folder.clone()),
    };
    let timeout = arguments.timeout.map(Duration::from_secs);
    if let Some(timeout) = timeout {
        config.client.connect_within = timeout;
    }
    Runtime::new()?.block_on(async {
        let deadline = timeout.map(|timeout| Instant::now() + timeout);
        let mut stop = std::pin::pin!(stop_requested()?);
        announce(&config.client.network);
        tracing::info!("connecting");
        let client = tokio::select! {
            client = Client::connect(config.client) => client?,
            () = &mut stop => {
                return Err(ClientError::Interrupted { left: "no gateway yet".to_owned() });
            }
        };
        let events = client.events();
        let mut session =
            Session::new(client.open(conversation).await?, events, outgoing, arrivals);
        tracing::info!("the conversation is open");
        let ended = tokio::select! {
            ended = session.run() => ended.map(|()| End::Over),
            () = stop => Ok(End::Stopped),
            () = at(deadline) => Ok(End::TimedOut),
        };
        session.progress().finish_and_clear();
        tracing::info!("stopping after the running round");
        client.shut_down().await;
        tracing::info!("stopped");
        arguments.conclude(ended, &session.report())
    })
}

impl ClientArguments {
    /// The file to send, with its name.
    fn outgoing(&self) -> Result<Option<session::Outgoing>, ClientError> {
        let Some(path) = &self.send else { return Ok(None) };
        let content =
            fs::read(path).map_err(|source| ClientError::Send { path: path.clone(), source })?;
        let name = path.file_name().map(OsStr::to_string_lossy).unwrap_or_default().into_owned();
        Ok(Some(session::Outgoing { name, content }))
    }

    /// Tells how it went.
    fn conclude(
        &self,
        ended: Result<End, SessionError>,
        report: &Report,
    ) -> Result<(), ClientError> {
        self.json.deliver(report, &report.text())?;
        match ended? {
            _ if report.done => Ok(()),
            End::TimedOut => Err(ClientError::TimedOut {
                seconds: self.timeout.unwrap_or_default(),
                left: report.left(),
            }),
            End::Over | End::Stopped => Err(ClientError::Interrupted { left: report.left() }),
        }
    }
}

/// Waits until then; for ever if there is no then.
async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
