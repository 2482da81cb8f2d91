//! The network file that several commands read.

use std::io;
use std::path::{Path, PathBuf};

use antiphon_process::config_file::read_bounded;
use antiphon_wire::{NetworkFile, NetworkFileError};

/// Reason why a network file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadNetworkError {
    /// It cannot be read.
    #[error("cannot read the network file {path}: {source}")]
    Read {
        /// Path of the file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// It makes no sense.
    #[error("network file {path}: {source}")]
    Content {
        /// Path of the file.
        path: PathBuf,
        /// Flaw of its content.
        source: NetworkFileError,
    },
}

/// The network of a file.
pub(crate) fn read(path: &Path) -> Result<NetworkFile, ReadNetworkError> {
    let failed = |source| ReadNetworkError::Read { path: path.to_owned(), source };
    parse(path, &read_bounded(path).map_err(failed)?)
}

/// The network in the text of the file at `path`.
pub(crate) fn parse(path: &Path, text: &str) -> Result<NetworkFile, ReadNetworkError> {
    NetworkFile::parse(text)
        .map_err(|source| ReadNetworkError::Content { path: path.to_owned(), source })
}
