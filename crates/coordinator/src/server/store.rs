//! The state file.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::State;

/// Why the state cannot be read or kept.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file is there and cannot be read.
    #[error("cannot read the state in {file}: {source}")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error(
        "{file} is no coordinator's state ({source}): restore it from a copy; without it, numbers \
         would be used twice"
    )]
    Content {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The file cannot be written.
    #[error("cannot keep the state in {file}: {source}: is there room, may this user write there?")]
    Write {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Keeps the state in a file.
#[derive(Debug)]
pub(super) struct Store {
    file: PathBuf,
}

impl Store {
    pub(super) fn new(file: &Path) -> Self {
        Self { file: file.to_owned() }
    }

    /// The state kept last; that of a new network if there is no file.
    pub(super) fn load(&self) -> Result<State, StoreError> {
        let file = || self.file.clone();
        match fs::read(&self.file) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map_err(|source| StoreError::Content { file: file(), source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(State::default()),
            Err(source) => Err(StoreError::Read { file: file(), source }),
        }
    }

    /// Keeps a state: on disk, whole, before this returns.
    pub(super) fn save(&self, state: &State) -> Result<(), StoreError> {
        self.write(state).map_err(|source| StoreError::Write { file: self.file.clone(), source })
    }

    fn write(&self, state: &State) -> io::Result<()> {
        let mut name = self.file.clone().into_os_string();
        name.push(".new");
        let new = PathBuf::from(name);
        let mut out = File::create(&new)?;
        out.write_all(&serde_json::to_vec(state)?)?;
        out.sync_all()?;
        fs::rename(&new, &self.file)?;
        // The rename is durable once the folder is.
        let folder = self.file.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_a_new_network_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("state.json"));
        assert_eq!(store.load().unwrap(), State::default());
        store.save(&State::default()).unwrap();
        assert_eq!(store.load().unwrap(), State::default());
        fs::write(folder.path().join("state.json"), "{").unwrap();
        assert!(matches!(store.load(), Err(StoreError::Content { .. })));
    }
}
