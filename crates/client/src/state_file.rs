//! The file that holds a client's checkpoint.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_client_core::Checkpoint;
use antiphon_process::kept_file::{Disk, FileSystem, KeptFile, LockError, beside};
use antiphon_wire::{Digest, NetworkFile, Timestamp};
use rand::CryptoRng;

use crate::formats::{STATE_BYTES, StateContent, Witnessed};
use crate::used_secrets::UsedSecrets;
use crate::witness::{FileWitness, StateWitness};

#[cfg(test)]
mod crashes;

/// Reason why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be opened, read or locked.
    #[error("cannot use the state file {file}: {source} (its folder has to exist and be writable)")]
    Read {
        /// Path of the state file.
        file: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// Another client uses it.
    #[error(
        "another process uses the state file {file}: stop it, or give each client its own file"
    )]
    InUse {
        /// Path of the state file.
        file: PathBuf,
    },
    /// It holds something else.
    #[error(
        "{file} is no state file, or damaged: put it right or remove it; without it, the client \
         begins like one restored from a backup, in the next epoch and with its ledger used up"
    )]
    Damaged {
        /// Path of the state file.
        file: PathBuf,
    },
    /// Its witness cannot be asked or written.
    #[error("cannot use the witness of the state file {file}: {source}")]
    Witness {
        /// Path of the state file.
        file: PathBuf,
        /// Error of the witness.
        source: io::Error,
    },
    /// It was written for another network.
    #[error("the state file {file} belongs to another network file; give each network its own")]
    OtherNetwork {
        /// Path of the state file.
        file: PathBuf,
    },
}

impl From<LockError> for StateError {
    fn from(error: LockError) -> Self {
        match error {
            LockError::InUse { file, .. } => Self::InUse { file },
            LockError::Refused { file, source } => Self::Read { file, source },
        }
    }
}

/// State that a client started from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOrigin {
    /// Nothing: a new client, or one without a state file.
    Fresh,
    /// The newest state, as its witness recalls it.
    Newest,
    /// A state that may not be the newest, such as one from a backup. The client takes part from the
    /// next epoch on, and its ledger starts used up.
    Restored,
}

/// A client's state file, locked against other processes while this lives.
#[derive(Debug)]
pub(crate) struct StateFile {
    records: Records<FileSystem>,
}

impl StateFile {
    /// Takes the file, and returns the checkpoint to start from. Without a `witness`, there is one in a file
    /// beside it.
    pub(crate) fn open(
        file: &Path,
        witness: Option<Arc<dyn StateWitness>>,
        network: &NetworkFile,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Option<Checkpoint>, StateOrigin), StateError> {
        let kept = KeptFile::take(file)?;
        let file = &kept.path().to_owned();
        let failed = |source| StateError::Read { file: file.clone(), source };
        let in_use = || StateError::InUse { file: file.clone() };
        let unwitnessed = |source| StateError::Witness { file: file.clone(), source };
        let witness = match witness {
            Some(witness) => witness,
            None => match FileWitness::open(&beside(file, ".witness")) {
                Ok(witness) => Arc::new(witness),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(in_use()),
                Err(source) => return Err(unwitnessed(source)),
            },
        };
        let opened = Records::open(kept, &witness, network, now, rng);
        let (records, restored, origin) = opened.map_err(|error| match error {
            OpenError::Storage(source) => failed(source),
            OpenError::Witness(source) => unwitnessed(source),
            OpenError::Damaged => StateError::Damaged { file: file.clone() },
            OpenError::OtherNetwork => StateError::OtherNetwork { file: file.clone() },
        })?;
        Ok((Self { records }, restored, origin))
    }

    /// The secrets that have served a conversation, remembered beside the file.
    pub(crate) fn used_secrets(&self) -> Result<UsedSecrets, StateError> {
        let file = beside(self.records.file.path(), ".used");
        UsedSecrets::open(&file).map_err(|source| StateError::Read { file, source })
    }

    /// Replaces the content of the file. It is on disk, and its witness knows, when this returns; a crash
    /// meanwhile leaves the old content or the new.
    pub(crate) fn write(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        self.records.write(checkpoint)
    }
}

#[derive(Debug)]
enum OpenError {
    Storage(io::Error),
    Witness(io::Error),
    Damaged,
    OtherNetwork,
}

/// The number and the checkpoint in a state file; `None` if there is no file.
fn found_in(
    file: &KeptFile<impl Disk>,
    network: &NetworkFile,
) -> Result<Option<(Witnessed, Checkpoint)>, OpenError> {
    let bytes = file.read(STATE_BYTES as u64 + 1).map_err(OpenError::Storage)?;
    let Some(bytes) = bytes else { return Ok(None) };
    let content = StateContent::parse(&bytes).ok_or(OpenError::Damaged)?;
    if content.network != network.id() {
        return Err(OpenError::OtherNetwork);
    }
    Ok(Some((content.record, content.checkpoint)))
}

/// A state file's contents over time, and the witness of the newest.
#[derive(Debug)]
struct Records<D> {
    file: KeptFile<D>,
    witness: Arc<dyn StateWitness>,
    network: Digest,
    /// Number that was written last, or tried.
    last: Mutex<Witnessed>,
}

impl<D: Disk> Records<D> {
    fn open(
        file: KeptFile<D>,
        witness: &Arc<dyn StateWitness>,
        network: &NetworkFile,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, Option<Checkpoint>, StateOrigin), OpenError> {
        let found = found_in(&file, network)?;
        let recalled = witness.recall().map_err(OpenError::Witness)?;
        let mut fresh = [0; 16];
        rng.fill_bytes(&mut fresh);
        let begin = |number| Witnessed { instance: fresh, number };
        let (kept_by, id) = (Arc::clone(witness), network.id());
        let records = |last| Self { file, witness: kept_by, network: id, last: Mutex::new(last) };
        match (found, recalled) {
            // Nothing was submitted before number 1 was kept.
            (None, None | Some(Witnessed { number: 0, .. })) => {
                let first = recalled.unwrap_or(begin(0));
                witness.keep(first).map_err(OpenError::Witness)?;
                Ok((records(first), None, StateOrigin::Fresh))
            }
            // What the witness does not know yet was not submitted, but is no older.
            (Some((record, checkpoint)), Some(newest))
                if record.instance == newest.instance && record.number >= newest.number =>
            {
                Ok((records(record), Some(checkpoint), StateOrigin::Newest))
            }
            (found, recalled) => {
                let kept = found.map_or_else(Checkpoint::default, |(_, checkpoint)| checkpoint);
                let checkpoint = kept.of_a_backup(&network.policy, now);
                let known = found.map(|(record, _)| record.number);
                let known = known.max(recalled.map(|newest| newest.number));
                // No older content fits the new instance.
                let records = records(begin(known.unwrap_or(0)));
                records.write(&checkpoint).map_err(OpenError::Storage)?;
                Ok((records, Some(checkpoint), StateOrigin::Restored))
            }
        }
    }

    fn write(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Used up even if this fails: what is on disk then may be either.
        last.number = last.number.saturating_add(1);
        let content =
            StateContent { network: self.network, record: *last, checkpoint: *checkpoint };
        self.file.replace(&content.render())?;
        self.witness.keep(*last)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use antiphon_client_core::RoundMark;
    use antiphon_wire::{Epoch, IdentityKey, Operator, Policy, Round};
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn network(weight: u32) -> NetworkFile {
        let operator = Operator { name: "a".to_owned(), key: IdentityKey([1; 32]), weight };
        let policy = Policy { trusts_heavy_operators: true, ..Policy::default() };
        NetworkFile::new(vec![operator], policy).unwrap()
    }

    fn checkpoint(round: u64) -> Checkpoint {
        let mark = RoundMark { epoch: Epoch(2), round: Round(round) };
        Checkpoint {
            mark,
            charged: 7,
            extended: 1,
            attempts: 6,
            attempts_extended: 2,
            epochs_after: Timestamp(5),
            ..Checkpoint::default()
        }
    }

    type Opened = Result<(StateFile, Option<Checkpoint>, StateOrigin), StateError>;

    fn open(path: &Path) -> Opened {
        open_of(path, &network(1))
    }

    fn open_of(path: &Path, network: &NetworkFile) -> Opened {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let seed = OPENED.fetch_add(1, Ordering::Relaxed);
        StateFile::open(path, None, network, NOW, &mut ChaCha20Rng::seed_from_u64(seed))
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_the_state_stays_and_what_it_leads_to_is_kept_by_its_owner_alone() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("kept")).unwrap();
        // Before the first start, the link leads nowhere.
        std::os::unix::fs::symlink("kept/state", path("state")).unwrap();
        for round in [8, 9] {
            let (state, ..) = open(&path("state")).unwrap();
            state.write(&checkpoint(round)).unwrap();
        }
        assert!(path("state").symlink_metadata().unwrap().is_symlink());
        let (_, restored, origin) = open(&path("kept/state")).unwrap();
        assert_eq!((restored, origin), (Some(checkpoint(9)), StateOrigin::Newest));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
        for file in std::fs::read_dir(path("kept")).unwrap() {
            let file = file.unwrap();
            let mode = file.metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
        }
    }

    #[test]
    fn what_was_written_last_is_restored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (state, restored, origin) = open(&path).unwrap();
        assert_eq!((restored, origin), (None, StateOrigin::Fresh));
        state.write(&checkpoint(8)).unwrap();
        state.write(&checkpoint(9)).unwrap();
        drop(state);
        let (_, restored, origin) = open(&path).unwrap();
        assert_eq!((restored, origin), (Some(checkpoint(9)), StateOrigin::Newest));
    }

    #[test]
    fn a_state_file_serves_one_client_of_one_network_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (state, ..) = open(&path).unwrap();
        state.write(&checkpoint(8)).unwrap();
        assert!(matches!(open(&path), Err(StateError::InUse { .. })));
        drop(state);
        assert!(matches!(open_of(&path, &network(2)), Err(StateError::OtherNetwork { .. })));
        std::fs::write(&path, b"antiphc4").unwrap();
        assert!(matches!(open(&path), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn copies_and_old_and_lost_files_count_as_restored_from_a_backup() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let used_up = |opened: Opened, round: u64| {
            let (_, restored, origin) = opened.unwrap();
            let restored = restored.unwrap();
            assert_eq!(origin, StateOrigin::Restored);
            let allowance = network(1).policy.disturbed_rounds / 2 + restored.extended;
            assert_eq!((restored.mark.round, restored.charged), (Round(round), allowance));
            assert!(restored.epochs_after > NOW);
        };
        let (state, ..) = open(&path("state")).unwrap();
        state.write(&checkpoint(8)).unwrap();
        std::fs::copy(path("state"), path("old")).unwrap();
        std::fs::copy(path("state.witness"), path("old.witness")).unwrap();
        state.write(&checkpoint(9)).unwrap();
        drop(state);
        // Elsewhere, with and without a copy of the witness.
        std::fs::copy(path("state"), path("other")).unwrap();
        used_up(open(&path("other")), 9);
        used_up(open(&path("old")), 8);
        // In its old place, by itself and with its witness.
        std::fs::copy(path("other"), path("copy")).unwrap();
        std::fs::rename(path("copy"), path("state")).unwrap();
        used_up(open(&path("state")), 9);
        let (state, restored, origin) = open(&path("state")).unwrap();
        assert_eq!(origin, StateOrigin::Newest);
        assert!(restored.unwrap().epochs_after > NOW, "it stays so until a later epoch");
        drop(state);
        std::fs::remove_file(path("state")).unwrap();
        used_up(open(&path("state")), 0);
    }
}
