//! `profile backup`.

use std::fs::{self, OpenOptions};
use std::io::BufWriter;
use std::path::PathBuf;

use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_process::kept_file::owners_only;
use antiphon_profile::{BackupSummary, KeyCost, Profile, moment};
use clap::Args;
use serde::Serialize;

use super::ProfileCommandError;
use super::secret::{SecretArguments, secret};
use crate::cli::json::JsonArguments;

#[derive(Debug, Args)]
#[command(after_long_help = "\
A backup holds identities, contacts, codes, settings and, with --with-messages, the messages. It never holds the \
state of a session nor the ledger: whoever went on with old ones would use keys and rounds twice. It opens with \
the profile's own passphrase or key file unless another is given.

Example:
  antiphon profile backup ~/antiphon --out antiphon.backup --with-messages")]
pub(super) struct BackupArguments {
    /// The profile's folder
    folder: PathBuf,
    /// The file to make; readable by its owner alone, never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Put the messages into it as well
    #[arg(long)]
    with_messages: bool,
    #[command(flatten)]
    secret: SecretArguments,
    /// Read the backup's own passphrase from this file's first line
    #[arg(long, value_name = "FILE", conflicts_with = "backup_key_file")]
    backup_passphrase_file: Option<PathBuf>,
    /// Seal the backup with this key file
    #[arg(long, value_name = "FILE")]
    backup_key_file: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArguments,
}

/// What a backup holds, as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Summary {
    made_at_ms: u64,
    keepsakes: usize,
    messages: usize,
}

impl Summary {
    pub(super) fn of(summary: &BackupSummary) -> Self {
        let BackupSummary { made_at, keepsakes, messages } = *summary;
        Self { made_at_ms: made_at.0, keepsakes, messages }
    }
}

/// Backs a profile up.
pub(super) fn run(arguments: &BackupArguments) -> Result<(), ProfileCommandError> {
    arguments.json.check()?;
    let unlock = arguments.secret.read("Passphrase: ")?;
    let now = SystemClock::now();
    let profile = Profile::open(&arguments.folder, &unlock, now, &mut entropy())?;
    let (file, key) = (&arguments.backup_passphrase_file, &arguments.backup_key_file);
    let unlock = match (file, key) {
        (None, None) => unlock,
        _ => secret(file.as_deref(), key.as_deref(), "Passphrase of the backup: ")?,
    };
    let path = &arguments.out;
    let failed = |source| ProfileCommandError::Write { path: path.clone(), source };
    let mut options = OpenOptions::new();
    let file = owners_only(options.write(true).create_new(true)).open(path).map_err(failed)?;
    let (cost, out) = (KeyCost::default(), &mut BufWriter::new(&file));
    let store = profile.store();
    let made = store.back_up(now, &unlock, cost, arguments.with_messages, out, &mut entropy());
    if made.is_err() {
        // A part of a backup is worth nothing; the first error is the one to tell.
        let _ = fs::remove_file(path);
    }
    let summary = made?;
    file.sync_all().map_err(failed)?;
    let text = format!(
        "{} holds {} keepsakes and {} messages of {}\n",
        path.display(),
        summary.keepsakes,
        summary.messages,
        moment(summary.made_at)
    );
    Ok(arguments.json.deliver(&Summary::of(&summary), &text)?)
}
