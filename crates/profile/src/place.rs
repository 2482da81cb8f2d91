//! The two files of a store, in a folder or in a test.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use antiphon_process::kept_file::owners_only;
use redb::StorageBackend;
use redb::backends::FileBackend;

/// Place of a store's two files. Each can be opened again after it was closed.
pub trait Place {
    /// One of the files.
    type File: StorageBackend;

    /// Opens the file of the sealed records.
    ///
    /// # Errors
    /// Those of the system.
    fn store(&self) -> io::Result<Self::File>;
    /// Opens the file of the roots of their keys.
    ///
    /// # Errors
    /// Those of the system.
    fn keys(&self) -> io::Result<Self::File>;
}

/// A folder on disk.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub(crate) fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    pub(crate) fn store_path(&self) -> PathBuf {
        self.0.join("store")
    }

    pub(crate) fn keys_path(&self) -> PathBuf {
        self.0.join("keys")
    }

    /// Makes both files, empty, for their owner alone.
    pub(crate) fn make(&self) -> io::Result<()> {
        for path in [self.store_path(), self.keys_path()] {
            owners_only(OpenOptions::new().write(true).create_new(true)).open(path)?.sync_all()?;
        }
        sync(&self.0)
    }
}

impl Place for Folder {
    type File = FileBackend;

    fn store(&self) -> io::Result<FileBackend> {
        open(&self.store_path())
    }

    fn keys(&self) -> io::Result<FileBackend> {
        open(&self.keys_path())
    }
}

fn open(path: &Path) -> io::Result<FileBackend> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    FileBackend::new(file).map_err(io::Error::other)
}

/// Waits until the names in a folder are on disk.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    File::open(folder)?.sync_all()?;
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}
