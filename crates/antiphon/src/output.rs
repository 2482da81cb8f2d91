//! `--json`: results for programs.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process;
use std::str::FromStr;

use serde::Serialize;

use crate::exit::{Exit, Exits};

/// Where a command's JSON goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum JsonTarget {
    /// Standard output, in place of the text for people.
    Stdout,
    /// A file, which appears whole or not at all.
    File(PathBuf),
}

/// Reason why results cannot be handed over.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OutputError {
    /// The file cannot be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// Path of the output file.
        path: PathBuf,
        /// Error of the system.
        source: io::Error,
    },
    /// Nobody listens at standard output.
    #[error("cannot write to standard output: {0}")]
    Stdout(io::Error),
}

impl Exits for OutputError {
    fn exit(&self) -> Exit {
        Exit::Failed
    }
}

impl FromStr for JsonTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::Stdout } else { Self::File(text.into()) })
    }
}

impl JsonTarget {
    /// Finds out whether the target can be written before the work for it is done. Leaves what is there.
    pub(crate) fn check(&self) -> Result<(), OutputError> {
        let Self::File(path) = self else { return Ok(()) };
        let checked = if path.is_dir() {
            Err(io::Error::from(io::ErrorKind::IsADirectory))
        } else {
            beside(path).and_then(|beside| File::create(&beside).and(fs::remove_file(beside)))
        };
        checked.map_err(|source| OutputError::File { path: path.clone(), source })
    }

    /// Writes `value`, indented and with a line end.
    pub(crate) fn write(&self, value: &impl Serialize) -> Result<(), OutputError> {
        let text = serde_json::to_string_pretty(value).map(|text| text + "\n");
        match self {
            Self::Stdout => {
                let text = text.map_err(|error| OutputError::Stdout(error.into()))?;
                print(&text)
            }
            Self::File(path) => text
                .map_err(Into::into)
                .and_then(|text| replace(path, text.as_bytes()))
                .map_err(|source| OutputError::File { path: path.clone(), source }),
        }
    }
}

/// Prints `text` to standard output as it is.
pub(crate) fn print(text: &str) -> Result<(), OutputError> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(OutputError::Stdout)
}

/// Says something to the person at the terminal. A standard error that is closed or full ends nothing.
pub(crate) fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Puts `content` in the place of the file at `path` in one step.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let beside = beside(path)?;
    let written = File::create(&beside)
        .and_then(|mut file| file.write_all(content).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // The first error is the one worth telling.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// A file of this process next to the one at `path`.
fn beside(path: &Path) -> io::Result<PathBuf> {
    let name = path.file_name().ok_or_else(|| io::Error::other("it names no file"))?;
    let mut beside = name.to_owned();
    beside.push(format!(".{}.part", process::id()));
    Ok(path.with_file_name(beside))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.json");
        fs::write(&path, "something longer than what follows").unwrap();
        JsonTarget::File(path.clone()).write(&[1, 2]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "[\n  1,\n  2\n]\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_written_is_found_beforehand() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.json");
        fs::write(&path, "kept").unwrap();
        let check = |path: &Path| JsonTarget::File(path.to_owned()).check();
        check(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "kept");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        for bad in [directory.path(), &path.join("below"), Path::new(""), Path::new("..")] {
            assert!(check(bad).is_err(), "{}", bad.display());
        }
    }

    #[test]
    fn a_missing_directory_is_named() {
        let target: JsonTarget = "/nowhere/at/all.json".parse().unwrap();
        assert!(target.write(&1).unwrap_err().to_string().contains("/nowhere/at/all.json"));
    }
}
