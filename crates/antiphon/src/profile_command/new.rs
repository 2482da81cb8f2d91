//! `profile new`.

use std::path::PathBuf;

use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{KeyCost, Profile};
use clap::Args;

use super::ProfileCommandError;
use super::secret::SecretArguments;
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = "\
With --key-file, the file is made, and the profile opens with it rather than with a passphrase: keep it on \
another device.

Example:
  antiphon profile new ~/antiphon")]
pub(super) struct NewArguments {
    /// The folder to make
    folder: PathBuf,
    #[command(flatten)]
    secret: SecretArguments,
}

/// Makes a profile.
pub(super) fn run(arguments: &NewArguments) -> Result<(), ProfileCommandError> {
    let unlock = arguments.secret.draw()?;
    let (cost, now) = (KeyCost::default(), SystemClock::now());
    let profile = Profile::create(&arguments.folder, &unlock, cost, now, &mut entropy())?;
    output::say(&format!(
        "{} is a profile now. Without its passphrase or key file nobody can open it: back it up with \
         `antiphon profile backup`.",
        profile.folder().display()
    ));
    Ok(())
}
