//! How a client's job went.

use std::fmt::Write as _;

use antiphon_client::Outcome;
use serde::Serialize;

/// The report for `--json`.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Report {
    /// Whether all was done that the command line asked for.
    pub(super) done: bool,
    /// Messages that the partner acknowledged.
    pub(super) sent: u64,
    /// Messages that arrived.
    pub(super) received: u64,
    /// Bytes of files that arrived.
    pub(super) bytes: u64,
    /// Whether every file that began to arrive did so byte for byte.
    pub(super) intact: bool,
    /// What `--send` names, if it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sending: Option<Sending>,
    /// Whether `--receive` is asked for.
    pub(super) receiving: bool,
    /// The files that arrived, in order.
    pub(super) files: Vec<ReceivedFile>,
    pub(super) rounds: Rounds,
    /// Rounds charged to the ledger so far, of earlier runs with the same state file too.
    pub(super) charged: u32,
}

/// The file to send.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Sending {
    pub(super) bytes: u64,
    pub(super) acknowledged: u64,
}

/// A file that arrived.
#[derive(Clone, Debug, Serialize)]
pub(super) struct ReceivedFile {
    pub(super) path: String,
    pub(super) bytes: u64,
}

/// Rounds by outcome.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Rounds {
    pub(super) undisturbed: u64,
    pub(super) disturbed: u64,
    pub(super) free_aborts: u64,
    pub(super) charged_aborts: u64,
}

impl Rounds {
    pub(super) fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Undisturbed => &mut self.undisturbed,
            Outcome::Disturbed => &mut self.disturbed,
            Outcome::FreeAbort => &mut self.free_aborts,
            Outcome::ChargedAbort => &mut self.charged_aborts,
        } += 1;
    }
}

impl Report {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        if let Some(Sending { bytes, acknowledged }) = self.sending {
            let _ = writeln!(text, "sent      {acknowledged} of {bytes} bytes");
        }
        for ReceivedFile { path, bytes } in &self.files {
            let _ = writeln!(text, "received  {path}, {bytes} bytes");
        }
        let Rounds { undisturbed, disturbed, free_aborts, charged_aborts } = self.rounds;
        let _ = writeln!(
            text,
            "rounds    {undisturbed} undisturbed, {disturbed} disturbed, {free_aborts} aborted \
             free, {charged_aborts} aborted and charged"
        );
        text
    }

    /// What is still to be done.
    pub(super) fn left(&self) -> String {
        let mut left = Vec::new();
        if let Some(Sending { bytes, acknowledged }) = self.sending
            && (acknowledged < bytes || self.sent == 0)
        {
            left.push(format!("{acknowledged} of {bytes} bytes are acknowledged"));
        }
        if self.receiving && self.files.is_empty() {
            left.push(format!("{} bytes have arrived, and no whole file", self.bytes));
        }
        left.join("; ")
    }
}
