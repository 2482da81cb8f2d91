//! Secrets that have served a conversation: their numbers would start afresh, so none serves twice.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_client_core::ConversationSecret;
use antiphon_process::kept_file::owners_only;
use tokio::runtime::Handle;

const CONTEXT: &str = "Antiphon 2026 used conversation secret";
/// More than anybody has conversations; a longer file is not read to its end.
const MOST_BYTES: u64 = 16 << 20;

/// Mark of a secret, from which nothing follows about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SecretMark([u8; MARK_BYTES]);

const MARK_BYTES: usize = 16;

impl SecretMark {
    pub(crate) fn of(secret: &ConversationSecret) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
        hasher.update(&secret.0);
        let mut mark = [0; MARK_BYTES];
        hasher.finalize_xof().fill(&mut mark);
        Self(mark)
    }
}

/// The marks of used secrets, in memory and, if there is a state file, in a file beside it.
pub(crate) struct UsedSecrets {
    file: Option<Arc<Mutex<PathBuf>>>,
    marks: BTreeSet<SecretMark>,
}

impl UsedSecrets {
    /// Forgets everything with the process.
    pub(crate) fn in_memory() -> Self {
        Self { file: None, marks: BTreeSet::new() }
    }

    /// Reads the marks in `file`, which need not exist. A mark that a crash cut short is left out: its
    /// conversation is noticed by its instance.
    pub(crate) fn open(file: &Path) -> io::Result<Self> {
        let mut bytes = Vec::new();
        match std::fs::File::open(file) {
            Ok(found) => found.take(MOST_BYTES).read_to_end(&mut bytes).map(drop)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let marks = bytes.as_chunks::<MARK_BYTES>().0.iter().copied().map(SecretMark).collect();
        Ok(Self { file: Some(Arc::new(Mutex::new(file.to_owned()))), marks })
    }

    pub(crate) fn contains(&self, mark: &SecretMark) -> bool {
        self.marks.contains(mark)
    }

    /// Remembers a secret. On disk a moment later: the rounds of a client wait for no conversation.
    pub(crate) fn remember(&mut self, mark: SecretMark) {
        if !self.marks.insert(mark) {
            return;
        }
        let Some(file) = self.file.clone() else { return };
        let write = move || {
            let file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = append(&file, mark) {
                tracing::error!(%error, "cannot remember that a secret was used");
            }
        };
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(write)),
            Err(_) => write(),
        }
    }
}

fn append(file: &Path, mark: SecretMark) -> io::Result<()> {
    let mut file = owners_only(OpenOptions::new().append(true).create(true)).open(file)?;
    // One that a crash cut short would shift all that follow.
    let whole = file.metadata()?.len() / MARK_BYTES as u64 * MARK_BYTES as u64;
    file.set_len(whole)?;
    file.write_all(&mark.0)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_used_secret_is_remembered_over_restarts_whatever_a_crash_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("used");
        let mark = |byte| SecretMark::of(&ConversationSecret([byte; 32]));
        let mut used = UsedSecrets::open(&path).unwrap();
        used.remember(mark(1));
        OpenOptions::new().append(true).open(&path).unwrap().write_all(&[5; 3]).unwrap();
        let mut used = UsedSecrets::open(&path).unwrap();
        used.remember(mark(2));
        used.remember(mark(2));
        let used = UsedSecrets::open(&path).unwrap();
        assert_eq!([1, 2, 3].map(|byte| used.contains(&mark(byte))), [true, true, false]);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 32);
    }
}
