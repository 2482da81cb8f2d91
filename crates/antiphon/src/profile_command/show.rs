//! `profile show`.

use std::fmt::Write as _;
use std::path::PathBuf;

use antiphon_process::clock::SystemClock;
use antiphon_process::entropy::entropy;
use antiphon_profile::{KeySource, Profile};
use clap::Args;
use serde::Serialize;

use super::ProfileCommandError;
use super::secret::SecretArguments;
use crate::cli::json::JsonArguments;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  antiphon profile show ~/antiphon --json")]
pub(super) struct ShowArguments {
    /// The profile's folder
    folder: PathBuf,
    #[command(flatten)]
    secret: SecretArguments,
    #[command(flatten)]
    json: JsonArguments,
}

/// What a profile holds, as JSON.
#[derive(Debug, Serialize)]
struct Shown {
    folder: String,
    /// `passphrase` or `key_file`.
    opens_with: &'static str,
    messages: usize,
    /// Messages that wait or are under way.
    open_messages: usize,
    events: usize,
    /// Contacts, codes, identities, settings.
    keepsakes: usize,
    records: usize,
    /// `true` once a client has used it.
    has_state: bool,
}

/// Shows what a profile holds.
pub(super) fn run(arguments: &ShowArguments) -> Result<(), ProfileCommandError> {
    arguments.json.check()?;
    let unlock = arguments.secret.read("Passphrase: ")?;
    let now = SystemClock::now();
    let profile = Profile::open(&arguments.folder, &unlock, now, &mut entropy())?;
    let counts = profile.store().counts();
    let shown = Shown {
        folder: arguments.folder.display().to_string(),
        opens_with: match profile.store().key_source() {
            KeySource::Passphrase(_) => "passphrase",
            KeySource::KeyFile => "key_file",
        },
        messages: counts.messages,
        open_messages: counts.open_messages,
        events: counts.events,
        keepsakes: counts.keepsakes,
        records: counts.records,
        has_state: profile.state_file().exists(),
    };
    Ok(arguments.json.deliver(&shown, &text(&shown, profile.store().key_source()))?)
}

fn text(shown: &Shown, source: KeySource) -> String {
    let mut text = format!("{}\n", shown.folder);
    let opens = match source {
        KeySource::Passphrase(cost) => format!(
            "a passphrase (argon2id, {} MiB, {} passes)",
            cost.memory_kib >> 10,
            cost.passes
        ),
        KeySource::KeyFile => "a key file".to_owned(),
    };
    let Shown { messages, open_messages, events, keepsakes, records, has_state, .. } = shown;
    let client = if *has_state { "a client has used it" } else { "no client has used it yet" };
    // Writing to a string does not fail.
    let _ = writeln!(text, "  opens with  {opens}");
    let _ =
        writeln!(text, "  messages    {messages}, of which {open_messages} wait or are under way");
    let _ = writeln!(text, "  events      {events}");
    let _ = writeln!(text, "  keepsakes   {keepsakes} (contacts, codes, identities, settings)");
    let _ = writeln!(text, "  records     {records} in all");
    let _ = writeln!(text, "  network     {client}");
    text
}
