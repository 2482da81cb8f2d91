//! The lock of a profile, which says who holds it and since when.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::Path;

use antiphon_process::kept_file::owners_only;
use antiphon_wire::Timestamp;

use crate::moment::moment;

/// The longest text of a lock that is read, in bytes.
const MOST_BYTES: u64 = 128;

/// Keeps other processes from using a profile while this lives.
#[derive(Debug)]
pub(crate) struct ProfileLock {
    _file: File,
}

/// Reason why a profile cannot be locked.
#[derive(Debug)]
pub(crate) enum NotLocked {
    /// A process has it, in words.
    InUse(String),
    /// The system does not let it be locked.
    Refused(io::Error),
}

impl ProfileLock {
    /// Takes the lock, and leaves a word about who did, and when.
    pub(crate) fn take(file: &Path, now: Timestamp) -> Result<Self, NotLocked> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false);
        let mut lock = owners_only(options).open(file).map_err(NotLocked::Refused)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(NotLocked::Refused(error)),
            Err(TryLockError::WouldBlock) => {
                return Err(NotLocked::InUse(holder(&lock)));
            }
        }
        // Only for people: a lock without it is as good.
        let _ = lock.set_len(0);
        let _ = lock.rewind();
        let _ = writeln!(lock, "process {} since {}", std::process::id(), moment(now));
        Ok(Self { _file: lock })
    }
}

/// Process that holds a lock, as it wrote into it.
fn holder(lock: &File) -> String {
    let mut text = String::new();
    let read = lock.take(MOST_BYTES).read_to_string(&mut text);
    // Of what is no such line, nothing is repeated to a terminal.
    let plain = |text: &&str| text.chars().all(|c| c.is_ascii_alphanumeric() || " :-".contains(c));
    let line = text.strip_suffix('\n').filter(|line| line.starts_with("process ")).filter(plain);
    line.filter(|_| read.is_ok()).unwrap_or("another process").to_owned()
}
