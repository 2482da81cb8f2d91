//! `antiphon serve`, and the commands that a person uses through it: `contact`, `send`, `receive`, `sleep`, `status`.

pub(crate) mod ask;
pub(crate) mod contact;
pub(crate) mod place;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod serve;
pub(crate) mod sleep;
pub(crate) mod status;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use antiphon_messenger::api::Problem;

use crate::client_command::durations;
use crate::exit::{Exit, Exits};
use crate::output::OutputError;

/// Reason why a command that goes through a daemon fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DaemonError {
    #[error("there is no home folder to look for a profile in: say where it is with --profile")]
    NoHome,
    #[error(
        "no daemon runs on the profile {folder}: start `antiphon serve --profile {folder} --config FILE` and leave it \
         running ({source})"
    )]
    NobodyThere { folder: PathBuf, source: io::Error },
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{}", .0.message)]
    Refused(Problem),
    #[error("the daemon stopped before it answered")]
    Stopped,
    #[error("the daemon answers what makes no sense: is it of another version?")]
    Nonsense,
    #[error("there is no contact \"{0}\": `antiphon contact list` shows who there is")]
    NoContact(String),
    #[error("nobody asks to talk as \"{0}\": `antiphon contact requests` shows who does")]
    NoRequest(String),
    #[error(
        "several people ask to talk by the code \"{0}\": say the request's id, which `antiphon contact requests` shows"
    )]
    SeveralRequests(String),
    #[error("the message is no text: send it as a file, through `antiphon client`")]
    NoText,
    #[error(
        "messages are lines of JSON on standard output: say --json alone, and send it where it is wanted"
    )]
    LinesToFile,
    #[error("the message was not delivered: {0}")]
    NotDelivered(String),
    #[error("not delivered within {}: it waits, and goes on its way", durations::about(*.0))]
    NotYet(Duration),
    #[error("nothing of what was sent came back: `antiphon status` says what may be amiss")]
    NothingCameBack,
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for DaemonError {
    fn exit(&self) -> Exit {
        match self {
            Self::NoHome
            | Self::NoContact(_)
            | Self::NoRequest(_)
            | Self::SeveralRequests(_)
            | Self::NoText
            | Self::LinesToFile => Exit::Usage,
            Self::Refused(problem) => match &problem.kind[..] {
                "wrong" | "not_found" | "conflict" | "too_long" => Exit::Usage,
                _ => Exit::Failed,
            },
            _ => Exit::Failed,
        }
    }
}
