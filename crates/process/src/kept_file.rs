//! Small files that a process must not lose and no other may use: locked, replaced as a whole, and
//! readable by their owner alone.

mod disk;
#[cfg(any(test, feature = "failing-disk"))]
mod failing_disk;
mod lock;

use std::io;
use std::path::Path;

pub use disk::{Disk, FileSystem, beside, owners_only};
#[cfg(any(test, feature = "failing-disk"))]
pub use failing_disk::FailingDisk;
pub use lock::{FileLock, LockError};

/// A file that this process alone reads and replaces.
#[derive(Debug)]
pub struct KeptFile<D = FileSystem> {
    disk: D,
    _lock: Option<FileLock>,
}

impl KeptFile {
    /// Takes the file at `path`, which may be a link to where it is kept and need not exist.
    ///
    /// # Errors
    /// If another process has it, or the system refuses.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let disk = FileSystem::behind_links(path)
            .map_err(|source| LockError::Refused { file: path.to_owned(), source })?;
        let lock = FileLock::take(disk.path())?;
        Ok(Self { disk, _lock: Some(lock) })
    }
}

impl<D: Disk> KeptFile<D> {
    /// A file on a disk that nobody else has, so that it needs no lock.
    pub const fn on(disk: D) -> Self {
        Self { disk, _lock: None }
    }

    /// The path, with links followed.
    pub fn path(&self) -> &Path {
        self.disk.path()
    }

    /// Its content, cut off after `most` bytes; `None` if it does not exist.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self, most: u64) -> io::Result<Option<Vec<u8>>> {
        self.disk.read(most)
    }

    /// Replaces the content in one step. It is on disk when this returns; a power cut meanwhile leaves
    /// the old content or the new.
    ///
    /// # Errors
    /// If it cannot be written. The file holds the old content or the new then.
    pub fn replace(&self, content: &[u8]) -> io::Result<()> {
        let new = self.disk.create(content)?;
        self.disk.sync(&new)?;
        self.disk.rename(new)?;
        // The rename itself is durable only when the folder is.
        self.disk.sync_folder()
    }

    /// A file next to this one, whose name ends in `suffix` as well. It is this process's for as long
    /// as this one is.
    #[must_use]
    pub fn beside(&self, suffix: &str) -> Self {
        Self { disk: self.disk.beside(suffix), _lock: None }
    }

    /// The suffixes, beginning with `start`, of the files next to this one.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn suffixes(&self, start: &str) -> io::Result<Vec<String>> {
        self.disk.suffixes(start)
    }

    /// Removes the file, if it exists. A power cut may bring it back.
    ///
    /// # Errors
    /// If it cannot be removed.
    pub fn remove(&self) -> io::Result<()> {
        self.disk.remove()
    }
}

#[cfg(test)]
mod tests;
