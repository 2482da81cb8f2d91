//! The file that keeps a shard from signing twice.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use antiphon_mix::SignerState;
use antiphon_wire::{Epoch, Round};
use serde::Deserialize;

/// What is wrong with a state file.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// It cannot be read.
    #[error("cannot read the state file {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It cannot be written. Nothing was signed or served since.
    #[error(
        "cannot write the state file {path}: {source}: is its directory there, writable and not full?",
        path = path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not what this program wrote.
    #[error(
        "the state file {path} is damaged: {reason}. It keeps this shard from signing twice: put it \
         back from where it was lost, or retire this identity for a new one",
        path = path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    signed_epoch: u64,
    served_round: u64,
}

/// Reads the state; the default if there is no file, as before a shard's first start.
pub(crate) fn load(path: &Path) -> Result<SignerState, StateFileError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), "no state file: taking this for a first start");
            return Ok(SignerState::default());
        }
        Err(source) => return Err(StateFileError::Read { path: path.to_owned(), source }),
    };
    let content: Content = toml::from_str(&text).map_err(|error| StateFileError::Damaged {
        path: path.to_owned(),
        reason: error.message().to_owned(),
    })?;
    Ok(SignerState {
        signed_epoch: Epoch(content.signed_epoch),
        served_round: Round(content.served_round),
    })
}

/// Makes `state` durable: after this returns, [`load`] gives it or a later one, even after a power
/// cut.
pub(crate) fn store(path: &Path, state: SignerState) -> Result<(), StateFileError> {
    let SignerState { signed_epoch, served_round } = state;
    let text = format!(
        "# Keeps this shard from signing or serving twice. Never edit, copy or restore it.\n\
         signed_epoch = {signed_epoch}\nserved_round = {served_round}\n"
    );
    replace(path, text.as_bytes())
        .map_err(|source| StateFileError::Write { path: path.to_owned(), source })
}

/// Replaces a file in one step.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut file = File::create(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    // The rename itself is durable only when the directory is.
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.toml");
        assert_eq!(load(&path).unwrap(), SignerState::default());
        for number in [1, 7] {
            let state = SignerState { signed_epoch: Epoch(number), served_round: Round(99) };
            store(&path, state).unwrap();
            assert_eq!(load(&path).unwrap(), state);
        }
    }

    #[test]
    fn a_damaged_file_is_never_taken_for_a_first_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.toml");
        for text in ["", "signed_epoch = 3", "signed_epoch = -1\nserved_round = 0"] {
            fs::write(&path, text).unwrap();
            assert!(matches!(load(&path), Err(StateFileError::Damaged { .. })), "{text}");
        }
    }
}
