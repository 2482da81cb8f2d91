//! `antiphon send`, `receive` and `status`: jobs for a running client.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_client::config::{self, ConfigError};
use antiphon_messenger::api::Allowance;
use antiphon_process::signals::stop_requested;
use antiphon_process::until;
use clap::Args;
use serde::Serialize;
use tokio::runtime;
use tokio::time::Instant;

use super::jobs::{JobLine, ReceivedFile, Reply, Request, SocketError, StatusReport};
use super::progress::Progress;
use super::{durations, status_text};
use crate::cli::json::JsonArguments;
use crate::daemon_command::place::PlaceArguments;
use crate::daemon_command::receive::Receiving;
use crate::daemon_command::send::Sending;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::network_status::AdminUrl;
use crate::output::OutputError;

/// Send a message to a contact, or a file to the partner of a running client
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Send a message to a contact, through the daemon that `antiphon serve` runs on the profile. It is on disk when this \
returns, and goes on its way whenever the contact is there; with --wait, exit code 0 means that it is in the contact's \
store.

  antiphon send bob 'hello'
  antiphon send bob --wait < letter.txt

With --config, send a file to the partner, through a client that runs with the same configuration. \
Exit code 0 then means that the partner has stored the whole file on disk. If the partner refuses it or \
cannot keep it, the reason is told. While the partner's disk is full, the file waits. Stopping this \
command, or its --timeout, takes the file back; the client itself stays in the network all the same.

  antiphon client --config client.toml --for 8h &
  antiphon send --config client.toml photo.jpg"
)]
pub(crate) struct SendArguments {
    /// The contact, by name; with --config, the file: a regular one, no larger than `largest_file_bytes` in the
    /// configuration
    #[arg(value_name = "CONTACT|FILE")]
    what: PathBuf,
    /// The text of the message [default: what comes on standard input]
    #[arg(value_name = "TEXT", conflicts_with = "config")]
    text: Option<String>,
    #[command(flatten)]
    place: PlaceArguments,
    /// Wait until the message is delivered
    #[arg(long, conflicts_with = "config")]
    wait: bool,
    /// Send it once, however often this is run with the same key
    #[arg(long, value_name = "KEY", conflicts_with = "config")]
    key: Option<String>,
    #[command(flatten)]
    job: JobArguments,
}

impl SendArguments {
    /// The message for a daemon; `None` if it is a file for a client.
    pub(crate) fn sending(&self) -> Option<Sending<'_>> {
        let contact = self.what.to_str().unwrap_or_default();
        self.job.config.is_none().then_some(Sending {
            place: &self.place,
            contact,
            text: self.text.as_deref(),
            key: self.key.as_deref(),
            waits: self.wait,
            timeout: self.job.timeout,
            json: &self.job.json,
        })
    }
}

/// Print the messages that have come, or wait for the next file of a running client's partner
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Print the messages that have come since this was last run, through the daemon that `antiphon serve` runs on the \
profile, and with --follow those that come from then on. With --json, each is a line of JSON.

  antiphon receive --follow

With --config, wait for the next file, through a client that runs with the same configuration, and print its path.

Files go into the folder that `inbox` in the configuration names, whether or not this command runs. \
Without such a folder they are refused, unless this command waits for them with --into. They get the \
name that the partner gives, without folders and odd characters, and a number if there is such a file \
already. They can be read by their owner alone.

  antiphon receive --config client.toml --into inbox"
)]
pub(crate) struct ReceiveArguments {
    #[command(flatten)]
    place: PlaceArguments,
    /// Go on printing messages as they come
    #[arg(long, conflicts_with = "config")]
    follow: bool,
    /// Begin behind the event with this number, and note nothing for the next time
    #[arg(long, value_name = "EVENT", conflicts_with = "config")]
    after: Option<u64>,
    /// The folder for the file; made if it is missing
    #[arg(long, value_name = "DIR", requires = "config")]
    into: Option<PathBuf>,
    #[command(flatten)]
    job: JobArguments,
}

impl ReceiveArguments {
    /// What to receive of a daemon; `None` if it is a file of a client.
    pub(crate) fn receiving(&self) -> Option<Receiving<'_>> {
        self.job.config.is_none().then_some(Receiving {
            place: &self.place,
            follow: self.follow,
            after: self.after,
            json: &self.job.json,
        })
    }
}

/// Say how a daemon or a client stands, or a network or a shard: rounds, ledger, messages; epochs, operators
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Say how the daemon stands that `antiphon serve` runs on the profile: its rounds, ledger, messages and contacts. With \
--config, say how a running client stands: its rounds, ledger, conversation and files. With the address of a \
coordinator's admin server, say how a network stands: the epoch that runs, the shards that are \
registered, which operators are present, and what the network guarantees. With that of a shard, say \
whether it takes part, and why not if it does not.

  antiphon status
  antiphon status --test
  antiphon status --config client.toml
  antiphon status http://127.0.0.1:9101"
)]
pub(crate) struct StatusArguments {
    /// The admin server of a coordinator or a shard, to say how a network or that shard stands
    #[arg(value_name = "URL", conflicts_with_all = ["config", "profile", "allow", "allow_aborts", "test"])]
    network: Option<AdminUrl>,
    /// The configuration file of the client
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    config: Option<PathBuf>,
    #[command(flatten)]
    place: PlaceArguments,
    /// Allow so many disturbed rounds beyond what the network's guarantee covers, so that a resting
    /// conversation meets again: each unit adds to what an attacker may have learnt
    #[arg(long, value_name = "UNITS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    allow: Option<u32>,
    /// Allow so many aborted rounds beyond what the network's guarantee covers, likewise
    #[arg(long, value_name = "ROUNDS", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    allow_aborts: Option<u32>,
    /// Wait for so many rounds, and say what came back of the daemon's own onions, and how soon. Nothing is sent for it,
    /// nothing is charged, and nobody sees it
    #[arg(
        long,
        value_name = "ROUNDS",
        num_args = 0..=1,
        default_missing_value = "3",
        value_parser = clap::value_parser!(u64).range(1..=64),
        conflicts_with_all = ["config", "allow", "allow_aborts"]
    )]
    test: Option<u64>,
    #[command(flatten)]
    json: JsonArguments,
}

#[derive(Debug, Args)]
struct JobArguments {
    /// The configuration file of the client
    #[arg(long, value_name = "FILE", conflicts_with = "profile")]
    config: Option<PathBuf>,
    /// Meet in every round for a start once more, as the partner is known to be there and does the
    /// same. Costs up to nine units of the ledger if it is not
    #[arg(long, requires = "config")]
    now: bool,
    /// Give up after so long, such as 90s, 45m, 8h or 7d [default: never]
    #[arg(long, value_name = "TIME", value_parser = durations::parse)]
    timeout: Option<Duration>,
    #[command(flatten)]
    json: JsonArguments,
}

/// Reason why a job is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{path}: {source}")]
    Path { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Socket(#[from] SocketError),
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Failed(String),
    #[error("interrupted before the job was done: {0}")]
    Interrupted(String),
    #[error("not done within {}: {left}", durations::about(*.time))]
    TimedOut { time: Duration, left: String },
    #[error("the system does not give what a command needs: {0}")]
    System(#[from] io::Error),
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for JobError {
    fn exit(&self) -> Exit {
        match self {
            Self::Config(_) | Self::Path { .. } | Self::Wrong(_) => Exit::Usage,
            Self::Interrupted(_) => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}

/// The report of `antiphon send --json`.
#[derive(Serialize)]
struct SendReport {
    /// `true` if the partner has stored the file.
    stored: bool,
    /// Bytes that the partner acknowledged.
    acknowledged: u64,
    /// Reason why it is not stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// Sends a file, and waits for its end.
pub(crate) fn send(arguments: &SendArguments) -> Result<(), JobError> {
    let job = &arguments.job;
    job.json.check()?;
    let path = absolute(&arguments.what)?;
    let mut progress = Progress::new();
    let ended = job.wait(&Request::Send { path, now: job.now }, &mut progress);
    let acknowledged = progress.acknowledged();
    match ended {
        Ok(Reply::Sent { bytes }) => {
            let report = SendReport { stored: true, acknowledged: bytes, reason: None };
            Ok(job.json.deliver(
                &report,
                &format!("sent      {bytes} bytes; the partner has them on disk\n"),
            )?)
        }
        Ok(_) => Err(SocketError::Nonsense.into()),
        // With --json a failure is a report too; its words go to standard error as ever.
        Err(error) => {
            let reason = Some(error.to_string());
            job.json.write(&SendReport { stored: false, acknowledged, reason })?;
            Err(error)
        }
    }
}

/// Waits for a file.
pub(crate) fn receive(arguments: &ReceiveArguments) -> Result<(), JobError> {
    let job = &arguments.job;
    job.json.check()?;
    let into = arguments.into.as_ref().map(|folder| {
        // An error shows below.
        let _ = make_folder(folder);
        absolute(folder)
    });
    let request = Request::Receive { into: into.transpose()?, now: job.now };
    match job.wait(&request, &mut Progress::new())? {
        Reply::Received(file) => {
            let ReceivedFile { path, bytes } = &file;
            let text = format!("received  {}, {bytes} bytes\n", path.display());
            Ok(job.json.deliver(&file, &text)?)
        }
        _ => Err(SocketError::Nonsense.into()),
    }
}

/// Says how the client stands.
pub(crate) fn status(arguments: &StatusArguments) -> Result<(), JobError> {
    arguments.json.check()?;
    let Some(config) = &arguments.config else { unreachable!("asked for a client") };
    let socket = config::socket_of(config)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let report = runtime.block_on(async {
        // The allowance first, so that the status printed counts it.
        if arguments.allow.is_some() || arguments.allow_aborts.is_some() {
            let units = arguments.allow.unwrap_or_default();
            let aborts = arguments.allow_aborts.unwrap_or_default();
            JobLine::hand_in(&socket, &Request::Allow { units, aborts }).await?.answer().await?;
        }
        match JobLine::hand_in(&socket, &Request::Status).await?.answer().await? {
            Reply::Status(report) => Ok::<StatusReport, JobError>(*report),
            _ => Err(SocketError::Nonsense.into()),
        }
    })?;
    Ok(arguments.json.deliver(&report, &status_text::text(&report))?)
}

impl StatusArguments {
    /// The coordinator to ask, if it is a network's status that is wanted.
    pub(crate) const fn network(&self) -> Option<&AdminUrl> {
        self.network.as_ref()
    }

    /// The profile whose daemon to ask, and what to allow it; `None` if a client is asked.
    pub(crate) fn daemon(&self) -> Option<(&PlaceArguments, Allowance)> {
        let units = self.allow.unwrap_or_default();
        let aborts = self.allow_aborts.unwrap_or_default();
        self.config.is_none().then_some((&self.place, Allowance { units, aborts }))
    }

    /// The rounds of a self-test, if it is one that is wanted.
    pub(crate) const fn test(&self) -> Option<u64> {
        self.test
    }

    /// Where the result goes as JSON.
    pub(crate) const fn json(&self) -> &JsonArguments {
        &self.json
    }
}

impl JobArguments {
    /// Hands the job in and waits for its end.
    fn wait(&self, request: &Request, progress: &mut Progress) -> Result<Reply, JobError> {
        let Some(config) = &self.config else { unreachable!("asked for a client") };
        let socket = config::socket_of(config)?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let ended = runtime.block_on(async {
            // The handler stands before the job is handed in: from then on Ctrl-C ends in words on what was
            // left.
            let stop = stop_requested()?;
            let mut line = JobLine::hand_in(&socket, request).await?;
            let answered = async {
                loop {
                    match line.answer().await? {
                        Reply::Progress(news) => progress.show(news),
                        Reply::Failed { reason, usage: true } => {
                            return Err(JobError::Wrong(reason));
                        }
                        Reply::Failed { reason, .. } => return Err(JobError::Failed(reason)),
                        reply => return Ok(reply),
                    }
                }
            };
            let nothing = String::new();
            tokio::select! {
                answered = answered => answered,
                () = stop => Err(JobError::Interrupted(nothing)),
                () = until(self.timeout.map(|time| Instant::now() + time)) => {
                    Err(JobError::TimedOut { time: self.timeout.unwrap_or_default(), left: nothing })
                }
            }
        });
        progress.clear();
        // Where these errors were made, the progress was not at hand.
        ended.map_err(|error| match error {
            JobError::Interrupted(_) => JobError::Interrupted(progress.left()),
            JobError::TimedOut { time, .. } => JobError::TimedOut { time, left: progress.left() },
            error => error,
        })
    }
}

/// The path as the client finds it, whatever its own folder is.
fn absolute(path: &Path) -> Result<PathBuf, JobError> {
    fs::canonicalize(path).map_err(|source| JobError::Path { path: path.to_owned(), source })
}

/// Makes a folder for its owner alone, if it is missing.
pub(super) fn make_folder(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

/// Writes a line to standard error; if nobody reads there, that is no reason to end.
pub(super) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
