//! A profile: its folder, locked, and its store, opened.

use std::io;
use std::path::{Path, PathBuf};

use antiphon_wire::Timestamp;
use rand::CryptoRng;

use crate::folder;
use crate::formats::KeyCost;
use crate::lock::{NotLocked, ProfileLock};
use crate::place::Folder;
use crate::store::Store;
use crate::store_error::StoreError;
use crate::unlock::Unlock;

/// Reason why a profile is not made or opened.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// No such folder.
    #[error("{0} does not exist: make a new profile there, or restore one from a backup")]
    Missing(PathBuf),
    /// A folder without a profile.
    #[error(
        "{0} holds no profile, or one that was not finished: name another folder, or remove this one and make a \
         new profile"
    )]
    NoProfile(PathBuf),
    /// A folder that is not empty.
    #[error(
        "{0} is not empty, and nothing in it is overwritten: name a folder that does not exist yet"
    )]
    NotEmpty(PathBuf),
    /// The folder, or what is in it, belongs to somebody else.
    #[error(
        "{path} belongs to user {owner}, and this is user {user}: run this as that user, or as root: chown -R \
         {user} {path}"
    )]
    Owner {
        /// Path of the folder or file.
        path: PathBuf,
        /// User that it belongs to.
        owner: u32,
        /// User of this process.
        user: u32,
    },
    /// Others can read or change it.
    #[error(
        "other users of this machine can use {path} (mode {mode:o}), which may have been read or changed by \
         them: chmod {right} {path}"
    )]
    Open {
        /// Path of the folder or file.
        path: PathBuf,
        /// Mode that it has.
        mode: u32,
        /// Mode that it should have.
        right: &'static str,
    },
    /// The system refuses.
    #[error("cannot use {folder}: {source}")]
    Folder {
        /// Path of the folder or file.
        folder: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// Another process has it.
    #[error("{folder} is in use by {holder}: stop that one, or go on there")]
    InUse {
        /// Path of the folder.
        folder: PathBuf,
        /// Process that has it, in words.
        holder: String,
    },
    /// A later version has written it.
    #[error(
        "{folder} was written by a newer version of Antiphon (profile version {version}; this one knows {known}): \
         use that version, or a later one; nothing has been changed", known = folder::PROFILE_VERSION
    )]
    Newer {
        /// Path of the folder.
        folder: PathBuf,
        /// Version of the profile.
        version: u32,
    },
    /// No version record of any version.
    #[error(
        "{0} is damaged: put back a copy of the whole folder, or restore a backup into a new profile"
    )]
    BadVersion(PathBuf),
    /// The store cannot be opened.
    #[error("{folder}: {source}")]
    Store {
        /// Path of the folder.
        folder: PathBuf,
        /// Error of the store.
        source: StoreError,
    },
    /// The witness that a restored profile needs cannot be made.
    #[error("cannot make {path}: {source}")]
    Witness {
        /// Path of the witness.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
}

/// What a user keeps on a device. No other process opens it while this lives.
#[derive(Debug)]
pub struct Profile {
    folder: PathBuf,
    store: Store<Folder>,
    _lock: ProfileLock,
}

impl Profile {
    /// Makes a profile in a folder that does not exist yet, or is empty.
    ///
    /// # Errors
    /// If it is not made. What is there is never overwritten.
    pub fn create(
        folder: &Path,
        unlock: &Unlock,
        cost: KeyCost,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, ProfileError> {
        Self::create_with(folder, unlock, cost, now, rng, |_, _| Ok(()))
    }

    /// Makes a profile and fills it with `fill` before it counts as one.
    pub(crate) fn create_with<R: CryptoRng, E: From<ProfileError>>(
        folder: &Path,
        unlock: &Unlock,
        cost: KeyCost,
        now: Timestamp,
        rng: &mut R,
        fill: impl FnOnce(&mut Self, &mut R) -> Result<(), E>,
    ) -> Result<Self, E> {
        folder::make(folder)?;
        let lock = lock(folder, now)?;
        let failed = |source: StoreError| ProfileError::Store { folder: folder.to_owned(), source };
        let place = Folder::at(folder);
        place.make().map_err(|error| failed(error.into()))?;
        let store = Store::create(place, unlock, cost, rng).map_err(failed)?;
        let mut profile = Self { folder: folder.to_owned(), store, _lock: lock };
        fill(&mut profile, rng)?;
        // Last: a folder without it is no profile.
        folder::write_version(folder).map_err(|error| failed(error.into()))?;
        Ok(profile)
    }

    /// Opens a profile.
    ///
    /// # Errors
    /// If it is not opened. It is left as it is then.
    pub fn open(
        folder: &Path,
        unlock: &Unlock,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, ProfileError> {
        folder::check(folder)?;
        // Before the lock, whose file it would make.
        folder::check_version(folder)?;
        let lock = lock(folder, now)?;
        let store = Store::open(Folder::at(folder), unlock, rng);
        let store =
            store.map_err(|source| ProfileError::Store { folder: folder.to_owned(), source })?;
        Ok(Self { folder: folder.to_owned(), store, _lock: lock })
    }

    /// The folder that it lies in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The place of the client's state file. Its witness and its list of used secrets lie beside it.
    pub fn state_file(&self) -> PathBuf {
        folder::path(&self.folder, "state")
    }

    /// The place of the witness that lies beside the state file.
    pub fn witness_file(&self) -> PathBuf {
        folder::path(&self.folder, "state.witness")
    }

    /// The store.
    pub const fn store(&self) -> &Store<Folder> {
        &self.store
    }

    /// The store, to be written.
    pub const fn store_mut(&mut self) -> &mut Store<Folder> {
        &mut self.store
    }
}

fn lock(folder: &Path, now: Timestamp) -> Result<ProfileLock, ProfileError> {
    ProfileLock::take(&folder::path(folder, "lock"), now).map_err(|error| match error {
        NotLocked::InUse(holder) => ProfileError::InUse { folder: folder.to_owned(), holder },
        NotLocked::Refused(source) => ProfileError::Folder { folder: folder.to_owned(), source },
    })
}
