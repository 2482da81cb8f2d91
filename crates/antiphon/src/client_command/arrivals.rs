//! Files that the partner sends, on their way to the folder for them.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::file_name::{numbered, plain};

/// Files of one name in a folder at most.
const MAX_NUMBER: u32 = 9999;

/// Why a received file cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to {folder}: {source}")]
pub(crate) struct WriteError {
    folder: PathBuf,
    source: io::Error,
}

/// What a piece of a file led to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrived {
    /// More is to come.
    Part,
    /// The file is whole, and kept under this path.
    Whole { path: PathBuf, bytes: u64 },
    /// What came is not what was announced; nothing is kept.
    Broken(&'static str),
}

/// Puts files together. Without a folder it lets them pass.
pub(super) struct Arrivals {
    folder: Option<PathBuf>,
    file: Option<File>,
}

struct File {
    part: NamedTempFile,
    name: String,
    length: u64,
    written: u64,
    digest: [u8; 32],
    hasher: blake3::Hasher,
}

impl Arrivals {
    pub(super) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, file: None }
    }

    /// Whether files are kept.
    pub(super) fn are_kept(&self) -> bool {
        self.folder.is_some()
    }

    /// A file begins.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn start(
        &mut self,
        length: u64,
        digest: [u8; 32],
        name: &str,
    ) -> Result<Arrived, WriteError> {
        let Some(folder) = &self.folder else { return Ok(Arrived::Part) };
        // A partial file is removed with it.
        let interrupted = self.file.take().is_some();
        let part = tempfile::Builder::new()
            .prefix(".antiphon-")
            .suffix(".part")
            .tempfile_in(folder)
            .map_err(|source| WriteError { folder: folder.clone(), source })?;
        let hasher = blake3::Hasher::new();
        self.file = Some(File { part, name: plain(name), length, written: 0, digest, hasher });
        match self.more(&[])? {
            Arrived::Part if interrupted => Ok(Arrived::Broken("another file began within it")),
            arrived => Ok(arrived),
        }
    }

    /// The next bytes of a file.
    ///
    /// # Errors
    /// If they cannot be written.
    pub(super) fn more(&mut self, data: &[u8]) -> Result<Arrived, WriteError> {
        let Some(folder) = &self.folder else { return Ok(Arrived::Part) };
        let Some(file) = &mut self.file else {
            return Ok(Arrived::Broken("bytes of a file that did not begin"));
        };
        if data.len() as u64 > file.length - file.written {
            self.file = None;
            return Ok(Arrived::Broken("it is longer than announced"));
        }
        let failed = |source| WriteError { folder: folder.clone(), source };
        file.part.write_all(data).map_err(failed)?;
        file.hasher.update(data);
        file.written += data.len() as u64;
        match self.file.take_if(|file| file.written == file.length) {
            Some(file) => file.keep(folder).map_err(failed),
            None => Ok(Arrived::Part),
        }
    }
}

impl File {
    /// Gives the file its name, which nothing else in the folder has.
    fn keep(self, folder: &Path) -> io::Result<Arrived> {
        if *self.hasher.finalize().as_bytes() != self.digest {
            return Ok(Arrived::Broken("its content is not what was announced"));
        }
        self.part.as_file().sync_all()?;
        let mut part = self.part;
        for number in 0..=MAX_NUMBER {
            let path = folder.join(numbered(&self.name, number));
            match part.persist_noclobber(&path) {
                Ok(_) => return Ok(Arrived::Whole { path, bytes: self.length }),
                Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                    part = error.file;
                }
                Err(error) => return Err(error.error),
            }
        }
        Err(io::Error::other(format!("there are {MAX_NUMBER} files named {} already", self.name)))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn digest(content: &[u8]) -> [u8; 32] {
        *blake3::hash(content).as_bytes()
    }

    #[test]
    fn files_arrive_whole_and_never_in_place_of_others() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.txt"), "mine").unwrap();
        let mut arrivals = Arrivals::new(Some(folder.path().to_owned()));
        assert_eq!(arrivals.start(5, digest(b"hello"), "../a.txt").unwrap(), Arrived::Part);
        assert_eq!(arrivals.more(b"hel").unwrap(), Arrived::Part);
        let path = folder.path().join("a-1.txt");
        assert_eq!(arrivals.more(b"lo").unwrap(), Arrived::Whole { path: path.clone(), bytes: 5 });
        assert_eq!(fs::read(path).unwrap(), b"hello");
        assert_eq!(fs::read(folder.path().join("a.txt")).unwrap(), b"mine");
    }

    #[test]
    fn an_empty_file_is_whole_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut arrivals = Arrivals::new(Some(folder.path().to_owned()));
        let path = folder.path().join("nothing");
        let whole = Arrived::Whole { path, bytes: 0 };
        assert_eq!(arrivals.start(0, digest(b""), "nothing").unwrap(), whole);
    }

    #[test]
    fn nothing_is_left_of_a_file_that_is_not_what_was_announced() {
        let folder = tempfile::tempdir().unwrap();
        let mut arrivals = Arrivals::new(Some(folder.path().to_owned()));
        let broken = |arrived| matches!(arrived, Arrived::Broken(_));
        assert!(broken(arrivals.more(b"x").unwrap()));
        arrivals.start(3, digest(b"abc"), "a").unwrap();
        assert!(broken(arrivals.more(b"abcd").unwrap()));
        arrivals.start(3, digest(b"abc"), "a").unwrap();
        assert!(broken(arrivals.more(b"abd").unwrap()));
        arrivals.start(3, digest(b"abc"), "a").unwrap();
        assert!(broken(arrivals.start(3, digest(b"abc"), "a").unwrap()));
        drop(arrivals);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn without_a_folder_files_pass() {
        let mut arrivals = Arrivals::new(None);
        assert_eq!(arrivals.start(1, [0; 32], "a").unwrap(), Arrived::Part);
        assert_eq!(arrivals.more(b"too long").unwrap(), Arrived::Part);
    }
}
