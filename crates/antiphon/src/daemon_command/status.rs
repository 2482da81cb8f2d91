//! `antiphon status` of a profile's daemon.

use std::fmt::Write as _;
use std::time::Duration;

use antiphon_messenger::api::{Allowance, BudgetView, ContactsView, StatusView};

use super::DaemonError;
use super::ask::Daemon;
use super::contact::state;
use super::place::PlaceArguments;
use crate::cli::json::JsonArguments;
use crate::client_command::durations;

/// Says how a daemon stands, after allowing what is to be allowed.
pub(crate) fn run(
    place: &PlaceArguments,
    allowance: Allowance,
    json: &JsonArguments,
) -> Result<(), DaemonError> {
    json.check()?;
    let daemon = Daemon::of(place)?;
    let status: StatusView = match allowance {
        Allowance { units: 0, aborts: 0 } => daemon.get("/v1/status")?,
        allowance => daemon.post("/v1/allowance", &allowance, &[])?,
    };
    let contacts: ContactsView = daemon.get("/v1/contacts")?;
    Ok(json.deliver(&status, &text(&status, &contacts))?)
}

fn text(status: &StatusView, contacts: &ContactsView) -> String {
    let mut text = String::new();
    // Writing to a string does not fail.
    let mut line = |head: &str, rest: &str| {
        let _ = writeln!(text, "{head:<10}{rest}");
    };
    line("network", if status.online { "linked to a gateway" } else { "no link to a gateway" });
    if let (Some(epoch), Some(round)) = (status.epoch, status.round) {
        line("round", &format!("{round} of epoch {epoch}"));
    }
    if let (Some(interval_ms), Some(bytes)) = (status.interval_ms, status.round_bytes) {
        let interval = durations::about(Duration::from_millis(interval_ms.into()));
        line("speed", &format!("{bytes} bytes each way in a round; rounds are {interval} apart"));
    }
    let budget = |budget: &BudgetView| {
        let BudgetView { spent, reserved, left } = budget;
        format!("{left} left, {spent} spent, {reserved} set aside for rounds in flight")
    };
    line("budget", &budget(&status.budget));
    line("aborts", &budget(&status.attempts));
    if status.restored {
        line("restored", "from a backup: conversations rest until `antiphon status --allow`");
    }
    line(
        "messages",
        &format!("{}, of which {} wait or are under way", status.messages, status.open_messages),
    );
    for contact in &contacts.contacts {
        line("contact", &format!("{}: {}", contact.name, state(contact)));
    }
    text
}
