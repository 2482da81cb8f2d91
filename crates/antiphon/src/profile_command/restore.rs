//! `profile restore`.

use std::io;
use std::path::PathBuf;

use antiphon_client::{FileWitness, Record, StateKey, StateWitness as _, Witnessed};
use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{Backup, KeyCost, Profile, moment};
use clap::Args;
use rand::Rng as _;

use super::ProfileCommandError;
use super::backup::Summary;
use super::secret::{SecretArguments, secret};
use crate::cli::json::JsonArguments;

#[derive(Debug, Args)]
#[command(after_long_help = "\
The backup is read to its end before anything is made. The new profile opens with the backup's passphrase or key \
file unless another is given. Its client takes part from the next epoch on, and its ledger starts used up: \
nobody knows what was charged since the backup.

Example:
  antiphon profile restore antiphon.backup ~/antiphon-again")]
pub(super) struct RestoreArguments {
    /// The backup
    backup: PathBuf,
    /// The folder to make
    folder: PathBuf,
    /// Read the backup's passphrase from this file's first line
    #[arg(long, value_name = "FILE", conflicts_with = "backup_key_file")]
    backup_passphrase_file: Option<PathBuf>,
    /// The key file that the backup opens with
    #[arg(long, value_name = "FILE")]
    backup_key_file: Option<PathBuf>,
    #[command(flatten)]
    secret: SecretArguments,
    #[command(flatten)]
    json: JsonArguments,
}

/// Makes a profile of a backup.
pub(super) fn run(arguments: &RestoreArguments) -> Result<(), ProfileCommandError> {
    arguments.json.check()?;
    let (file, key) = (&arguments.backup_passphrase_file, &arguments.backup_key_file);
    let opens = secret(file.as_deref(), key.as_deref(), "Passphrase of the backup: ")?;
    let backup = Backup::open(&arguments.backup, &opens)?;
    let unlock = if arguments.secret.are_given() { arguments.secret.draw()? } else { opens };
    let (cost, now) = (KeyCost::default(), SystemClock::now());
    let restored =
        backup.restore(&arguments.folder, &unlock, cost, now, &mut entropy(), mark_restored)?;
    let (profile, summary) = restored;
    let text = format!(
        "{} is a profile now, with {} keepsakes and {} messages of {}. Its client takes part from the next \
         epoch on, and its ledger starts used up\n",
        profile.folder().display(),
        summary.keepsakes,
        summary.messages,
        moment(summary.made_at)
    );
    Ok(arguments.json.deliver(&Summary::of(&summary), &text)?)
}

/// Leaves a witness of a state that is not there, so that the client counts as restored.
fn mark_restored(profile: &mut Profile) -> io::Result<()> {
    let mut instance = [0; 16];
    entropy().fill_bytes(&mut instance);
    let newest = Record { instance, number: 1 };
    // Of no content: nothing is ever sealed with them.
    let [key, next] = [draw_key(), draw_key()];
    let device = profile.store_mut().device_key(&mut entropy()).map_err(io::Error::other)?;
    let witness = FileWitness::open_sealed(&profile.witness_file(), &device)?;
    witness.keep(&Witnessed { newest, key, next })
}

fn draw_key() -> StateKey {
    let mut key = StateKey([0; 32]);
    entropy().fill_bytes(&mut key.0);
    key
}
