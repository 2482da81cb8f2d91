//! Export as JSON lines, in the clear: for programs that come after this one.

use std::io::{self, Write};

use antiphon_wire::Timestamp;
use serde::Serialize;

use crate::event::EventId;
use crate::folder::PROFILE_VERSION;
use crate::message::{Direction, Message, MessageState};
use crate::place::Place;
use crate::store::{EventsGone, Store};
use crate::store_error::StoreError;

/// Events that are read at once.
const SOME: usize = 256;

/// Reason why an export is not complete.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file cannot be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
}

/// One line of an export.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line<'a> {
    /// The first line.
    Profile { version: u32, exported_at_ms: u64, with_secrets: bool },
    Keepsake {
        kind: &'static str,
        name: &'a str,
        version: u16,
        #[serde(skip_serializing_if = "Option::is_none")]
        hex: Option<String>,
    },
    Message {
        id: String,
        contact: String,
        direction: &'static str,
        at_ms: u64,
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        text: Option<&'a str>,
        /// The content, if it is no text.
        #[serde(skip_serializing_if = "Option::is_none")]
        hex: Option<String>,
    },
    Event {
        id: u64,
        at_ms: u64,
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<String>,
    },
    /// The last line: an export without it was cut short.
    End { messages: usize, events: usize, keepsakes: usize },
}

impl<P: Place> Store<P> {
    /// Writes everything as JSON lines, in the clear. The bytes of keepsakes, among which are secrets, only if they
    /// are wanted. States of sessions are never written.
    ///
    /// # Errors
    /// If it cannot be read or written.
    pub fn export(
        &self,
        now: Timestamp,
        with_secrets: bool,
        out: &mut impl Write,
    ) -> Result<(), ExportError> {
        let head = Line::Profile { version: PROFILE_VERSION, exported_at_ms: now.0, with_secrets };
        write(out, &head)?;
        let keepsakes = self.keepsakes()?;
        for keepsake in &keepsakes {
            let (kind, name, version) = (keepsake.kind.name(), &keepsake.name, keepsake.version);
            let hex = with_secrets.then(|| hex::encode(&keepsake.bytes));
            write(out, &Line::Keepsake { kind, name, version, hex })?;
        }
        let mut messages = 0;
        for contact in self.talks() {
            messages += self.each_message(contact, |message| write(out, &line(message)))?;
        }
        let events = self.export_events(out)?;
        write(out, &Line::End { messages, events, keepsakes: keepsakes.len() })?;
        Ok(out.flush()?)
    }

    fn export_events(&self, out: &mut impl Write) -> Result<usize, ExportError> {
        let (mut count, mut after) = (0, EventId(0));
        loop {
            let events = match self.events_after(after, SOME) {
                Ok(events) => events,
                Err(EventsGone::Dropped { dropped }) => {
                    after = EventId(dropped);
                    continue;
                }
                Err(EventsGone::Store(error)) => return Err(error.into()),
            };
            let Some(last) = events.last() else { return Ok(count) };
            after = last.id;
            count += events.len();
            for event in &events {
                let message = event.kind.message().map(|id| id.to_string());
                let (id, at_ms, kind) = (event.id.0, event.at.0, event.kind.name());
                write(out, &Line::Event { id, at_ms, kind, message })?;
            }
        }
    }
}

fn line(message: &Message) -> Line<'_> {
    let text = str::from_utf8(&message.body).ok();
    let (state, why) = match &message.state {
        MessageState::Failed { why } => ("failed", Some(&why[..])),
        MessageState::Queued => ("queued", None),
        MessageState::UnderWay { .. } => ("under_way", None),
        MessageState::Delivered { .. } => ("delivered", None),
        MessageState::Recalled => ("recalled", None),
        MessageState::Received => ("received", None),
    };
    Line::Message {
        id: message.id.to_string(),
        contact: message.contact.to_string(),
        direction: match message.direction() {
            Direction::Sent => "sent",
            Direction::Received => "received",
        },
        at_ms: message.at.0,
        state,
        why,
        text,
        hex: text.is_none().then(|| hex::encode(&message.body)),
    }
}

fn write(out: &mut impl Write, line: &Line<'_>) -> Result<(), ExportError> {
    serde_json::to_writer(&mut *out, line).map_err(io::Error::from)?;
    Ok(out.write_all(b"\n")?)
}
