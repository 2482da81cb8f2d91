//! Requests to a running daemon, over the socket in its profile's folder.

use std::io::{self, BufRead, BufReader, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use antiphon_messenger::api::{
    ContactView, ContactsView, EventView, MessageView, Problem, Server, Token,
};
use antiphon_process::clock::SystemClock;
use antiphon_wire::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::DaemonError;
use super::place::PlaceArguments;

/// The longest answer that is read, in bytes: a list of messages has a hundred of 64 KiB at most.
const MOST_BYTES: u64 = 64 << 20;

/// A daemon that may run.
#[derive(Debug)]
pub(crate) struct Daemon {
    folder: PathBuf,
}

/// Events as they come.
pub(crate) struct Stream(BufReader<UnixStream>);

impl Daemon {
    /// The daemon of a profile.
    pub(crate) fn of(place: &PlaceArguments) -> Result<Self, DaemonError> {
        Ok(Self { folder: place.folder()? })
    }

    /// The profile's folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Asks for something.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DaemonError> {
        self.ask("GET", path, &[], b"")
    }

    /// Hands something in.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        value: &impl Serialize,
        headers: &[(&str, &str)],
    ) -> Result<T, DaemonError> {
        let body = serde_json::to_vec(value).map_err(|_| DaemonError::Nonsense)?;
        let headers = [headers, &[("Content-Type", "application/json")]].concat();
        self.ask("POST", path, &headers, &body)
    }

    /// Takes something back.
    pub(crate) fn delete(&self, path: &str) -> Result<(), DaemonError> {
        self.ask("DELETE", path, &[], b"")
    }

    /// The contact with this name or id.
    pub(crate) fn contact(&self, name: &str) -> Result<ContactView, DaemonError> {
        let ContactsView { contacts } = self.get("/v1/contacts")?;
        let is_it = |contact: &ContactView| contact.name == name || contact.id == name;
        contacts.into_iter().find(is_it).ok_or_else(|| DaemonError::NoContact(name.to_owned()))
    }

    /// The message with this id.
    pub(crate) fn message(&self, id: &str) -> Result<MessageView, DaemonError> {
        self.get(&format!("/v1/messages/{id}"))
    }

    /// Events after this one, as they come.
    pub(crate) fn events(&self, after: u64) -> Result<Stream, DaemonError> {
        let (status, mut reader) =
            self.begin("GET", &format!("/v1/events/stream?after={after}"), &[], b"")?;
        if status != 200 {
            return Err(refusal(&mut reader));
        }
        Ok(Stream(reader))
    }

    fn ask<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<T, DaemonError> {
        let (status, mut reader) = self.begin(method, path, headers, body)?;
        if !(200..300).contains(&status) {
            return Err(refusal(&mut reader));
        }
        serde_json::from_slice(&rest(&mut reader)?).map_err(|_| DaemonError::Nonsense)
    }

    /// Sends a request and reads the head of its answer. In HTTP/1.0, so that the content goes to the end as it is.
    fn begin(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<(u16, BufReader<UnixStream>), DaemonError> {
        let nobody = |source| DaemonError::NobodyThere { folder: self.folder.clone(), source };
        let mut stream = UnixStream::connect(Server::socket(&self.folder)).map_err(nobody)?;
        let path_of_token = Server::token_file(&self.folder);
        let token = Token::read(&path_of_token)
            .map_err(|source| DaemonError::Read { path: path_of_token, source })?;
        let headers: String =
            headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "{method} {path} HTTP/1.0\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n{headers}Content-Length: \
             {}\r\n\r\n",
            token.text(),
            body.len()
        );
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        // A refusal may come before all of it was read.
        if let Err(error) = sent
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            return Err(nobody(error));
        }
        let mut reader = BufReader::new(stream);
        let first = line(&mut reader)?;
        let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
        while !line(&mut reader)?.is_empty() {}
        Ok((status.ok_or(DaemonError::Nonsense)?, reader))
    }
}

impl Stream {
    /// The next event; `None` if the time is up.
    pub(crate) fn next(
        &mut self,
        ends_at: Option<Timestamp>,
    ) -> Result<Option<EventView>, DaemonError> {
        let mut kind = String::new();
        loop {
            let left = ends_at.map(|ends_at| ends_at.ms_since(SystemClock::now()));
            let left = left.map(|ms| Duration::from_millis(ms.max(1)));
            self.0.get_ref().set_read_timeout(left).map_err(|_| DaemonError::Stopped)?;
            let line = match line(&mut self.0) {
                Err(_) if ends_at.is_some_and(|ends_at| ends_at <= SystemClock::now()) => {
                    return Ok(None);
                }
                line => line?,
            };
            if let Some(said) = line.strip_prefix("event: ") {
                said.clone_into(&mut kind);
            }
            if let Some(data) = line.strip_prefix("data: ")
                && kind != "dropped"
            {
                return serde_json::from_str(data).map(Some).map_err(|_| DaemonError::Nonsense);
            }
        }
    }
}

/// A line without its end.
fn line(reader: &mut BufReader<UnixStream>) -> Result<String, DaemonError> {
    let mut line = String::new();
    match reader.by_ref().take(MOST_BYTES).read_line(&mut line) {
        Ok(1..) => Ok(line.trim_end_matches(['\r', '\n']).to_owned()),
        _ => Err(DaemonError::Stopped),
    }
}

fn rest(reader: &mut BufReader<UnixStream>) -> Result<Vec<u8>, DaemonError> {
    let mut bytes = Vec::new();
    reader.by_ref().take(MOST_BYTES).read_to_end(&mut bytes).map_err(|_| DaemonError::Stopped)?;
    Ok(if bytes.is_empty() { b"null".to_vec() } else { bytes })
}

fn refusal(reader: &mut BufReader<UnixStream>) -> DaemonError {
    match rest(reader).map(|bytes| serde_json::from_slice::<Problem>(&bytes)) {
        Ok(Ok(problem)) => DaemonError::Refused(problem),
        Ok(Err(_)) => DaemonError::Nonsense,
        Err(error) => error,
    }
}
