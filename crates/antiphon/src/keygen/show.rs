//! The command `keygen show`.

use std::path::{Path, PathBuf};

use antiphon_process::keyfile::{self, SecretKind};
use antiphon_wire::{IdentityKey, NetworkFile, Operator, OperatorList, Signed};
use clap::Args;
use ed25519_dalek::SigningKey;

use super::{KeygenError, ListProblem};
use crate::cli::network_file;
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  antiphon keygen show shard.key
  antiphon keygen show network.toml
  antiphon keygen show alpha.list --network network.toml
      checks the signature too, and fails if it is not the operator's")]
pub(super) struct ShowArguments {
    /// A secret, an operator's list or a network file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Check an operator's list against this network file
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
}

/// Prints what the file holds.
pub(super) fn show(arguments: &ShowArguments) -> Result<(), KeygenError> {
    let path = &arguments.file;
    // Once: a pipe cannot be read again for the next guess at its kind.
    let content = keyfile::read_once(path)?;
    let lines = if let Some((kind, secret)) = keyfile::secret_in(&content) {
        keyfile::warn_if_open_to_others(path);
        secret_in_words(kind, &secret)
    } else if let Some(list) = keyfile::operator_list_in(&content) {
        checked_list(path, &list, arguments.network.as_deref())?
    } else {
        network_in_words(&whole_network(path, &content)?)
    };
    output::print(&(lines.join("\n") + "\n"))?;
    Ok(())
}

fn whole_network(path: &Path, content: &[u8]) -> Result<NetworkFile, KeygenError> {
    let unknown = || KeygenError::Unknown(path.to_owned());
    let text = str::from_utf8(content).map_err(|_| unknown())?;
    let toml = path.extension().is_some_and(|extension| extension == "toml");
    network_file::parse(path, text).map_err(|error| if toml { error.into() } else { unknown() })
}

fn secret_in_words(kind: Option<SecretKind>, secret: &[u8; 32]) -> Vec<String> {
    let public = IdentityKey::of(&SigningKey::from_bytes(secret)).to_hex();
    match kind {
        Some(SecretKind::Conversation) => vec![
            "a conversation secret: 32 bytes, shared by its two ends".to_owned(),
            format!("check value {}: the same at both ends", check_value(secret)),
        ],
        Some(kind) => vec![kind.words().to_owned(), format!("public key {public}")],
        None => vec![
            "a secret of 32 bytes that does not say what it is for".to_owned(),
            format!("public key, if it is a signing key: {public}"),
        ],
    }
}

/// Sixteen digits by which the two ends of a conversation see that they have the same secret. They say
/// nothing else about it.
pub(super) fn check_value(secret: &[u8; 32]) -> String {
    let value = blake3::derive_key("antiphon conversation secret's check value", secret);
    let groups: Vec<_> = value[..8].chunks(2).map(hex::encode).collect();
    groups.join("-")
}

fn checked_list(
    path: &Path,
    list: &Signed<OperatorList>,
    network_path: Option<&Path>,
) -> Result<Vec<String>, KeygenError> {
    let claimed = list.claimed();
    // Words of an unchecked list are shown, marked as such.
    let Some(network_path) = network_path else {
        let mut lines = list_in_words(claimed, None);
        lines.push("signature not checked: give --network FILE".to_owned());
        return Ok(lines);
    };
    let network = network_file::read(network_path)?;
    let invalid = |problem| KeygenError::ListInvalid {
        path: path.to_owned(),
        network: network_path.to_owned(),
        problem,
    };
    if claimed.network != network.id() {
        return Err(invalid(ListProblem::OtherNetwork));
    }
    let operator =
        network.operator(claimed.operator).ok_or_else(|| invalid(ListProblem::NoSuchOperator))?;
    let verified = list.verify(&operator.key).map_err(|error| invalid(error.into()))?;
    let mut lines = list_in_words(verified, Some(operator));
    lines.push("signature valid".to_owned());
    Ok(lines)
}

/// A list, line by line.
pub(super) fn list_in_words(list: &OperatorList, operator: Option<&Operator>) -> Vec<String> {
    let name = operator.map_or_else(String::new, |operator| format!(" ({})", operator.name));
    let mut lines = vec![
        format!("list number {} of operator {}{name}", list.number, list.operator),
        format!("network {}", list.network.in_groups()),
        format!("epochs {} to {}", list.first_epoch, list.last_epoch),
        match list.shards.len() {
            0 => "no shards: it ends the list before it, and another one follows".to_owned(),
            shards => format!("{shards} shards"),
        },
    ];
    lines.extend(list.shards.iter().map(|shard| format!("  {}", shard.to_hex())));
    lines
}

fn network_in_words(network: &NetworkFile) -> Vec<String> {
    let policy = &network.policy;
    let mut lines = vec![
        format!("network {}", network.id().in_groups()),
        format!(
            "policy: malicious weight up to {}, epsilon {} at delta {:e} over {} disturbed rounds",
            f64::from(policy.malicious_ppm) / 1e6,
            policy.epsilon,
            policy.delta,
            policy.disturbed_rounds
        ),
        format!(
            "policy: delta {:e} at most with mixing and all else, over {} days; {} attempts",
            policy.total_delta, policy.total_over_days, policy.attempts
        ),
        format!(
            "policy: onions of suite {}, at least {} mixing hops, at most {} pairs of onions a client",
            policy.suite, policy.least_mixing_hops, policy.most_pairs
        ),
        match policy.canaries {
            0 => "policy: no canaries: nobody looks who garbles cells".to_owned(),
            canaries => format!("policy: {canaries} canaries of each shard in a round with beats"),
        },
        format!(
            "policy: at most {} early rounds an hour and {} a day",
            policy.early_rounds_an_hour, policy.early_rounds_a_day
        ),
        format!(
            "policy: at least {} ms between rounds, at most {} s an epoch and {} ms a deadline",
            policy.least_round_interval_ms, policy.longest_epoch_s, policy.longest_deadline_ms
        ),
    ];
    lines.extend(network.trust_in_words());
    let (operators, weight) = (network.operators.len(), network.total_weight());
    lines.push(format!("{operators} operators of total weight {weight}"));
    lines.extend(network.operators.iter().map(|operator| {
        format!("  {}  weight {}  {}", operator.key.to_hex(), operator.weight, operator.name)
    }));
    lines
}
