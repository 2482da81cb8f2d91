//! Witnesses that a state file is the newest one, and no copy from a backup.

use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit as _};
use antiphon_process::entropy::entropy;
use antiphon_process::kept_file::owners_only;
use rand::Rng as _;
use zeroize::Zeroizing;

use crate::formats::{SLOT_BYTES, Slot, StateKey, Witnessed};

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

/// The last character is the version of a sealed slot's form.
const SEALED_MAGIC: [u8; 8] = *b"antiphw3";
const SALT_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// Magic, salt, a slot, and a tag.
const SEALED_BYTES: usize = SEALED_MAGIC.len() + SALT_BYTES + SLOT_BYTES + TAG_BYTES;
const SEAL_CONTEXT: &str = "Antiphon 2026 seal of a witness";

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
    /// Without one, whoever has the file reads it.
    seal: Option<StateKey>,
}

impl FileWitness {
    /// Opens a witness, making its file if there is none, and locks it.
    ///
    /// # Errors
    /// If it cannot be opened. `WouldBlock` if another process has it open.
    pub fn open(path: &Path) -> io::Result<Self> {
        Self::open_with(path, None)
    }

    /// Likewise, for a witness that nobody reads without `key`: neither, then, what is in the state file.
    ///
    /// # Errors
    /// As of [`open`](Self::open).
    pub fn open_sealed(path: &Path, key: &[u8; 32]) -> io::Result<Self> {
        Self::open_with(path, Some(StateKey(*key)))
    }

    fn open_with(path: &Path, seal: Option<StateKey>) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let file = owners_only(options).open(path)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => io::ErrorKind::WouldBlock.into(),
            TryLockError::Error(error) => error,
        })?;
        let origin = origin(&file)?;
        Ok(Self { file: Mutex::new(file), origin, seal })
    }

    fn bytes_of(&self, slot: &Slot) -> Zeroizing<Vec<u8>> {
        let bytes = slot.render();
        match &self.seal {
            None => bytes,
            Some(key) => Zeroizing::new(seal(key, &bytes)),
        }
    }

    fn slot_in(&self, bytes: &[u8]) -> Option<Slot> {
        match &self.seal {
            None => Slot::parse(bytes),
            Some(key) => Slot::parse(&unseal(key, bytes)?),
        }
    }
}

/// Seals a slot with a key that is made for it alone, so that the nonce can be fixed.
fn seal(key: &StateKey, slot: &[u8]) -> Vec<u8> {
    let mut salt = [0; SALT_BYTES];
    entropy().fill_bytes(&mut salt);
    let mut bytes = [&SEALED_MAGIC[..], &salt, slot].concat();
    let (head, content) = bytes.split_at_mut(SEALED_MAGIC.len() + SALT_BYTES);
    let tag = Aes256Gcm::new((&sealing_key(key, &salt).0).into())
        .encrypt_inout_detached(&[0; 12].into(), head, content.into())
        .expect("a slot is far below AES-GCM's limit of 64 GiB");
    bytes.extend(&tag[..]);
    bytes
}

fn unseal(key: &StateKey, bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (head, rest) = bytes.split_at_checked(SEALED_MAGIC.len() + SALT_BYTES)?;
    let salt = head.strip_prefix(&SEALED_MAGIC)?.first_chunk()?;
    let (content, tag) = rest.split_last_chunk::<TAG_BYTES>()?;
    let mut content = Zeroizing::new(content.to_vec());
    Aes256Gcm::new((&sealing_key(key, salt).0).into())
        .decrypt_inout_detached(&[0; 12].into(), head, (&mut content[..]).into(), &(*tag).into())
        .ok()?;
    Some(content)
}

fn sealing_key(key: &StateKey, salt: &[u8; SALT_BYTES]) -> StateKey {
    let mut hasher = blake3::Hasher::new_derive_key(SEAL_CONTEXT);
    StateKey(*hasher.update(&key.0).update(salt).finalize().as_bytes())
}

impl StateWitness for FileWitness {
    fn recall(&self) -> io::Result<Option<Witnessed>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let mut newest: Option<Witnessed> = None;
        for slot in 0..2 {
            let most = if self.seal.is_some() { SEALED_BYTES } else { SLOT_BYTES };
            let mut bytes = Zeroizing::new(Vec::with_capacity(most));
            file.seek(SeekFrom::Start(slot * SLOT_APART))?;
            (&mut *file).take(most as u64).read_to_end(&mut bytes)?;
            let found = self.slot_in(&bytes).filter(|slot| slot.origin == self.origin);
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
        let slot = Slot { origin: self.origin, witnessed: witnessed.clone() };
        file.write_all(&self.bytes_of(&slot))?;
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
    fn a_sealed_witness_is_read_with_its_key_alone_and_shows_no_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("witness");
        let open = |key: u8| FileWitness::open_sealed(&path, &[key; 32]).unwrap();
        for number in 0..3 {
            open(1).keep(&witnessed(number)).unwrap();
        }
        assert_eq!(open(1).recall().unwrap(), Some(witnessed(2)));
        assert_eq!(open(2).recall().unwrap(), None);
        assert_eq!(FileWitness::open(&path).unwrap().recall().unwrap(), None);
        let bytes = std::fs::read(&path).unwrap();
        for key in [1, 2, 3] {
            assert!(
                !bytes.windows(8).any(|window| window == [key; 8]),
                "key {key} is in the clear"
            );
        }
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
