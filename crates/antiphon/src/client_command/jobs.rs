//! Jobs for a running client: what its commands ask over its socket, and what it answers.
//!
//! A command connects, writes one request, and reads answers, each a line of JSON, until the last one. A
//! job lives as long as its command: closing the connection takes it back.

mod socket;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

pub(crate) use socket::SocketError;
pub(super) use socket::{JobLine, JobSocket};

/// Request of a command.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Request {
    /// Send a file to the partner.
    Send {
        path: PathBuf,
        /// The partner is there now: meet in every round.
        now: bool,
    },
    /// Say when the next file is there.
    Receive {
        /// Where to put it, if not into the folder of the configuration.
        into: Option<PathBuf>,
        now: bool,
    },
    /// Say how the client stands.
    Status,
    /// Allow units, and aborted rounds, beyond the guarantee.
    Allow { units: u32, aborts: u32 },
}

/// Answer of the client.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// Progress of a job. More follows.
    Progress(SendProgress),
    /// The partner has stored the file.
    Sent {
        bytes: u64,
    },
    /// A file has arrived and is on disk.
    Received(ReceivedFile),
    Status(Box<StatusReport>),
    Allowed,
    /// The job failed, or, with `usage`, was wrong to begin with.
    Failed {
        reason: String,
        usage: bool,
    },
}

/// Progress of sending a file.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(super) struct SendProgress {
    /// Stage of the job, in words.
    pub(super) stage: String,
    /// Bytes that the partner has, and all of them.
    pub(super) acknowledged: u64,
    pub(super) bytes: u64,
    /// The least time that is left, while bytes move.
    pub(super) seconds_left: Option<u64>,
}

/// A file that arrived.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct ReceivedFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

/// Status of a client.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct StatusReport {
    /// `true` if there is a link to a gateway.
    pub(super) connected: bool,
    pub(super) epoch: Option<u64>,
    pub(super) last_round: Option<u64>,
    /// Rounds since the client was started, by outcome.
    pub(super) rounds: Rounds,
    /// Units of the ledger: charged, those of earlier runs too, and left.
    pub(super) charged: u32,
    pub(super) left: u32,
    /// The same of aborted rounds in which the conversation would have met.
    pub(super) aborts_charged: u32,
    pub(super) aborts_left: u32,
    /// State of the conversation, in words.
    pub(super) conversation: String,
    /// `true` once the partner was heard.
    pub(super) met: bool,
    /// The conversation meets in one of so many rounds, if it is open, and two ends that are there meet
    /// within so many seconds.
    pub(super) one_round_in: Option<u64>,
    pub(super) longest_wait_seconds: Option<u64>,
    pub(super) sending: Option<SendProgress>,
    /// Bytes that have arrived of the file that is arriving, and all of them.
    pub(super) receiving: Option<(u64, u64)>,
    pub(super) files_received: u64,
    pub(super) offers_refused: u64,
    /// Until the client leaves, if it was started with an end.
    pub(super) leaves_in_seconds: Option<u64>,
}

/// Numbers of rounds, by outcome.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub(super) struct Rounds {
    pub(super) undisturbed: u64,
    pub(super) disturbed: u64,
    pub(super) free_aborts: u64,
    pub(super) charged_aborts: u64,
}

/// A request, and the way back.
pub(super) struct Job {
    pub(super) request: Request,
    pub(super) replies: Replies,
}

/// The way back to a job's command.
#[derive(Clone, Debug)]
pub(super) struct Replies(mpsc::Sender<Reply>);

/// Answers that wait for a command to read them.
const REPLIES: usize = 16;

impl Replies {
    pub(super) fn new() -> (Self, mpsc::Receiver<Reply>) {
        let (sender, receiver) = mpsc::channel(REPLIES);
        (Self(sender), receiver)
    }

    /// Tells the command, if it is there. Of news that it does not read, some are left out.
    pub(super) fn tell(&self, reply: Reply) {
        // A place is left for the last answer.
        if self.0.capacity() > 1 {
            let _ = self.0.try_send(reply);
        }
    }

    /// Tells how the job ended.
    pub(super) fn end(self, reply: Reply) {
        // Fails only if the command is gone.
        let _ = self.0.try_send(reply);
    }

    /// Tells that the job failed.
    pub(super) fn fail(self, reason: impl Into<String>) {
        self.end(Reply::Failed { reason: reason.into(), usage: false });
    }

    /// Waits until the command is gone.
    #[cfg(test)]
    pub(super) async fn closed(&self) {
        self.0.closed().await;
    }

    /// Returns `true` if the command is gone.
    pub(super) fn is_gone(&self) -> bool {
        self.0.is_closed()
    }
}
