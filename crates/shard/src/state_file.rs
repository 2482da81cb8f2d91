//! The file that keeps a shard from signing twice.

use std::io;
use std::path::{Path, PathBuf};

use antiphon_mix::{Grant, ListMark, SignerState};
use antiphon_process::kept_file::{Disk, KeptFile, LockError};
use antiphon_wire::{Epoch, Round, Term};
use serde::Deserialize;

/// Error of a state file.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// Another process uses it, or it cannot be locked.
    #[error("the state file {0}")]
    Lock(#[from] LockError),
    /// It cannot be read.
    #[error("cannot read the state file {path}: {source}", path = path.display())]
    Read {
        /// Path of the state file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// It cannot be written. Nothing was signed or served since.
    #[error(
        "cannot write the state file {path}: {source}: is its directory there, writable and not full?",
        path = path.display()
    )]
    Write {
        /// Path of the state file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// It is not what this program wrote.
    #[error(
        "the state file {path} is damaged: {reason}. It keeps this shard from signing twice, so never \
         put back an older copy: make a new identity, have the operator sign a list with that instead \
         of this one, and start with a new state file",
        path = path.display()
    )]
    Damaged {
        /// Path of the state file.
        path: PathBuf,
        /// Reason, in words.
        reason: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    signed_epoch: u64,
    served_round: u64,
    /// Files of before lists were remembered have none.
    #[serde(default)]
    list_number: u32,
    #[serde(default)]
    list_first_epoch: u64,
    #[serde(default)]
    list_before: u32,
    /// Files of before there were several coordinators have none.
    #[serde(default)]
    term: u64,
    #[serde(default)]
    leader: String,
}

/// The longest file that is read, in bytes: a few numbers, a key and a comment.
const MOST_BYTES: u64 = 4 << 10;

/// Takes the file for this process alone and reads the state; the default if there is no file, as
/// before a shard's first start.
pub(crate) fn take(path: &Path) -> Result<(KeptFile, SignerState), StateFileError> {
    let file = KeptFile::take(path)?;
    let state = load(&file)?;
    Ok((file, state))
}

fn load<D: Disk>(file: &KeptFile<D>) -> Result<SignerState, StateFileError> {
    let path = || file.path().to_owned();
    let damaged = |reason: String| StateFileError::Damaged { path: path(), reason };
    let read = file.read(MOST_BYTES);
    let read = read.map_err(|source| StateFileError::Read { path: path(), source })?;
    let Some(bytes) = read else {
        tracing::warn!(path = %path().display(), "no state file: taking this for a first start");
        return Ok(SignerState::default());
    };
    let text = String::from_utf8(bytes).map_err(|_| damaged("it is no text".to_owned()))?;
    let content: Content =
        toml::from_str(&text).map_err(|error| damaged(error.message().to_owned()))?;
    let numbers = [content.signed_epoch, content.served_round, content.list_first_epoch];
    if numbers.contains(&u64::MAX) {
        return Err(damaged("it has the last number there is, which nobody gets to".to_owned()));
    }
    let leader = match content.leader.as_str() {
        "" => None,
        text => {
            Some(text.parse().map_err(|_| damaged("`leader` is no coordinator's key".to_owned()))?)
        }
    };
    Ok(SignerState {
        signed_epoch: Epoch(content.signed_epoch),
        served_round: Round(content.served_round),
        list: ListMark {
            number: content.list_number,
            first_epoch: Epoch(content.list_first_epoch),
            before: content.list_before,
        },
        grant: Grant { term: Term(content.term), leader },
    })
}

/// Makes `state` durable: after this returns, [`take`] gives it or a later one, even after a power
/// cut.
pub(crate) fn store<D: Disk>(file: &KeptFile<D>, state: SignerState) -> Result<(), StateFileError> {
    let SignerState { signed_epoch, served_round, list, grant: Grant { term, leader } } = state;
    let leader = leader.map(|leader| leader.to_hex()).unwrap_or_default();
    let ListMark { number, first_epoch, before } = list;
    let text = format!(
        "# Keeps this shard from signing or serving twice. Never edit, copy or restore it.\n\
         signed_epoch = {signed_epoch}\nserved_round = {served_round}\n\
         list_number = {number}\nlist_first_epoch = {first_epoch}\nlist_before = {before}\n\
         term = {term}\nleader = \"{leader}\"\n"
    );
    file.replace(text.as_bytes())
        .map_err(|source| StateFileError::Write { path: file.path().to_owned(), source })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;
    use std::{fs, thread};

    use antiphon_process::kept_file::FailingDisk;
    use antiphon_wire::IdentityKey;

    use super::*;

    /// Takes a file that was let go of. A process that another test starts has a share in its lock for the moment until
    /// it is another program.
    fn take(path: &Path) -> Result<(KeptFile, SignerState), StateFileError> {
        for _ in 0..100 {
            match super::take(path) {
                Err(StateFileError::Lock(_)) => thread::park_timeout(Duration::from_millis(10)),
                taken => return taken,
            }
        }
        super::take(path)
    }

    #[test]
    fn what_was_stored_is_loaded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.toml");
        assert_eq!(take(&path).unwrap().1, SignerState::default());
        for number in [1, 7] {
            let list = ListMark { number: 3, first_epoch: Epoch(number), before: 2 };
            let grant = Grant { term: Term(number), leader: Some(IdentityKey([number as u8; 32])) };
            let (signed_epoch, served_round) = (Epoch(number), Round(99));
            let state = SignerState { signed_epoch, served_round, list, grant };
            store(&take(&path).unwrap().0, state).unwrap();
            assert_eq!(take(&path).unwrap().1, state);
        }
    }

    #[test]
    fn a_file_without_a_list_is_read_as_before_the_first_list() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.toml");
        fs::write(&path, "signed_epoch = 3\nserved_round = 5\n").unwrap();
        let (signed_epoch, served_round, list) = (Epoch(3), Round(5), ListMark::default());
        let grant = Grant::default();
        assert_eq!(take(&path).unwrap().1, SignerState { signed_epoch, served_round, list, grant });
    }

    #[test]
    fn a_damaged_file_is_never_taken_for_a_first_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.toml");
        let last = format!("signed_epoch = {}\nserved_round = 0", i64::MAX);
        fs::write(&path, &last).unwrap();
        assert!(take(&path).is_ok());
        let used_up = format!("signed_epoch = 3\nserved_round = {}", u64::MAX);
        let texts =
            ["", "signed_epoch = 3", "signed_epoch = -1\nserved_round = 0", used_up.as_str()];
        for text in texts.map(str::as_bytes).into_iter().chain([&b"\xff\xfe"[..]]) {
            fs::write(&path, text).unwrap();
            let error = take(&path).unwrap_err();
            assert!(matches!(error, StateFileError::Damaged { .. }), "{error}");
            assert!(error.to_string().contains("never put back an older copy"));
        }
    }

    #[test]
    fn a_second_process_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.toml");
        let _first = take(&path).unwrap();
        let error = take(&path).unwrap_err().to_string();
        let holder = format!("in use by process {}", std::process::id());
        assert!(error.contains(&holder), "{error}");
    }

    #[test]
    fn no_power_cut_forgets_what_was_signed_or_damages_the_file() {
        let state = |number| SignerState {
            signed_epoch: Epoch(number),
            served_round: Round(number),
            ..SignerState::default()
        };
        for (steps, seed) in (0..20).flat_map(|steps| (0..8).map(move |seed| (steps, seed))) {
            let disk = FailingDisk::new(seed);
            let file = KeptFile::on(disk.clone());
            store(&file, state(1)).unwrap();
            disk.power_for(Some(steps));
            // Only what is stored is signed, and nothing after a store that failed.
            let signed = (2..).take_while(|&number| store(&file, state(number)).is_ok()).last();
            disk.crash(None);
            let found = load(&file).unwrap().signed_epoch.0;
            let signed = signed.unwrap_or(1);
            assert!((signed..=signed + 1).contains(&found), "{steps} steps: {found}, not {signed}");
        }
    }
}
