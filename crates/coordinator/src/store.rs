//! The state file.

use std::io;
use std::path::{Path, PathBuf};

use antiphon_coordinator_core::State;
use antiphon_process::kept_file::{Disk, FileSystem, KeptFile, LockError};

/// Why the state cannot be read or kept.
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
        /// What the system said.
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

/// The longest state that is read, in bytes: the documents of some hundred shards are a few megabytes.
const MOST_BYTES: u64 = 256 << 20;

/// Keeps the state in a file.
#[derive(Debug)]
pub(crate) struct Store<D = FileSystem> {
    file: KeptFile<D>,
}

impl Store {
    /// Takes the file for this process alone.
    pub(crate) fn take(file: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: KeptFile::take(file)? })
    }
}

impl<D: Disk> Store<D> {
    /// The state kept last; that of a new network if there is no file.
    pub(crate) fn load(&self) -> Result<State, StoreError> {
        let file = || self.file.path().to_owned();
        match self.file.read(MOST_BYTES) {
            Ok(Some(bytes)) => serde_json::from_slice(&bytes)
                .map_err(|source| StoreError::Content { file: file(), source }),
            Ok(None) => {
                tracing::warn!(
                    file = %file().display(),
                    "no state: this is a new network, or its numbers come from its shards"
                );
                Ok(State::default())
            }
            Err(source) => Err(StoreError::Read { file: file(), source }),
        }
    }

    /// Keeps a state: on disk, whole, before this returns.
    pub(crate) fn save(&self, state: &State) -> Result<(), StoreError> {
        let written = serde_json::to_vec(state).map_err(io::Error::from);
        let written = written.and_then(|bytes| self.file.replace(&bytes));
        let file = || self.file.path().to_owned();
        written.map_err(|source| StoreError::Write { file: file(), source })
    }
}

#[cfg(test)]
mod tests {
    use antiphon_coordinator_core::State;
    use antiphon_process::kept_file::FailingDisk;

    use super::*;

    /// A state in which so many epochs and rounds were begun.
    fn state(number: u64) -> State {
        let mut state = serde_json::to_value(State::default()).unwrap();
        state["last_epoch"] = number.into();
        state["last_round"] = number.into();
        serde_json::from_value(state).unwrap()
    }

    #[test]
    fn a_missing_file_is_a_new_network_and_a_broken_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::take(&folder.path().join("state.json")).unwrap();
        assert_eq!(store.load().unwrap(), State::default());
        store.save(&State::default()).unwrap();
        assert_eq!(store.load().unwrap(), State::default());
        std::fs::write(folder.path().join("state.json"), "{").unwrap();
        let error = store.load().unwrap_err();
        assert!(matches!(error, StoreError::Content { .. }));
        assert!(error.to_string().contains("remove it"));
    }

    #[test]
    fn a_second_coordinator_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("state.json");
        let _first = Store::take(&file).unwrap();
        assert!(matches!(Store::take(&file), Err(StoreError::Lock(LockError::InUse { .. }))));
    }

    #[test]
    fn no_power_cut_gives_out_a_number_again_or_damages_the_state() {
        for (steps, seed) in (0..20).flat_map(|steps| (0..8).map(move |seed| (steps, seed))) {
            let disk = FailingDisk::new(seed);
            let store = Store { file: KeptFile::on(disk.clone()) };
            store.save(&state(1)).unwrap();
            disk.power_for(Some(steps));
            let kept = (2..).take_while(|&number| store.save(&state(number)).is_ok()).last();
            disk.crash(None);
            let (found, kept) = (store.load().unwrap().last_round().0, kept.unwrap_or(1));
            assert!((kept..=kept + 1).contains(&found), "{steps} steps: {found}, not {kept}");
        }
    }
}
