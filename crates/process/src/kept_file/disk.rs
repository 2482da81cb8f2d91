//! The disk under a kept file, step by step, so that tests can fail at each.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// The links that a path may go through, as many as Linux follows.
const MOST_LINKS: usize = 40;

/// A place whose content is replaced as a whole: `create`, `sync`, `rename`, `sync_folder`.
pub trait Disk: Sized {
    /// New content that is not in place yet.
    type New;

    /// Path or name of the place, for messages.
    fn path(&self) -> &Path;
    /// The content, cut off after `limit` bytes; `None` if there is none.
    ///
    /// # Errors
    /// Those of the system.
    fn read(&self, limit: u64) -> io::Result<Option<Vec<u8>>>;
    /// Writes new content beside the old.
    ///
    /// # Errors
    /// Those of the system.
    fn create(&self, bytes: &[u8]) -> io::Result<Self::New>;
    /// Waits until the new content is on disk.
    ///
    /// # Errors
    /// Those of the system.
    fn sync(&self, new: &Self::New) -> io::Result<()>;
    /// Replaces the old content by the new.
    ///
    /// # Errors
    /// Those of the system.
    fn rename(&self, new: Self::New) -> io::Result<()>;
    /// Waits until that is on disk as well.
    ///
    /// # Errors
    /// Those of the system.
    fn sync_folder(&self) -> io::Result<()>;

    /// The place next to this one whose name ends in `suffix` as well.
    #[must_use]
    fn beside(&self, suffix: &str) -> Self;
    /// The suffixes, beginning with `start`, of the names of what there is next to this place.
    ///
    /// # Errors
    /// What the system says.
    fn suffixes(&self, start: &str) -> io::Result<Vec<String>>;
    /// Removes what is here, if there is something. A power cut may bring it back.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self) -> io::Result<()>;
}

/// A file in the file system.
#[derive(Debug)]
pub struct FileSystem(PathBuf);

impl FileSystem {
    /// The file that `path` leads to, perhaps over symbolic links, also if nothing is there yet. What
    /// replaces a file has to replace the one behind the link: it is there that the file is meant to be
    /// kept.
    ///
    /// # Errors
    /// If a link cannot be read, or there are too many.
    pub fn behind_links(path: &Path) -> io::Result<Self> {
        let mut path = path.to_owned();
        for _ in 0..MOST_LINKS {
            match std::fs::read_link(&path) {
                Ok(target) => path = path.parent().unwrap_or(Path::new("")).join(target),
                // No link, or nothing at all.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::InvalidInput | io::ErrorKind::NotFound
                    ) =>
                {
                    return Ok(Self(path));
                }
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("too many symbolic links"))
    }

    fn folder(&self) -> &Path {
        self.0.parent().filter(|path| *path != "").unwrap_or(Path::new("."))
    }
}

impl Disk for FileSystem {
    type New = File;

    fn path(&self) -> &Path {
        &self.0
    }

    fn read(&self, limit: u64) -> io::Result<Option<Vec<u8>>> {
        match File::open(&self.0) {
            Ok(file) => {
                let mut bytes = Vec::new();
                file.take(limit).read_to_end(&mut bytes)?;
                Ok(Some(bytes))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, bytes: &[u8]) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let options = owners_only(options.write(true).create(true).truncate(true));
        let mut file = options.open(beside(&self.0, ".new"))?;
        // The mode above holds for new files only.
        close_to_others(&file)?;
        file.write_all(bytes)?;
        Ok(file)
    }

    fn sync(&self, new: &File) -> io::Result<()> {
        new.sync_all()
    }

    fn rename(&self, new: File) -> io::Result<()> {
        // Closed first: not every system renames a file that is open.
        drop(new);
        std::fs::rename(beside(&self.0, ".new"), &self.0)
    }

    fn sync_folder(&self) -> io::Result<()> {
        #[cfg(unix)]
        File::open(self.folder())?.sync_all()?;
        Ok(())
    }

    fn beside(&self, suffix: &str) -> Self {
        Self(beside(&self.0, suffix))
    }

    fn suffixes(&self, start: &str) -> io::Result<Vec<String>> {
        // Names that are no text are of other files.
        let Some(own) = self.0.file_name().and_then(|name| name.to_str()) else {
            return Ok(Vec::new());
        };
        let mut suffixes = Vec::new();
        for entry in std::fs::read_dir(self.folder())? {
            let name = entry?.file_name();
            let suffix = name.to_str().and_then(|name| name.strip_prefix(own));
            suffixes.extend(suffix.filter(|suffix| suffix.starts_with(start)).map(str::to_owned));
        }
        Ok(suffixes)
    }

    fn remove(&self) -> io::Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// Sets the options so that a file that is made can be used by its owner alone: the memory of a process says
/// what its user does.
pub fn owners_only(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// Closes a file that was there already, left behind by a write that failed.
fn close_to_others(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

/// The file next to `file` whose name ends in `suffix` as well.
pub fn beside(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
