//! The folder of a profile: who may use it, and which version wrote it.

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use antiphon_process::kept_file::{beside, owners_only};

use crate::place::sync;
use crate::profile::ProfileError;

/// Version of the profiles that are written.
pub(crate) const PROFILE_VERSION: u32 = 1;
const VERSION_FILE: &str = "version";
const VERSION_TITLE: &str = "antiphon profile ";
/// The longest version record that is read, in bytes.
const MOST_BYTES: u64 = 64;

/// Makes a folder for its owner alone. One that is there and empty is taken.
pub(crate) fn make(folder: &Path) -> Result<(), ProfileError> {
    let failed = |source| ProfileError::Folder { folder: folder.to_owned(), source };
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            check_owner(folder)?;
            let mut entries = fs::read_dir(folder).map_err(failed)?;
            if entries.next().is_some() {
                return Err(ProfileError::NotEmpty(folder.to_owned()));
            }
        }
        Err(source) => return Err(failed(source)),
    }
    Ok(())
}

/// Sees that the folder and what is in it belong to this user alone.
pub(crate) fn check(folder: &Path) -> Result<(), ProfileError> {
    let failed = |source| ProfileError::Folder { folder: folder.to_owned(), source };
    check_owner(folder)?;
    for entry in fs::read_dir(folder).map_err(failed)? {
        check_owner(&entry.map_err(failed)?.path())?;
    }
    Ok(())
}

fn check_owner(path: &Path) -> Result<(), ProfileError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => check_metadata(path, &metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err(ProfileError::Missing(path.to_owned()))
        }
        Err(source) => Err(ProfileError::Folder { folder: path.to_owned(), source }),
    }
}

#[cfg(unix)]
fn check_metadata(path: &Path, metadata: &Metadata) -> Result<(), ProfileError> {
    use std::os::unix::fs::MetadataExt as _;

    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner != user {
        return Err(ProfileError::Owner { path: path.to_owned(), owner, user });
    }
    // The mode of a link says nothing: what it leads to is looked at when it is opened, in a folder of the same owner.
    if !metadata.is_symlink() && metadata.mode() & 0o077 != 0 {
        let right = if metadata.is_dir() { "700" } else { "600" };
        let mode = metadata.mode() & 0o777;
        return Err(ProfileError::Open { path: path.to_owned(), mode, right });
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_metadata(_: &Path, _: &Metadata) -> Result<(), ProfileError> {
    Ok(())
}

/// Reads the version record, which is written last: without it, nothing was ever kept.
pub(crate) fn check_version(folder: &Path) -> Result<(), ProfileError> {
    let path = folder.join(VERSION_FILE);
    let mut text = String::new();
    let read = match fs::File::open(&path) {
        Ok(file) => file.take(MOST_BYTES).read_to_string(&mut text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(ProfileError::NoProfile(folder.to_owned()));
        }
        Err(error) => Err(error),
    };
    // What is no text is no version record, and is said to be damaged below.
    if let Err(source) = read
        && source.kind() != io::ErrorKind::InvalidData
    {
        return Err(ProfileError::Folder { folder: path, source });
    }
    let version = text.strip_prefix(VERSION_TITLE).and_then(|rest| rest.trim_end().parse().ok());
    match version {
        Some(PROFILE_VERSION) => Ok(()),
        Some(version) if version > PROFILE_VERSION => {
            Err(ProfileError::Newer { folder: folder.to_owned(), version })
        }
        _ => Err(ProfileError::BadVersion(path)),
    }
}

/// Writes the version record.
pub(crate) fn write_version(folder: &Path) -> io::Result<()> {
    let path = folder.join(VERSION_FILE);
    let new = beside(&path, ".new");
    let mut options = OpenOptions::new();
    let options = options.write(true).create(true).truncate(true);
    let mut file = owners_only(options).open(&new)?;
    writeln!(file, "{VERSION_TITLE}{PROFILE_VERSION}")?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    sync(folder)
}

/// The path of a file in a profile.
pub(crate) fn path(folder: &Path, name: &str) -> PathBuf {
    folder.join(name)
}
