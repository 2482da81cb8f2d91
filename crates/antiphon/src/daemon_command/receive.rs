//! `antiphon receive`, and `--follow`.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use antiphon_messenger::api::{ContactsView, EventView, EventsView, MessageView};
use antiphon_process::kept_file::owners_only;
use serde::Serialize;

use super::DaemonError;
use super::ask::Daemon;
use super::contact::warning;
use super::place::PlaceArguments;
use crate::cli::json::JsonArguments;
use crate::output;

/// What messages are received with.
#[derive(Debug)]
pub(crate) struct Receiving<'a> {
    pub(crate) place: &'a PlaceArguments,
    pub(crate) follow: bool,
    /// Number of the last event that is known, in place of the one that was noted last time.
    pub(crate) after: Option<u64>,
    pub(crate) json: &'a JsonArguments,
}

/// A message that came, as a line of JSON.
#[derive(Serialize)]
struct Line<'a> {
    event: u64,
    from: &'a str,
    #[serde(flatten)]
    message: &'a MessageView,
}

/// Prints the messages that have come since it was last run, and those that come, if that is wished.
pub(crate) fn run(receiving: &Receiving<'_>) -> Result<(), DaemonError> {
    if receiving.json.is_to_file() {
        return Err(DaemonError::LinesToFile);
    }
    let daemon = Daemon::of(receiving.place)?;
    let mut printer = Printer::new(&daemon, receiving);
    loop {
        let path = format!("/v1/events?after={}", printer.last);
        let EventsView { events } = match daemon.get(&path) {
            // Older ones are gone for their age; what is there is there.
            Err(DaemonError::Refused(problem)) if problem.dropped.is_some() => {
                printer.last = problem.dropped.unwrap_or_default();
                continue;
            }
            events => events?,
        };
        if events.is_empty() {
            break;
        }
        events.iter().try_for_each(|event| printer.print(event))?;
    }
    if receiving.follow {
        let mut events = daemon.events(printer.last)?;
        while let Some(event) = events.next(None)? {
            printer.print(&event)?;
        }
        return Err(DaemonError::Stopped);
    }
    Ok(())
}

struct Printer<'a> {
    daemon: &'a Daemon,
    json: bool,
    /// Names of contacts by their ids.
    names: BTreeMap<String, String>,
    last: u64,
    /// Keeps the last event that was printed; `None` if it was said where to begin.
    note: Option<PathBuf>,
}

impl<'a> Printer<'a> {
    fn new(daemon: &'a Daemon, receiving: &Receiving<'_>) -> Self {
        let note = receiving.after.is_none().then(|| daemon.folder().join("received"));
        let noted = note.as_ref().and_then(|path| fs::read_to_string(path).ok());
        let noted = noted.and_then(|noted| noted.trim().parse().ok());
        let last = receiving.after.or(noted).unwrap_or(0);
        Self { daemon, json: receiving.json.is_to_stdout(), names: BTreeMap::new(), last, note }
    }

    fn print(&mut self, event: &EventView) -> Result<(), DaemonError> {
        if let Some(id) = event.message.as_ref().filter(|_| event.kind == "received") {
            match self.daemon.message(id) {
                Ok(message) => self.print_message(event.id, &message)?,
                // Deleted since.
                Err(DaemonError::Refused(problem)) if problem.kind == "not_found" => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(id) = event.contact.as_ref().filter(|_| event.kind == "contact_changed") {
            let ContactsView { contacts } = self.daemon.get("/v1/contacts")?;
            let about = contacts.iter().find(|contact| contact.id == *id);
            if let Some(warning) = about.and_then(warning) {
                output::say(&format!("WARNING: {warning}"));
            }
        }
        self.last = event.id;
        self.keep()
    }

    fn print_message(&mut self, event: u64, message: &MessageView) -> Result<(), DaemonError> {
        let from = self.name(&message.contact)?;
        let text = if self.json {
            let line = Line { event, from: &from, message };
            serde_json::to_string(&line).map_err(|_| DaemonError::Nonsense)?
        } else {
            let hex = message.hex.as_deref().unwrap_or_default();
            format!("{from}: {}", printable(message.text.as_deref().unwrap_or(hex)))
        };
        Ok(output::print(&(text + "\n"))?)
    }

    /// The name of a contact, as it was when it was first asked for.
    fn name(&mut self, id: &str) -> Result<String, DaemonError> {
        if !self.names.contains_key(id) {
            let ContactsView { contacts } = self.daemon.get("/v1/contacts")?;
            self.names.extend(contacts.into_iter().map(|contact| (contact.id, contact.name)));
        }
        Ok(self.names.get(id).cloned().unwrap_or_else(|| id.to_owned()))
    }

    fn keep(&self) -> Result<(), DaemonError> {
        let Some(path) = &self.note else { return Ok(()) };
        let failed = |source| DaemonError::Write { path: path.clone(), source };
        let mut options = fs::OpenOptions::new();
        let options = owners_only(options.write(true).create(true).truncate(true));
        let mut file = options.open(path).map_err(failed)?;
        std::io::Write::write_all(&mut file, self.last.to_string().as_bytes()).map_err(failed)
    }
}

/// The text without what terminals obey: it is somebody else's.
fn printable(text: &str) -> String {
    let shown = |letter: char| match letter {
        '\n' | '\t' => letter,
        _ if letter.is_control() => '\u{fffd}',
        _ => letter,
    };
    text.chars().map(shown).collect()
}
