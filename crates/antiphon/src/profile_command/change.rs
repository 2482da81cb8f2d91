//! `profile change`.

use std::path::PathBuf;

use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{KeyCost, Profile, ProfileError};
use clap::Args;

use super::ProfileCommandError;
use super::secret::{SecretArguments, new_secret};
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = "\
The former passphrase or key file opens nothing in the folder from then on. It still opens backups and copies of the \
folder that were made with it. With --new-key-file, the file is made, and the profile opens with it.

Example:
  antiphon profile change ~/antiphon")]
pub(super) struct ChangeArguments {
    /// The profile's folder
    folder: PathBuf,
    #[command(flatten)]
    secret: SecretArguments,
    /// Read the new passphrase from this file's first line
    #[arg(long, value_name = "FILE", conflicts_with = "new_key_file")]
    new_passphrase_file: Option<PathBuf>,
    /// Have the profile open with a new key file in place of a passphrase
    #[arg(long, value_name = "FILE")]
    new_key_file: Option<PathBuf>,
}

/// Changes what opens a profile.
pub(super) fn run(arguments: &ChangeArguments) -> Result<(), ProfileCommandError> {
    let unlock = arguments.secret.read("Passphrase: ")?;
    let (folder, now) = (&arguments.folder, SystemClock::now());
    let mut profile = Profile::open(folder, &unlock, now, &mut entropy())?;
    let (file, key) = (&arguments.new_passphrase_file, &arguments.new_key_file);
    let unlock = new_secret(file.as_deref(), key.as_deref())?;
    let failed = |source| ProfileError::Store { folder: folder.clone(), source };
    profile.store_mut().change_key(&unlock, KeyCost::default(), &mut entropy()).map_err(failed)?;
    let words = "the former passphrase or key file opens it no longer";
    output::say(&format!("{} opens with the new one: {words}", folder.display()));
    Ok(())
}
