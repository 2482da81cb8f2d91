//! The state on disk: marks in a small file that is replaced in every round, and each document in a file
//! of its own, written once.
//!
//! A document is on disk before the marks that name it, and is removed only after the marks that do not.
//! So what the marks name is there whenever the power goes.

mod former;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use antiphon_coordinator_core::{Marks, State};
use antiphon_process::kept_file::{Disk, FileSystem, KeptFile, LockError};
use antiphon_wire::{Decode as _, Digest, Encode as _, SignedDocument};
use serde::{Deserialize, Serialize};

/// The reason for which the state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process uses the file, or it cannot be locked.
    #[error("the state {0}")]
    Lock(#[from] LockError),
    /// The file is there and cannot be read.
    #[error("cannot read the state in {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// The system's words.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{file} is no coordinator's state ({source}): remove it; shards know which numbers were used, \
         and the coordinator goes on above them"
    )]
    Content {
        /// The file.
        file: PathBuf,
        /// Its fault, in words.
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("cannot keep the state in {file}: {source}: is there room, may this user write there?")]
    Write {
        /// The file.
        file: PathBuf,
        /// The system's words.
        source: io::Error,
    },
}

/// The longest file that is read, in bytes: the document of a thousand shards is half a megabyte, and
/// the form that coordinators wrote before had two of them in hexadecimal.
const MOST_BYTES: u64 = 256 << 20;
/// Beginning of the names of documents' files, after the name of the state.
const EPOCH: &str = ".epoch-";
/// Digits of a document's hash that are in its file's name.
const SHOWN: usize = 16;

/// Keeps the state in files.
#[derive(Debug)]
pub(crate) struct Store<D = FileSystem> {
    file: KeptFile<D>,
    /// The documents that are on disk, and where.
    kept: Vec<(Arc<SignedDocument>, Place)>,
}

/// The content of the file that is replaced in every round.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    marks: Marks,
    current: Option<Place>,
    next: Option<Place>,
}

/// The place of a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    epoch: u64,
    /// The hash of the file, in hexadecimal.
    digest: String,
}

impl Place {
    fn new(signed: &SignedDocument, bytes: &[u8]) -> Self {
        Self { epoch: signed.document.epoch.0, digest: hex::encode(Digest::of(bytes).0) }
    }

    /// The end of the file's name.
    fn suffix(&self) -> String {
        let shown = self.digest.get(..SHOWN).unwrap_or(&self.digest);
        format!("{EPOCH}{}-{shown}", self.epoch)
    }
}

impl Store {
    /// Takes the files for this process alone.
    pub(crate) fn take(file: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: KeptFile::take(file)?, kept: Vec::new() })
    }
}

impl<D: Disk> Store<D> {
    /// The state kept last; that of a new network if there is no file. What an earlier process left
    /// behind is removed.
    pub(crate) fn load(&mut self) -> Result<State, StoreError> {
        let file = self.file.path().to_owned();
        let read = |source| StoreError::Read { file: file.clone(), source };
        let Some(bytes) = self.file.read(MOST_BYTES).map_err(read)? else {
            tracing::warn!(
                file = %file.display(),
                "no state: this is a new network, or its numbers come from its shards"
            );
            self.tidy();
            return Ok(State::default());
        };
        let content = |source| StoreError::Content { file: file.clone(), source };
        if let Some(state) = former::read(&bytes).map_err(content)? {
            tracing::info!(file = %file.display(), "the state has its former form: writing it anew");
            return Ok(state);
        }
        let Content { marks, current, next } = serde_json::from_slice(&bytes).map_err(content)?;
        let (current, next) =
            (self.document(current).map_err(read)?, self.document(next).map_err(read)?);
        self.tidy();
        Ok(State::new(marks, current, next))
    }

    /// Keeps a state: on disk, whole, before this returns.
    pub(crate) fn save(&mut self, state: &State) -> Result<(), StoreError> {
        let written = self.write(state);
        written.map_err(|source| StoreError::Write { file: self.file.path().to_owned(), source })
    }

    fn write(&mut self, state: &State) -> io::Result<()> {
        let (current, next) = (self.place(state.current())?, self.place(state.next())?);
        let content = Content { marks: state.marks().clone(), current, next };
        self.file.replace(&serde_json::to_vec(&content)?)?;
        let is_named = |(_, place): &(_, Place)| {
            [&content.current, &content.next].into_iter().flatten().any(|named| named == place)
        };
        if !self.kept.iter().all(is_named) {
            self.kept.retain(is_named);
            self.tidy();
        }
        Ok(())
    }

    /// The place where a document is kept, once it is on disk.
    fn place(&mut self, document: Option<&Arc<SignedDocument>>) -> io::Result<Option<Place>> {
        let Some(document) = document else { return Ok(None) };
        if let Some((_, place)) = self.kept.iter().find(|(kept, _)| Arc::ptr_eq(kept, document)) {
            return Ok(Some(place.clone()));
        }
        let bytes = document.to_bytes();
        let place = Place::new(document, &bytes);
        self.file.beside(&place.suffix()).replace(&bytes)?;
        self.kept.push((Arc::clone(document), place.clone()));
        Ok(Some(place))
    }

    /// The document at a place. Nothing but time is lost with one that is not there, or damaged, since
    /// another epoch is planned; numbers are not.
    fn document(&mut self, place: Option<Place>) -> io::Result<Option<Arc<SignedDocument>>> {
        let Some(place) = place else { return Ok(None) };
        let bytes = self.file.beside(&place.suffix()).read(MOST_BYTES)?;
        let whole = bytes.filter(|bytes| hex::encode(Digest::of(bytes).0) == place.digest);
        let Some(document) = whole.and_then(|bytes| SignedDocument::from_bytes(&bytes).ok()) else {
            let epoch = place.epoch;
            tracing::warn!(epoch, "its document is missing or damaged: another epoch is planned");
            return Ok(None);
        };
        let document = Arc::new(document);
        self.kept.push((Arc::clone(&document), place));
        Ok(Some(document))
    }

    /// Removes documents that no marks name. One that stays costs room until the next start.
    fn tidy(&self) {
        let named: Vec<_> = self.kept.iter().map(|(_, place)| place.suffix()).collect();
        let found = self.file.suffixes(EPOCH).unwrap_or_default();
        for suffix in found.iter().filter(|suffix| !named.contains(suffix)) {
            if let Err(error) = self.file.beside(suffix).remove() {
                tracing::debug!(%error, "a document that is of no use any more stays on disk");
            }
        }
    }
}
