//! The file that holds a client's checkpoint.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use antiphon_client_core::Checkpoint;
use antiphon_wire::{Decode as _, Digest, Encode as _};

const MAGIC: [u8; 8] = *b"antiphc1";
/// Magic, the network file's id, the checkpoint, and a hash of the three.
const FILE_BYTES: usize = 8 + 32 + 24 + 32;

/// Why a state file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It cannot be opened, read or locked.
    #[error("cannot use the state file {file}: {source} (its folder has to exist and be writable)")]
    Read {
        /// The file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another client uses it.
    #[error(
        "another process uses the state file {file}: stop it, or give each client its own file"
    )]
    InUse {
        /// The file.
        file: PathBuf,
    },
    /// It holds something else.
    #[error(
        "{file} is no state file, or damaged; removing it starts afresh, but forgets what \
         conversations have cost and which round was used last"
    )]
    Damaged {
        /// The file.
        file: PathBuf,
    },
    /// It was written for another network.
    #[error("the state file {file} belongs to another network file; give each network its own")]
    OtherNetwork {
        /// The file.
        file: PathBuf,
    },
}

/// A client's state file, locked against other processes while this lives.
#[derive(Debug)]
pub(crate) struct StateFile {
    file: PathBuf,
    network: Digest,
    /// Beside the file, since a replaced file would lose its lock.
    _lock: File,
}

impl StateFile {
    /// Takes the file, and what it holds if there is one.
    pub(crate) fn open(
        file: &Path,
        network: Digest,
    ) -> Result<(Self, Option<Checkpoint>), StateError> {
        let failed = |source| StateError::Read { file: file.to_owned(), source };
        let lock = beside(file, ".lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(lock);
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(StateError::InUse { file: file.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let restored = match File::open(file) {
            Ok(content) => {
                let mut bytes = Vec::with_capacity(FILE_BYTES + 1);
                let mut content = content.take(FILE_BYTES as u64 + 1);
                content.read_to_end(&mut bytes).map_err(failed)?;
                let (of, checkpoint) =
                    parse(&bytes).ok_or_else(|| StateError::Damaged { file: file.to_owned() })?;
                if of != network {
                    return Err(StateError::OtherNetwork { file: file.to_owned() });
                }
                Some(checkpoint)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
        };
        Ok((Self { file: file.to_owned(), network, _lock: lock }, restored))
    }

    /// Replaces what the file holds. It is on disk when this returns; a crash meanwhile leaves the
    /// old content or the new.
    pub(crate) fn write(&self, checkpoint: &Checkpoint) -> io::Result<()> {
        let temporary = beside(&self.file, ".new");
        let mut file = File::create(&temporary)?;
        file.write_all(&render(&self.network, checkpoint))?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.file)?;
        // The rename itself lasts once the folder is on disk.
        #[cfg(unix)]
        File::open(self.file.parent().filter(|path| *path != "").unwrap_or(Path::new(".")))?
            .sync_all()?;
        Ok(())
    }
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn render(network: &Digest, checkpoint: &Checkpoint) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    network.encode(&mut bytes);
    checkpoint.encode(&mut bytes);
    Digest::of(&bytes).encode(&mut bytes);
    bytes
}

fn parse(bytes: &[u8]) -> Option<(Digest, Checkpoint)> {
    let (content, hash) = bytes.split_last_chunk::<32>()?;
    if Digest::of(content).0 != *hash {
        return None;
    }
    let rest = content.strip_prefix(&MAGIC)?;
    let (network, checkpoint) = rest.split_first_chunk::<32>()?;
    Some((Digest(*network), Checkpoint::from_bytes(checkpoint).ok()?))
}

#[cfg(test)]
mod tests {
    use antiphon_client_core::RoundMark;
    use antiphon_wire::{Epoch, Round};
    use proptest::prelude::*;

    use super::*;

    const NETWORK: Digest = Digest([3; 32]);

    fn checkpoint(round: u64) -> Checkpoint {
        let mark = RoundMark { epoch: Epoch(2), round: Round(round) };
        Checkpoint { mark, charged: 7, extended: 1 }
    }

    #[test]
    fn what_was_written_last_is_restored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (state, restored) = StateFile::open(&path, NETWORK).unwrap();
        assert_eq!(restored, None);
        state.write(&checkpoint(8)).unwrap();
        state.write(&checkpoint(9)).unwrap();
        drop(state);
        let (_, restored) = StateFile::open(&path, NETWORK).unwrap();
        assert_eq!(restored, Some(checkpoint(9)));
    }

    #[test]
    fn a_state_file_serves_one_client_of_one_network_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let (state, _) = StateFile::open(&path, NETWORK).unwrap();
        state.write(&checkpoint(8)).unwrap();
        assert!(matches!(StateFile::open(&path, NETWORK), Err(StateError::InUse { .. })));
        drop(state);
        let other = StateFile::open(&path, Digest([4; 32]));
        assert!(matches!(other, Err(StateError::OtherNetwork { .. })));
        std::fs::write(&path, b"antiphc1").unwrap();
        assert!(matches!(StateFile::open(&path, NETWORK), Err(StateError::Damaged { .. })));
    }

    proptest! {
        #[test]
        fn any_damage_is_noticed(at in 0..FILE_BYTES, flip in 1..=255u8) {
            let mut bytes = render(&NETWORK, &checkpoint(5));
            prop_assert_eq!(bytes.len(), FILE_BYTES);
            prop_assert_eq!(parse(&bytes), Some((NETWORK, checkpoint(5))));
            bytes[at] ^= flip;
            prop_assert_eq!(parse(&bytes), None);
        }

        #[test]
        fn other_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            prop_assert_eq!(parse(&bytes), None);
        }
    }
}
