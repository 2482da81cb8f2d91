//! Errors of the store, in words that say what to do.

use std::io;

use crate::formats::KeySource;

/// Reason why the store cannot be opened, read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// No room on the disk.
    #[error(
        "the disk is full: nothing was lost, and nothing of this was kept; make room, then try again"
    )]
    DiskFull,
    /// The system refuses.
    #[error("the system does not let the store be used: {0}")]
    Io(io::Error),
    /// The wrong passphrase or key.
    #[error("{}", wrong_key(.0))]
    WrongKey(KeySource),
    /// A passphrase for a profile with a key file, or the other way round.
    #[error("it opens with {0}")]
    OtherSource(KeySource),
    /// The file `keys` holds something else.
    #[error(
        "the file `keys` is damaged, without which nothing in `store` can be read: it is left as it is; put \
         back a copy of the whole folder, or restore a backup into a new profile"
    )]
    KeysDamaged,
    /// The file `store` holds something else.
    #[error(
        "the file `store` is damaged ({0}): it is left as it is; put back a copy of the whole folder, or \
         restore a backup into a new profile, and keep the damaged one until that has worked"
    )]
    Damaged(String),
    /// Both files are whole, but not of the same moment.
    #[error(
        "`store` and `keys` are not of the same moment (the store is of generation {store}, its keys of \
         {keys}): one of the two was put back from a copy; put back both from the same copy, or restore a backup"
    )]
    Apart {
        /// Generation of the store.
        store: u64,
        /// Generation of the keys.
        keys: u64,
    },
    /// A record of a kind that this version does not know.
    #[error(
        "a newer version of Antiphon has written to the store (it has records of kind {0}): use that version, or \
         a later one; nothing has been changed"
    )]
    Newer(u8),
    /// Content that is longer than the longest record.
    #[error("{length} bytes are too many for a record, which holds {most}")]
    TooLong {
        /// Bytes that were given.
        length: usize,
        /// Bytes that fit.
        most: usize,
    },
}

fn wrong_key(source: &KeySource) -> &'static str {
    match source {
        KeySource::Passphrase(_) => {
            "the passphrase is wrong: try again, and mind capitals and the keyboard's layout"
        }
        KeySource::KeyFile => "the key file is not the one that this profile was made with",
    }
}

impl StoreError {
    /// An error of redb.
    pub(crate) fn of(error: impl Into<redb::Error>) -> Self {
        match error.into() {
            redb::Error::Io(error) => error.into(),
            redb::Error::Corrupted(what) => Self::Damaged(what),
            redb::Error::TableDoesNotExist(table) => Self::Damaged(format!("it has no {table}")),
            redb::Error::UpgradeRequired(_) => Self::Damaged("it is of another version".to_owned()),
            error => Self::Io(io::Error::other(error.to_string())),
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Self::Damaged(what.into())
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        use io::ErrorKind::{FileTooLarge, InvalidData, QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded | FileTooLarge => Self::DiskFull,
            // redb says this of a file that is not its own.
            InvalidData => Self::Damaged(error.to_string()),
            _ => Self::Io(error),
        }
    }
}
