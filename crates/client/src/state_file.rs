//! The file that holds a client's checkpoint, and what goes on after a restart.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use antiphon_client_core::Checkpoint;
use antiphon_process::kept_file::{Disk, FileSystem, KeptFile, LockError, beside};
use antiphon_wire::{Digest, NetworkFile, Timestamp};
use rand::CryptoRng;
use zeroize::Zeroizing;

use crate::formats::{Record, StateContent, StateKey, Witnessed};
use crate::seal;
use crate::used_secrets::UsedSecrets;
use crate::witness::{FileWitness, StateWitness};

#[cfg(test)]
mod crashes;

/// The longest state file that is read: far more than queues and inboxes hold.
const MOST_BYTES: u64 = 1 << 30;

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

/// What a client starts from.
#[derive(Debug)]
pub(crate) struct StartState {
    pub(crate) origin: StateOrigin,
    pub(crate) checkpoint: Option<Checkpoint>,
    /// Conversations and circuits, if they are those that were written with the checkpoint.
    pub(crate) kept: Option<Zeroizing<Vec<u8>>>,
}

impl StartState {
    /// Of a client without any state.
    pub(crate) const FRESH: Self =
        Self { origin: StateOrigin::Fresh, checkpoint: None, kept: None };
}

/// A client's state file, locked against other processes while this lives.
#[derive(Debug)]
pub(crate) struct StateFile {
    records: Records<FileSystem>,
}

impl StateFile {
    /// Takes the file, and returns what to start from. Without a `witness`, there is one in a file
    /// beside it.
    pub(crate) fn open(
        file: &Path,
        witness: Option<Arc<dyn StateWitness>>,
        network: &NetworkFile,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, StartState), StateError> {
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
        let (records, start) = opened.map_err(|error| match error {
            OpenError::Storage(source) => failed(source),
            OpenError::Witness(source) => unwitnessed(source),
            OpenError::Damaged => StateError::Damaged { file: file.clone() },
            OpenError::OtherNetwork => StateError::OtherNetwork { file: file.clone() },
        })?;
        Ok((Self { records }, start))
    }

    /// The secrets that have served a conversation, remembered beside the file.
    pub(crate) fn used_secrets(&self) -> Result<UsedSecrets, StateError> {
        let file = beside(self.records.file.path(), ".used");
        UsedSecrets::open(&file).map_err(|source| StateError::Read { file, source })
    }

    /// Replaces the content of the file. It is on disk, and its witness knows, when this returns; a crash
    /// meanwhile leaves the old content or the new.
    pub(crate) fn write(
        &self,
        checkpoint: &Checkpoint,
        kept: &[u8],
        rng: &mut impl CryptoRng,
    ) -> io::Result<()> {
        self.records.write(checkpoint, kept, rng)
    }
}

#[derive(Debug)]
enum OpenError {
    Storage(io::Error),
    Witness(io::Error),
    Damaged,
    OtherNetwork,
}

/// Content of a state file; `None` if there is no file.
fn found_in(
    file: &KeptFile<impl Disk>,
    network: &NetworkFile,
) -> Result<Option<StateContent>, OpenError> {
    let bytes = file.read(MOST_BYTES).map_err(OpenError::Storage)?;
    let Some(bytes) = bytes else { return Ok(None) };
    let content = StateContent::parse(&bytes).ok_or(OpenError::Damaged)?;
    if content.network != network.id() {
        return Err(OpenError::OtherNetwork);
    }
    Ok(Some(content))
}

/// A state file's contents over time, and the witness of the newest.
///
/// Each content is sealed with a key of its own, which the witness has before the content is written, and overwrites when
/// the one after the next is there. So whatever is left of older contents on the disk, nobody can read it.
#[derive(Debug)]
struct Records<D> {
    file: KeptFile<D>,
    witness: Arc<dyn StateWitness>,
    network: Digest,
    last: Mutex<Last>,
}

#[derive(Debug)]
struct Last {
    /// Number that was written last, or tried.
    record: Record,
    /// Key for the next content, which the witness has already.
    next: StateKey,
}

impl<D: Disk> Records<D> {
    fn open(
        file: KeptFile<D>,
        witness: &Arc<dyn StateWitness>,
        network: &NetworkFile,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<(Self, StartState), OpenError> {
        let found = found_in(&file, network)?;
        let recalled = witness.recall().map_err(OpenError::Witness)?;
        let (kept_by, id) = (Arc::clone(witness), network.id());
        let records = |record, next| {
            let last = Mutex::new(Last { record, next });
            Self { file, witness: kept_by, network: id, last }
        };
        if let (Some(content), Some(witnessed)) = (&found, &recalled)
            && let Some(start) = newest(content, witnessed)
        {
            return Ok((records(content.record, witnessed.next.clone()), start));
        }
        match (found, recalled) {
            // Nothing was submitted before number 1 was kept.
            (None, Some(witnessed)) if witnessed.newest.number == 0 => {
                Ok((records(witnessed.newest, witnessed.next), StartState::FRESH))
            }
            (None, None) => {
                let first = Witnessed { newest: begun(0, rng), key: draw(rng), next: draw(rng) };
                witness.keep(&first).map_err(OpenError::Witness)?;
                Ok((records(first.newest, first.next), StartState::FRESH))
            }
            (found, recalled) => {
                let known = found.as_ref().map(|content| content.record.number);
                let known = known.max(recalled.map(|witnessed| witnessed.newest.number));
                let kept = found.map_or_else(Checkpoint::default, |content| content.checkpoint);
                let checkpoint = kept.of_a_backup(&network.policy, now);
                // No older content fits the new instance.
                let records = records(begun(known.unwrap_or(0), rng), draw(rng));
                records.write(&checkpoint, &[], rng).map_err(OpenError::Storage)?;
                let checkpoint = Some(checkpoint);
                Ok((records, StartState { origin: StateOrigin::Restored, checkpoint, kept: None }))
            }
        }
    }

    fn write(
        &self,
        checkpoint: &Checkpoint,
        kept: &[u8],
        rng: &mut impl CryptoRng,
    ) -> io::Result<()> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // Used up even if this fails: what is on disk then may be either.
        last.record.number = last.record.number.saturating_add(1);
        let mut content = StateContent {
            network: self.network,
            record: last.record,
            checkpoint: *checkpoint,
            sealed: Vec::new(),
        };
        content.sealed = seal::seal(&last.next, &content.head(), kept, rng);
        self.file.replace(&content.render())?;
        let (newest, key, next) = (last.record, last.next.clone(), draw(rng));
        self.witness.keep(&Witnessed { newest, key, next: next.clone() })?;
        last.next = next;
        Ok(())
    }
}

/// What to start from, if a file's content is the newest.
fn newest(content: &StateContent, witnessed: &Witnessed) -> Option<StartState> {
    // What the witness does not know yet was not submitted, but is no older.
    let is_newest = content.record.instance == witnessed.newest.instance
        && content.record.number >= witnessed.newest.number;
    let kept = is_newest.then(|| unseal(content, witnessed))??;
    let checkpoint = Some(content.checkpoint);
    Some(StartState { origin: StateOrigin::Newest, checkpoint, kept: Some(kept) })
}

/// What is sealed in a state file, with the key of the newest content or of the one that followed it.
fn unseal(content: &StateContent, witnessed: &Witnessed) -> Option<Zeroizing<Vec<u8>>> {
    let head = content.head();
    let keys = [&witnessed.next, &witnessed.key];
    keys.into_iter().find_map(|key| seal::open(key, &head, &content.sealed))
}

fn begun(number: u64, rng: &mut impl CryptoRng) -> Record {
    let mut instance = [0; 16];
    rng.fill_bytes(&mut instance);
    Record { instance, number }
}

fn draw(rng: &mut impl CryptoRng) -> StateKey {
    let mut key = StateKey([0; 32]);
    rng.fill_bytes(&mut key.0);
    key
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

    /// What is kept beside a checkpoint, as far as tests care.
    const KEPT: &[u8] = b"conversations";

    type Opened = Result<(StateFile, StartState), StateError>;

    fn open(path: &Path) -> Opened {
        open_of(path, &network(1))
    }

    fn open_of(path: &Path, network: &NetworkFile) -> Opened {
        static OPENED: AtomicU64 = AtomicU64::new(0);
        let seed = OPENED.fetch_add(1, Ordering::Relaxed);
        StateFile::open(path, None, network, NOW, &mut ChaCha20Rng::seed_from_u64(seed))
    }

    fn write(state: &StateFile, round: u64) {
        let mut rng = ChaCha20Rng::seed_from_u64(round);
        state.write(&checkpoint(round), KEPT, &mut rng).unwrap();
    }

    fn assert_newest(start: &StartState, round: u64) {
        assert_eq!(
            (start.checkpoint, start.origin),
            (Some(checkpoint(round)), StateOrigin::Newest)
        );
        assert_eq!(start.kept.as_ref().map(|kept| &kept[..]), Some(KEPT));
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
            write(&state, round);
        }
        assert!(path("state").symlink_metadata().unwrap().is_symlink());
        assert_newest(&open(&path("kept/state")).unwrap().1, 9);
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
        let (state, start) = open(&path).unwrap();
        assert_eq!((start.checkpoint, start.origin), (None, StateOrigin::Fresh));
        write(&state, 8);
        write(&state, 9);
        drop(state);
        assert_newest(&open(&path).unwrap().1, 9);
    }

    #[test]
    fn a_state_file_serves_one_client_of_one_network_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (state, ..) = open(&path).unwrap();
        write(&state, 8);
        assert!(matches!(open(&path), Err(StateError::InUse { .. })));
        drop(state);
        assert!(matches!(open_of(&path, &network(2)), Err(StateError::OtherNetwork { .. })));
        std::fs::write(&path, b"antiphc5").unwrap();
        assert!(matches!(open(&path), Err(StateError::Damaged { .. })));
    }

    #[test]
    fn copies_and_old_and_lost_files_count_as_restored_from_a_backup() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let used_up = |opened: Opened, round: u64| {
            let (_, start) = opened.unwrap();
            let restored = start.checkpoint.unwrap();
            assert_eq!(start.origin, StateOrigin::Restored);
            assert!(start.kept.is_none(), "conversations and circuits are in no backup");
            let allowance = network(1).policy.disturbed_rounds / 2 + restored.extended;
            assert_eq!((restored.mark.round, restored.charged), (Round(round), allowance));
            assert!(restored.epochs_after > NOW);
        };
        let (state, ..) = open(&path("state")).unwrap();
        write(&state, 8);
        std::fs::copy(path("state"), path("old")).unwrap();
        std::fs::copy(path("state.witness"), path("old.witness")).unwrap();
        write(&state, 9);
        drop(state);
        // Elsewhere, with and without a copy of the witness.
        std::fs::copy(path("state"), path("other")).unwrap();
        used_up(open(&path("other")), 9);
        used_up(open(&path("old")), 8);
        // In its old place, by itself and with its witness.
        std::fs::copy(path("other"), path("copy")).unwrap();
        std::fs::rename(path("copy"), path("state")).unwrap();
        used_up(open(&path("state")), 9);
        let (state, start) = open(&path("state")).unwrap();
        assert_eq!(start.origin, StateOrigin::Newest);
        assert!(start.checkpoint.unwrap().epochs_after > NOW, "it stays so until a later epoch");
        drop(state);
        std::fs::remove_file(path("state")).unwrap();
        used_up(open(&path("state")), 0);
    }

    /// Whoever has all that was ever written to the disk, but only what the witness has now.
    #[test]
    fn what_was_kept_two_writes_ago_cannot_be_read_any_more() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (state, _) = open(&path).unwrap();
        let written: Vec<_> = (1..=4)
            .map(|round| {
                write(&state, round);
                StateContent::parse(&std::fs::read(&path).unwrap()).unwrap()
            })
            .collect();
        drop(state);
        // Both places of the file, whole.
        let witness = std::fs::read(beside(&path, ".witness")).unwrap();
        let slots = [0, 4096].map(|at| {
            let bytes = &witness[at..][..crate::formats::SLOT_BYTES];
            crate::formats::Slot::parse(bytes).unwrap().witnessed
        });
        let readable = written
            .iter()
            .map(|content| slots.iter().any(|witnessed| unseal(content, witnessed).is_some()));
        assert_eq!(readable.collect::<Vec<_>>(), [false, false, true, true]);
    }
}
