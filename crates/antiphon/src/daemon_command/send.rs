//! `antiphon send CONTACT TEXT`.

use std::io::{self, Read as _};
use std::time::Duration;

use antiphon_messenger::api::{MessageView, NewText, StatusView, SubmittedView};
use antiphon_process::clock::SystemClock;
use antiphon_wire::Timestamp;

use super::DaemonError;
use super::ask::Daemon;
use super::contact::warning;
use super::place::PlaceArguments;
use crate::cli::json::JsonArguments;
use crate::output;

/// Most bytes of a text that are read from standard input; the daemon takes fewer.
const MOST_BYTES: u64 = 1 << 20;

/// What a message is sent with.
#[derive(Debug)]
pub(crate) struct Sending<'a> {
    pub(crate) place: &'a PlaceArguments,
    pub(crate) contact: &'a str,
    pub(crate) text: Option<&'a str>,
    pub(crate) key: Option<&'a str>,
    pub(crate) waits: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) json: &'a JsonArguments,
}

/// Hands a message in, and waits for its end if that is wished.
pub(crate) fn run(sending: &Sending<'_>) -> Result<(), DaemonError> {
    sending.json.check()?;
    let daemon = Daemon::of(sending.place)?;
    let contact = daemon.contact(sending.contact)?;
    if let Some(warning) = warning(&contact) {
        output::say(&format!("WARNING: {warning}"));
    }
    let text = match sending.text {
        Some(text) if text != "-" => text.to_owned(),
        _ => standard_input()?,
    };
    let key = sending.key.map(|key| ("Idempotency-Key", key));
    let path = format!("/v1/contacts/{}/messages", contact.id);
    let StatusView { last_event, .. } = daemon.get("/v1/status")?;
    let taken: SubmittedView = daemon.post(&path, &NewText { text }, key.as_slice())?;
    if !sending.waits {
        let message = daemon.message(&taken.id)?;
        return Ok(sending.json.deliver(&message, &format!("queued  {}\n", taken.id))?);
    }
    let message = wait(&daemon, &taken.id, last_event, sending.timeout)?;
    match &message.state[..] {
        "delivered" => Ok(sending.json.deliver(&message, &format!("delivered  {}\n", taken.id))?),
        state => {
            sending.json.write(&message)?;
            let why = message.why.clone().unwrap_or_else(|| state.to_owned());
            Err(DaemonError::NotDelivered(why))
        }
    }
}

fn standard_input() -> Result<String, DaemonError> {
    let mut text = String::new();
    let read = io::stdin().lock().take(MOST_BYTES).read_to_string(&mut text);
    read.map_err(|_| DaemonError::NoText)?;
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    Ok(text)
}

/// Waits until a message's end is known; `after` is an event from before it was handed in.
fn wait(
    daemon: &Daemon,
    id: &str,
    after: u64,
    timeout: Option<Duration>,
) -> Result<MessageView, DaemonError> {
    let mut events = daemon.events(after)?;
    let ends_at = timeout.map(|time| Timestamp(SystemClock::now().0 + time.as_millis() as u64));
    loop {
        let message = daemon.message(id)?;
        if !matches!(&message.state[..], "queued" | "under_way") {
            return Ok(message);
        }
        loop {
            let event = events
                .next(ends_at)?
                .ok_or_else(|| timeout.map_or(DaemonError::Stopped, DaemonError::NotYet))?;
            if event.message.as_deref() == Some(id) {
                break;
            }
        }
    }
}
