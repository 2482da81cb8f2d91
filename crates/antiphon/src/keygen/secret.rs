//! `keygen identity`, `operator` and `conversation`.

use std::path::PathBuf;

use antiphon_process::entropy::entropy;
use antiphon_process::keyfile::{SecretKind, write_secret};
use antiphon_wire::IdentityKey;
use clap::Args;
use ed25519_dalek::SigningKey;
use rand::Rng as _;
use zeroize::Zeroizing;

use super::KeygenError;
use super::show::check_value;
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Example:
  antiphon keygen identity --out shard.key")]
pub(super) struct SecretArguments {
    /// The file to make; readable by its owner alone, never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Makes a secret file, and prints the public key where there is one.
pub(super) fn make(arguments: &SecretArguments, kind: SecretKind) -> Result<(), KeygenError> {
    // Wiped when dropped, whichever way this function returns.
    let mut secret = Zeroizing::new([0; 32]);
    entropy().fill_bytes(&mut secret[..]);
    write_secret(&arguments.out, kind, &secret)?;
    output::say(&format!("{} holds {}", arguments.out.display(), kind.words()));
    if kind == SecretKind::Conversation {
        // The two ends compare it aloud; it says nothing else about the secret.
        output::say(&format!("check value {}: the same at both ends", check_value(&secret)));
    } else {
        let public = IdentityKey::of(&SigningKey::from_bytes(&secret));
        output::print(&format!("{}\n", public.to_hex()))?;
    }
    Ok(())
}
