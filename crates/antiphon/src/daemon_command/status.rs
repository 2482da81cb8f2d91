//! `antiphon status` of a profile's daemon.

use std::fmt::Write as _;
use std::time::Duration;

use antiphon_messenger::api::{
    Allowance, BudgetView, ContactsView, DataView, PathView, StatusView, UnderWayView,
};

use super::DaemonError;
use super::ask::Daemon;
use super::contact::{state, warning};
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

/// Waits for the next rounds, and says what came back of the client's own onions.
pub(crate) fn test(
    place: &PlaceArguments,
    rounds: u64,
    json: &JsonArguments,
) -> Result<(), DaemonError> {
    json.check()?;
    let path: PathView = Daemon::of(place)?.get(&format!("/v1/self-test?rounds={rounds}"))?;
    json.deliver(&path, &format!("{}\n", path_words(&path)))?;
    if path.alive { Ok(()) } else { Err(DaemonError::NothingCameBack) }
}

fn path_words(path: &PathView) -> String {
    let PathView { rounds, answered, sent, lost, median_ms, .. } = path;
    let after = median_ms.map_or_else(String::new, |ms| format!(" after {:.1} s", seconds(ms)));
    format!("{answered} of {rounds} rounds came back{after}; {lost} of {sent} onions were lost")
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one place")]
fn seconds(ms: u64) -> f64 {
    ms as f64 / 1000.0
}

/// Bytes as people read them.
fn bytes(count: u64) -> String {
    let in_units = |unit: u64| format!("{}.{}", count / unit, count % unit * 10 / unit);
    match count {
        0..1000 => format!("{count} bytes"),
        1000..1_000_000 => format!("{} kB", in_units(1000)),
        1_000_000..1_000_000_000 => format!("{} MB", in_units(1_000_000)),
        _ => format!("{} GB", in_units(1_000_000_000)),
    }
}

fn data(data: &DataView) -> String {
    format!("{} sent, {} received", bytes(data.sent), bytes(data.received))
}

/// Says when something is expected, from `now` on.
fn expected(now_ms: u64, at_ms: u64) -> String {
    match at_ms.saturating_sub(now_ms) {
        0 => "now".to_owned(),
        left => format!("in {}", durations::about(Duration::from_millis(left))),
    }
}

fn text(status: &StatusView, contacts: &ContactsView) -> String {
    let mut text = String::new();
    let changed = contacts.contacts.iter().filter_map(warning);
    let contacts = contacts.contacts.iter();
    let contacts = contacts.map(|contact| format!("{}: {}", contact.name, state(contact)));
    let lines = of_network(status).into_iter().chain(of_user(status));
    let lines = lines.chain(contacts.map(|contact| ("contact", contact)));
    let warnings = status.warnings.iter().cloned().chain(changed);
    let warnings = warnings.map(|warning| ("WARNING", warning));
    for (head, rest) in lines.chain(warnings) {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{head:<10}{rest}");
    }
    text
}

type Line = (&'static str, String);

/// The network as it is seen from here.
fn of_network(status: &StatusView) -> Vec<Line> {
    let linked = match status.asleep_until_ms {
        _ if status.online => "linked to a gateway".to_owned(),
        None => "no link to a gateway".to_owned(),
        Some(until) => {
            format!("asleep, to be back {}: the gateway takes part", expected(status.now_ms, until))
        }
    };
    let mut lines = vec![("network", linked)];
    if let (Some(epoch), Some(round)) = (status.epoch, status.round) {
        lines.push(("round", format!("{round} of epoch {epoch}")));
    }
    if let (Some(interval_ms), Some(bytes)) = (status.interval_ms, status.round_bytes) {
        let interval = durations::about(Duration::from_millis(interval_ms.into()));
        let speed = format!("{bytes} bytes each way in a round; rounds are {interval} apart");
        lines.push(("speed", speed));
    }
    if let (Some(round), Some(at_ms)) = (status.next_call_round, status.next_call_ms) {
        let next = format!("next in round {round}, {}", expected(status.now_ms, at_ms));
        lines.push(("calls", next));
    }
    if status.path.rounds > 0 {
        lines.push(("path", path_words(&status.path)));
    }
    if let Some(ahead_ms) = status.clock_ahead_ms {
        let side = if ahead_ms > 0 { "behind" } else { "ahead of" };
        let off = seconds(ahead_ms.unsigned_abs());
        lines.push(("clock", format!("{off:.1} s {side} the gateway's")));
    }
    lines.push(("today", data(&status.data_today)));
    lines.push(("month", data(&status.data_month)));
    lines
}

/// The user's budget and messages.
fn of_user(status: &StatusView) -> Vec<Line> {
    let budget = |budget: &BudgetView| {
        let BudgetView { spent, reserved, left } = budget;
        format!("{left} left, {spent} spent, {reserved} set aside for rounds in flight")
    };
    let StatusView { messages, open_messages, .. } = status;
    let mut lines = vec![
        ("budget", budget(&status.budget)),
        ("aborts", budget(&status.attempts)),
        ("messages", format!("{messages}, of which {open_messages} wait or are under way")),
    ];
    for UnderWayView { message, part, parts, expected_by_ms } in &status.under_way {
        let by = expected(status.now_ms, *expected_by_ms);
        lines.push(("under way", format!("{message}: part {part} of {parts}, expected {by}")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_times_are_said_as_people_read_them() {
        for (count, said) in [
            (999, "999 bytes"),
            (1000, "1.0 kB"),
            (1_290_000, "1.2 MB"),
            (u64::MAX, "18446744073.7 GB"),
        ] {
            assert_eq!(bytes(count), said);
        }
        assert_eq!(expected(5000, 4000), "now");
        assert_eq!(expected(5000, 17_000), "in 12 s");
    }
}
