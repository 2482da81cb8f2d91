//! A client's status for people.

use std::fmt::Write as _;
use std::time::Duration;

use super::durations::about;
use super::jobs::{Rounds, StatusReport};

/// Some lines of text.
pub(super) fn text(report: &StatusReport) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<14}{value}");
    };
    line(
        "network",
        match (report.connected, report.epoch, report.last_round) {
            (true, Some(epoch), Some(round)) => format!("linked, epoch {epoch}, round {round}"),
            (true, ..) => "linked, before its first round".to_owned(),
            (false, ..) => "no gateway at the moment".to_owned(),
        },
    );
    let Rounds { undisturbed, disturbed, free_aborts, charged_aborts } = report.rounds;
    line(
        "rounds",
        format!(
            "{undisturbed} undisturbed, {disturbed} disturbed, {free_aborts} aborted free, \
             {charged_aborts} aborted and charged"
        ),
    );
    line("ledger", format!("{} units charged, {} left", report.charged, report.left));
    let (counted, left) = (report.aborts_charged, report.aborts_left);
    line("aborts", format!("{counted} rounds counted, {left} left"));
    line("conversation", report.conversation.clone());
    if let Some(sending) = &report.sending {
        let (there, all) = (sending.acknowledged, sending.bytes);
        line("sending", format!("{}; {there} of {all} bytes", sending.stage));
    }
    if let Some((there, all)) = report.receiving {
        line("receiving", format!("{there} of {all} bytes"));
    }
    line(
        "files",
        format!("{} received, {} offers refused", report.files_received, report.offers_refused),
    );
    if let Some(seconds) = report.leaves_in_seconds {
        line("leaves in", about(Duration::from_secs(seconds)));
    }
    text
}
