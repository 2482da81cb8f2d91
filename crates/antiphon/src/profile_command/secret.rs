//! Passphrases and key files, from wherever they are given.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use antiphon_process::entropy::entropy;
use antiphon_process::keyfile::warn_if_open_to_others;
use antiphon_profile::Unlock;
use clap::Args;
use zeroize::Zeroizing;

use super::ProfileCommandError;

/// Characters of a new passphrase, at least.
const LEAST_CHARACTERS: usize = 8;
/// Most bytes of a passphrase that are read.
const MOST_BYTES: u64 = 4 << 10;

/// Place of the secret that opens a profile.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub(super) struct SecretArguments {
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
    pub(super) fn read(&self, prompt: &str) -> Result<Unlock, ProfileCommandError> {
        secret(self.passphrase_file.as_deref(), self.key_file.as_deref(), prompt)
    }

    /// A secret for something new: a key file is made, and a passphrase asked for twice.
    pub(super) fn draw(&self) -> Result<Unlock, ProfileCommandError> {
        if let Some(path) = &self.key_file {
            return Unlock::write_key_file(path, &mut entropy())
                .map_err(|source| ProfileCommandError::Write { path: path.clone(), source });
        }
        let passphrase = match &self.passphrase_file {
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
    let _quiet = Quiet::begin(prompt);
    // Not `Stdin`'s own buffer, which would keep the passphrase.
    line(File::from(stdin().map_err(ProfileCommandError::NoPassphrase)?).take(MOST_BYTES))
        .map_err(ProfileCommandError::NoPassphrase)
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

/// The first line, without its end.
fn line(input: impl io::Read) -> io::Result<Zeroizing<String>> {
    // In one piece: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MOST_BYTES as usize));
    // A byte at a time, so that a second line is left for who asks next.
    BufReader::with_capacity(1, input).read_line(&mut text)?;
    let length = text.trim_end_matches(['\r', '\n']).len();
    text.truncate(length);
    Ok(text)
}

/// A terminal that does not show what is typed, while this lives.
struct Quiet(bool);

impl Quiet {
    fn begin(prompt: &str) -> Self {
        if !io::stdin().is_terminal() {
            return Self(false);
        }
        let mut out = io::stderr();
        // A prompt that cannot be shown is no reason not to read.
        let _ = out.write_all(prompt.as_bytes()).and_then(|()| out.flush());
        Self(stty("-echo"))
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        if self.0 {
            stty("echo");
            let _ = io::stderr().write_all(b"\n");
        }
    }
}

/// Changes the terminal at standard input. Returns `false` where there is no `stty`: what is typed shows there.
fn stty(mode: &str) -> bool {
    let mut command = Command::new("stty");
    command.arg(mode).stdin(Stdio::inherit()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}
