//! A lock that keeps other processes from using a file.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use super::disk::{beside, owners_only};

/// The longest text of a lock that is read, in bytes.
const LOCK_BYTES: u64 = 64;

/// Reason why a file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{file} is in use by {holder}: stop that, or give each process a file of its own", file = file.display())]
    InUse {
        /// File that is wanted.
        file: PathBuf,
        /// Process that has it, in words.
        holder: String,
    },
    /// The system does not let it be locked.
    #[error(
        "cannot lock {file}: {source} (its folder has to exist and be writable)",
        file = file.display()
    )]
    Refused {
        /// File that is wanted.
        file: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

/// Keeps other processes from using a file while this lives. The lock is on a file beside it, since
/// a file that is replaced would lose its lock.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

impl FileLock {
    /// Locks `file`, and leaves a word about who did.
    ///
    /// # Errors
    /// If another process has it, or the system refuses.
    pub fn take(file: &Path) -> Result<Self, LockError> {
        let refused = |source| LockError::Refused { file: file.to_owned(), source };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = owners_only(&mut options).open(beside(file, ".lock")).map_err(refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(source)) => return Err(refused(source)),
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&lock).unwrap_or_else(|| "another process".to_owned());
                return Err(LockError::InUse { file: file.to_owned(), holder });
            }
        }
        // Only for people: a lock without it is as good.
        let _ = lock.set_len(0);
        let _ = lock.rewind();
        let _ = lock.write_all(format!("process {}\n", std::process::id()).as_bytes());
        Ok(Self { _file: lock })
    }
}

/// Process that holds a lock, as it wrote into it.
fn holder(lock: &File) -> Option<String> {
    let mut text = String::new();
    lock.take(LOCK_BYTES).read_to_string(&mut text).ok()?;
    let number = text.strip_prefix("process ")?.trim_end().parse::<u32>().ok()?;
    Some(format!("process {number}"))
}
