//! Witnesses that a state file is the newest one, and no copy from a backup.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use antiphon_process::kept_file::owners_only;
use zeroize::Zeroizing;

use crate::formats::{SLOT_BYTES, Slot, Witnessed};

/// A memory that no backup brings back: a keychain entry that stays on the device, or a [`FileWitness`]. It serves one
/// state file, and has the keys of what is newest in it: once they are overwritten, nobody reads what was there before,
/// as far as the memory keeps nothing of them. Nothing of it may be in a backup.
///
/// A state file that is older than what its witness recalls, or whose witness recalls nothing, counts
/// as restored from a backup: the client skips to the next epoch and its ledger starts used up.
pub trait StateWitness: fmt::Debug + Send + Sync {
    /// Returns the content kept last; `None` if nothing was, or nothing that can be relied on.
    ///
    /// # Errors
    /// If it cannot be asked. The client does not start then.
    fn recall(&self) -> io::Result<Option<Witnessed>>;

    /// Keeps `newest` in place of what was kept before. When this returns it has to outlast a crash;
    /// a crash meanwhile leaves the old or the new. Called once a round, before onions leave, and once a beat,
    /// before cells do.
    ///
    /// # Errors
    /// If it cannot be kept. Nothing is submitted then.
    fn keep(&self, witnessed: &Witnessed) -> io::Result<()>;
}

/// Slots are in sectors of their own, so that a torn write damages one only.
const SLOT_APART: u64 = 4096;

/// A witness in a file that knows its own place: the file's number in its file system and the time
/// it was made. A copy of it, or one taken out of a backup, recalls nothing.
///
/// It does not notice an old content written over it in place, nor the image of a whole disk that is
/// put back: against those, use a witness outside the disk. And it cannot erase what a disk keeps of an old content by
/// itself: flash memory writes elsewhere and erases later, some file systems copy when they write, and snapshots hold
/// on to all of it. Whoever reads such a disk byte by byte may find keys of beats that are over.
#[derive(Debug)]
pub struct FileWitness {
    file: Mutex<File>,
    origin: [u8; 24],
}

impl FileWitness {
    /// Opens a witness, making its file if there is none, and locks it.
    ///
    /// # Errors
    /// If it cannot be opened. `WouldBlock` if another process has it open.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = owners_only(options).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        let origin = origin(&file)?;
        Ok(Self { file: Mutex::new(file), origin })
    }
}

impl StateWitness for FileWitness {
    fn recall(&self) -> io::Result<Option<Witnessed>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest: Option<Witnessed> = None;
        for slot in 0..2 {
            let mut bytes = Zeroizing::new(Vec::with_capacity(SLOT_BYTES));
            file.seek(SeekFrom::Start(slot * SLOT_APART))?;
            (&mut *file).take(SLOT_BYTES as u64).read_to_end(&mut bytes)?;
            let found = Slot::parse(&bytes).filter(|slot| slot.origin == self.origin);
            let found = found.map(|slot| slot.witnessed);
            let is_newer = |found: &Witnessed| {
                newest.as_ref().is_none_or(|known| known.newest.number < found.newest.number)
            };
            newest = found.filter(is_newer).or(newest);
        }
        Ok(newest)
    }

    fn keep(&self, witnessed: &Witnessed) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(witnessed.newest.number % 2 * SLOT_APART))?;
        file.write_all(&Slot { origin: self.origin, witnessed: witnessed.clone() }.render())?;
        file.sync_data()
    }
}

/// Mark of a file that a copy of it does not share.
fn origin(file: &File) -> io::Result<[u8; 24]> {
    let metadata = file.metadata()?;
    let made = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    #[cfg(unix)]
    let number = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let number = 0_u64;
    let mut origin = [0; 24];
    origin[..8].copy_from_slice(&number.to_be_bytes());
    origin[8..].copy_from_slice(&made.map_or(0, |since| since.as_nanos()).to_be_bytes());
    Ok(origin)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::formats::{Record, StateKey};

    fn witnessed(number: u64) -> Witnessed {
        let [key, next] = [number, number + 1].map(|number| StateKey([number as u8; 32]));
        Witnessed { newest: Record { instance: [7; 16], number }, key, next }
    }

    #[test]
    fn what_was_kept_last_is_recalled_and_a_torn_write_leaves_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness");
        let witness = FileWitness::open(&path).unwrap();
        assert_eq!(witness.recall().unwrap(), None);
        for number in 0..6 {
            witness.keep(&witnessed(number)).unwrap();
            assert_eq!(witness.recall().unwrap(), Some(witnessed(number)));
        }
        let in_use = FileWitness::open(&path).unwrap_err();
        assert_eq!(in_use.kind(), io::ErrorKind::WouldBlock);
        drop(witness);
        let mut torn = OpenOptions::new().write(true).open(&path).unwrap();
        torn.seek(SeekFrom::Start(SLOT_APART + 40)).unwrap();
        torn.write_all(b"torn").unwrap();
        drop(torn);
        let witness = FileWitness::open(&path).unwrap();
        assert_eq!(witness.recall().unwrap(), Some(witnessed(4)));
    }

    #[test]
    fn a_copy_recalls_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name| folder.path().join(name);
        let witness = FileWitness::open(&path("witness")).unwrap();
        witness.keep(&witnessed(3)).unwrap();
        drop(witness);
        std::fs::copy(path("witness"), path("copy")).unwrap();
        assert_eq!(FileWitness::open(&path("copy")).unwrap().recall().unwrap(), None);
        // Even in the place of the first.
        std::fs::rename(path("copy"), path("witness")).unwrap();
        assert_eq!(FileWitness::open(&path("witness")).unwrap().recall().unwrap(), None);
    }

    proptest! {
        #[test]
        fn other_bytes_recall_nothing(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("witness");
            std::fs::write(&path, bytes).unwrap();
            prop_assert_eq!(FileWitness::open(&path).unwrap().recall().unwrap(), None);
        }
    }
}
