//! Passphrases and key files, from wherever they are given.

use std::fs::File;
use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};

use antiphon_process::entropy::entropy;
use antiphon_process::keyfile::warn_if_open_to_others;
use antiphon_profile::Unlock;
use clap::Args;
use zeroize::Zeroizing;

use super::ProfileCommandError;

/// Characters of a new passphrase, at least.
const LEAST_CHARACTERS: usize = 8;
/// Byte that this key sends.
const CTRL_C: u8 = 3;
/// Most bytes of a passphrase that are read.
const MOST_BYTES: u64 = 4 << 10;

/// Place of the secret that opens a profile.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(crate) struct SecretArguments {
    /// Read the passphrase from this file's first line, rather than ask for it
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The key file that opens the profile in place of a passphrase
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl SecretArguments {
    /// `true` if the command line says where the secret is.
    pub(super) fn are_given(&self) -> bool {
        self.passphrase_file.is_some() || self.key_file.is_some()
    }

    /// The secret of something that there is.
    pub(crate) fn read(&self, prompt: &str) -> Result<Unlock, ProfileCommandError> {
        secret(self.passphrase_file.as_deref(), self.key_file.as_deref(), prompt)
    }

    /// A secret for something new: a key file is made, and a passphrase asked for twice.
    pub(crate) fn draw(&self) -> Result<Unlock, ProfileCommandError> {
        new_secret(self.passphrase_file.as_deref(), self.key_file.as_deref())
    }
}

/// A secret for something new, from a passphrase file, as a key file that is made, or asked for twice.
pub(super) fn new_secret(
    passphrase_file: Option<&Path>,
    key_file: Option<&Path>,
) -> Result<Unlock, ProfileCommandError> {
    if let Some(path) = key_file {
        return Unlock::write_key_file(path, &mut entropy())
            .map_err(|source| ProfileCommandError::Write { path: path.to_owned(), source });
    }
    let passphrase = match passphrase_file {
        Some(path) => read_line(path)?,
        None => {
            let first = ask("New passphrase: ")?;
            if io::stdin().is_terminal() && *first != *ask("Once more: ")? {
                return Err(ProfileCommandError::Differ);
            }
            first
        }
    };
    if passphrase.chars().count() < LEAST_CHARACTERS {
        return Err(ProfileCommandError::ShortPassphrase { least: LEAST_CHARACTERS });
    }
    Ok(Unlock::Passphrase(passphrase))
}

/// The secret that these files hold, or that is asked for.
pub(super) fn secret(
    passphrase_file: Option<&Path>,
    key_file: Option<&Path>,
    prompt: &str,
) -> Result<Unlock, ProfileCommandError> {
    Ok(match (passphrase_file, key_file) {
        (_, Some(path)) => Unlock::read_key_file(path)?,
        (Some(path), None) => Unlock::Passphrase(read_line(path)?),
        (None, None) => Unlock::Passphrase(ask(prompt)?),
    })
}

fn read_line(path: &Path) -> Result<Zeroizing<String>, ProfileCommandError> {
    let file = File::open(path).map_err(ProfileCommandError::NoPassphrase)?;
    warn_if_open_to_others(path);
    line(file.take(MOST_BYTES)).map_err(ProfileCommandError::NoPassphrase)
}

/// Asks at the terminal, where nothing of the answer shows; or reads a line of standard input.
fn ask(prompt: &str) -> Result<Zeroizing<String>, ProfileCommandError> {
    let quiet = Quiet::begin(prompt);
    // Not `Stdin`'s own buffer, which would keep the passphrase.
    let answer = stdin().and_then(|stdin| line(File::from(stdin).take(MOST_BYTES)));
    // As it was before, whatever was typed.
    drop(quiet);
    answer.map_err(|error| match error.kind() {
        io::ErrorKind::Interrupted => ProfileCommandError::Interrupted,
        _ => ProfileCommandError::NoPassphrase(error),
    })
}

#[cfg(unix)]
fn stdin() -> io::Result<std::os::fd::OwnedFd> {
    use std::os::fd::AsFd as _;
    io::stdin().as_fd().try_clone_to_owned()
}

#[cfg(windows)]
fn stdin() -> io::Result<std::os::windows::io::OwnedHandle> {
    use std::os::windows::io::AsHandle as _;
    io::stdin().as_handle().try_clone_to_owned()
}

/// The first line, without its end. `Interrupted` if it ends with Ctrl-C.
fn line(mut input: impl io::Read) -> io::Result<Zeroizing<String>> {
    // In one piece: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MOST_BYTES as usize));
    let mut byte = [0];
    // A byte at a time, so that a second line is left for who asks next.
    while input.read(&mut byte)? == 1 && byte[0] != b'\n' {
        if byte[0] == CTRL_C {
            return Err(io::ErrorKind::Interrupted.into());
        }
        text.push(byte[0]);
    }
    let text = str::from_utf8(text.strip_suffix(b"\r").unwrap_or(&text));
    text.map(|text| Zeroizing::new(text.to_owned())).map_err(io::Error::other)
}

/// A terminal that does not show what is typed, while this lives. Ctrl-C ends the line rather than the process, which would
/// leave the terminal like this.
struct Quiet {
    #[cfg(unix)]
    before: Option<rustix::termios::Termios>,
}

#[cfg(unix)]
impl Quiet {
    fn begin(prompt: &str) -> Self {
        use rustix::termios::{
            LocalModes, OptionalActions, SpecialCodeIndex, tcgetattr, tcsetattr,
        };

        let stdin = io::stdin();
        // No terminal, or one that the system does not let be changed.
        let Ok(before) = tcgetattr(&stdin) else { return Self { before: None } };
        show(prompt);
        let mut quiet = before.clone();
        quiet.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        quiet.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        let changed = tcsetattr(&stdin, OptionalActions::Now, &quiet);
        Self { before: changed.is_ok().then_some(before) }
    }
}

#[cfg(unix)]
impl Drop for Quiet {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            // A terminal that is gone needs nothing.
            let _ = rustix::termios::tcsetattr(
                io::stdin(),
                rustix::termios::OptionalActions::Now,
                &before,
            );
            show("\n");
        }
    }
}

#[cfg(not(unix))]
impl Quiet {
    fn begin(prompt: &str) -> Self {
        if io::stdin().is_terminal() {
            show(prompt);
        }
        Self {}
    }
}

/// Shows something at the terminal. That it cannot be shown is no reason not to read.
fn show(text: &str) {
    let mut out = io::stderr();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_stands_before_its_end_and_ctrl_c_is_none() {
        let read = |text: &str| line(text.as_bytes()).map(|line| line.to_string());
        assert_eq!(read("correct horse\nbattery\n").unwrap(), "correct horse");
        assert_eq!(read("correct horse\r\n").unwrap(), "correct horse");
        assert_eq!(read("correct horse ").unwrap(), "correct horse ");
        assert_eq!(read("").unwrap(), "");
        assert_eq!(read("corr\u{3}").unwrap_err().kind(), io::ErrorKind::Interrupted);
    }
}
