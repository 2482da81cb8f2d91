//! `antiphon profile`: what a user keeps on a device, and backups of it.

mod backup;
mod change;
mod export;
mod new;
mod restore;
pub(crate) mod secret;
mod show;

use std::io;
use std::path::PathBuf;

use antiphon_process::keyfile::KeyFileError;
use antiphon_profile::{
    BackUpError, BackupError, ExportError, ProfileError, RestoreError, StoreError,
};
use clap::{Args, Subcommand};

use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::OutputError;

use backup::BackupArguments;
use change::ChangeArguments;
use export::ExportArguments;
use new::NewArguments;
use restore::RestoreArguments;
use show::ShowArguments;

/// Make, show, export, back up and restore a profile: what a user keeps on this device
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Make, show, export, back up and restore a profile: the folder in which a user's messages, events, contacts and \
keys are kept on this device, sealed with a passphrase or a key file.

  antiphon profile new ~/antiphon
  antiphon profile show ~/antiphon
  antiphon profile backup ~/antiphon --out antiphon.backup --with-messages
  antiphon profile restore antiphon.backup ~/antiphon-again

A passphrase is asked for at the terminal, or read from the first line of standard input if that is none; \
--passphrase-file and --key-file say where else it is. Without the passphrase or the key file, nobody can \
open the profile: there is no other way in, so make a backup with a passphrase that you will know."
)]
pub(crate) struct ProfileArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make a profile in a new folder
    New(NewArguments),
    /// Say what a profile holds, never showing any of it
    Show(ShowArguments),
    /// Write everything as JSON lines, readable by anybody who gets the file
    Export(ExportArguments),
    /// Write a backup: one sealed file, from which a new profile can be made
    Backup(BackupArguments),
    /// Have a profile open with another passphrase or key file
    Change(ChangeArguments),
    /// Make a new profile from a backup
    Restore(RestoreArguments),
}

/// Reason why a command about a profile fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProfileCommandError {
    #[error(transparent)]
    Profile(#[from] ProfileError),
    #[error(transparent)]
    Export(#[from] ExportError),
    #[error(transparent)]
    BackUp(#[from] BackUpError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    #[error(
        "a passphrase has at least {least} characters: take five words or more that nobody would guess"
    )]
    ShortPassphrase { least: usize },
    #[error("the two passphrases differ: try again")]
    Differ,
    #[error("interrupted before the passphrase was read: nothing has been done")]
    Interrupted,
    #[error("cannot read the passphrase: {0}")]
    NoPassphrase(io::Error),
    #[error("cannot write {path}: {source} (its folder has to exist, and no file is overwritten)")]
    Write { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl From<RestoreError> for ProfileCommandError {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Backup(error) => error.into(),
            RestoreError::Profile(error) => error.into(),
        }
    }
}

impl Exits for ProfileCommandError {
    fn exit(&self) -> Exit {
        use StoreError::{OtherSource, WrongKey};
        match self {
            Self::Profile(ProfileError::Store { source: WrongKey(_) | OtherSource(_), .. })
            | Self::Profile(
                ProfileError::Missing(_) | ProfileError::NoProfile(_) | ProfileError::NotEmpty(_),
            )
            | Self::Backup(BackupError::WrongKey(_) | BackupError::OtherSource(_))
            | Self::KeyFile(_)
            | Self::ShortPassphrase { .. }
            | Self::Differ
            | Self::NoPassphrase(_) => Exit::Usage,
            Self::Interrupted => Exit::Interrupted,
            _ => Exit::Failed,
        }
    }
}

/// Does what is asked for with a profile.
pub(crate) fn run(arguments: &ProfileArguments) -> Result<(), ProfileCommandError> {
    match &arguments.action {
        Action::New(arguments) => new::run(arguments),
        Action::Show(arguments) => show::run(arguments),
        Action::Export(arguments) => export::run(arguments),
        Action::Backup(arguments) => backup::run(arguments),
        Action::Change(arguments) => change::run(arguments),
        Action::Restore(arguments) => restore::run(arguments),
    }
}
