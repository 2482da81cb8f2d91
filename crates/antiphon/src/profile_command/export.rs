//! `profile export`.

use std::fs::{self, OpenOptions};
use std::io::BufWriter;
use std::path::PathBuf;

use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_process::kept_file::owners_only;
use antiphon_profile::Profile;
use clap::Args;

use super::ProfileCommandError;
use super::secret::SecretArguments;
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Each line of the file is a JSON object with a `type`: profile, keepsake, message, event, end. An export \
without `end` was cut short. Nothing in it is sealed: delete it when it has served.

Example:
  antiphon profile export ~/antiphon --out antiphon.jsonl")]
pub(super) struct ExportArguments {
    /// The profile's folder
    folder: PathBuf,
    /// The file to make; readable by its owner alone, never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Write identities, contacts and codes with their secrets
    #[arg(long)]
    with_secrets: bool,
    #[command(flatten)]
    secret: SecretArguments,
}

/// Exports a profile.
pub(super) fn run(arguments: &ExportArguments) -> Result<(), ProfileCommandError> {
    let unlock = arguments.secret.read("Passphrase: ")?;
    let now = SystemClock::now();
    let profile = Profile::open(&arguments.folder, &unlock, now, &mut entropy())?;
    let path = &arguments.out;
    let failed = |source| ProfileCommandError::Write { path: path.clone(), source };
    let mut options = OpenOptions::new();
    let file = owners_only(options.write(true).create_new(true)).open(path).map_err(failed)?;
    let exported = profile.store().export(now, arguments.with_secrets, &mut BufWriter::new(&file));
    if exported.is_err() {
        // A part of an export is worth nothing; the first error is the one to tell.
        let _ = fs::remove_file(path);
    }
    exported?;
    file.sync_all().map_err(failed)?;
    output::say(&format!(
        "{} holds everything in the clear: delete it when it has served",
        path.display()
    ));
    Ok(())
}
