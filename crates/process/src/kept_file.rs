//! Small files that a process must not lose and no other may use: locked, replaced as a whole, and
//! readable by their owner alone.

pub mod disk;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The most links that are followed from one file.
const MOST_LINKS: usize = 16;
/// The longest text of a lock that is read, in bytes.
const LOCK_BYTES: u64 = 64;

/// Why a file cannot be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process has it.
    #[error("{file} is in use by {holder}: stop that, or give each process a file of its own", file = file.display())]
    InUse {
        /// The file.
        file: PathBuf,
        /// Who has it.
        holder: String,
    },
    /// The system does not let it be locked.
    #[error(
        "cannot lock {file}: {source} (its folder has to exist and be writable)",
        file = file.display()
    )]
    Refused {
        /// The file.
        file: PathBuf,
        /// What the system said.
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

/// What whoever holds a lock wrote into it.
fn holder(lock: &File) -> Option<String> {
    let mut text = String::new();
    lock.take(LOCK_BYTES).read_to_string(&mut text).ok()?;
    let number = text.strip_prefix("process ")?.trim_end().parse::<u32>().ok()?;
    Some(format!("process {number}"))
}

/// A file that this process alone reads and replaces.
#[derive(Debug)]
pub struct KeptFile {
    path: PathBuf,
    _lock: FileLock,
}

impl KeptFile {
    /// Takes the file at `path`, which may be a link to where it is kept and need not exist.
    ///
    /// # Errors
    /// If another process has it, or the system refuses.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        let path = resolve(path);
        Ok(Self { _lock: FileLock::take(&path)?, path })
    }

    /// Where it is, links followed.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it holds; `None` if it does not exist.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn read(&self) -> io::Result<Option<Vec<u8>>> {
        match fs::read(&self.path) {
            Ok(content) => Ok(Some(content)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces what it holds in one step. It is on disk when this returns; a power cut meanwhile
    /// leaves the old content or the new.
    ///
    /// # Errors
    /// If it cannot be written. It holds the old content or the new then.
    pub fn replace(&self, content: &[u8]) -> io::Result<()> {
        let new = beside(&self.path, ".new");
        let mut options = OpenOptions::new();
        let mut file = owners_only(options.write(true).create(true).truncate(true)).open(&new)?;
        close_to_others(&file)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        // The rename itself is durable only when the folder is.
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// Where `path` leads. Replacing a link instead of its target would leave the kept file behind.
pub fn resolve(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        let Ok(target) = fs::read_link(&path) else { break };
        path = path.parent().map_or_else(|| target.clone(), |folder| folder.join(&target));
    }
    path
}

fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(unix)]
fn owners_only(options: &mut OpenOptions) -> &mut OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.mode(0o600)
}

#[cfg(not(unix))]
fn owners_only(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// For a file that was there already, left behind by a write that failed.
#[cfg(unix)]
fn close_to_others(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(fs::Permissions::from_mode(0o600))
}

#[cfg(not(unix))]
fn close_to_others(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_user_is_refused_and_told_who_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let first = KeptFile::take(&path).unwrap();
        first.replace(b"1").unwrap();
        let Err(LockError::InUse { holder, .. }) = KeptFile::take(&path) else {
            panic!("taken twice");
        };
        assert_eq!(holder, format!("process {}", std::process::id()));
        drop(first);
        assert_eq!(KeptFile::take(&path).unwrap().read().unwrap().unwrap(), b"1");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_its_target_is_replaced_and_locked() {
        let folder = tempfile::tempdir().unwrap();
        let (here, kept) = (folder.path().join("state"), folder.path().join("kept"));
        fs::create_dir(&kept).unwrap();
        // To a link, to nothing that exists yet.
        std::os::unix::fs::symlink("kept/other", &here).unwrap();
        std::os::unix::fs::symlink("state", kept.join("other")).unwrap();
        let file = KeptFile::take(&here).unwrap();
        assert_eq!(file.read().unwrap(), None);
        file.replace(b"new").unwrap();
        assert!(fs::symlink_metadata(&here).unwrap().is_symlink());
        assert_eq!(fs::read(kept.join("state")).unwrap(), b"new");
        assert!(matches!(KeptFile::take(&kept.join("state")), Err(LockError::InUse { .. })));
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(folder.path().join("state.new"), b"left behind").unwrap();
        KeptFile::take(&path).unwrap().replace(b"1").unwrap();
        for file in ["state", "state.lock"] {
            let mode = fs::metadata(folder.path().join(file)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{file}");
        }
    }
}
