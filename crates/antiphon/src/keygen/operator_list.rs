//! `keygen operator-list`.

use std::collections::BTreeSet;
use std::path::PathBuf;

use antiphon_process::keyfile::{read_signing_key, write_operator_list};
use antiphon_wire::{Epoch, IdentityKey, OperatorList, Signed};
use clap::Args;

use super::{KeygenError, network, show};
use crate::cli::values;
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = "\
Every list of an operator has a higher number than the one before it, and covers other epochs: \
shards refuse a second list for an epoch. More than half of a list's shards have to take part in an \
epoch, or the operator counts as absent.

Example:
  antiphon keygen operator-list --operator-key alpha.key --network network.toml --number 1 \\
      --first-epoch 1 --last-epoch 9000 --shard PUBKEY --shard PUBKEY --out alpha.list")]
pub(super) struct OperatorListArguments {
    /// The operator's secret key, as `antiphon keygen operator` makes it
    #[arg(long, value_name = "FILE")]
    operator_key: PathBuf,
    /// The network file that names the operator
    #[arg(long, value_name = "FILE")]
    network: PathBuf,
    /// The list's number: one more than that of the operator's last list
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    number: u32,
    /// The first epoch that the list holds for
    #[arg(long, value_name = "EPOCH")]
    first_epoch: u64,
    /// The last epoch that the list holds for
    #[arg(long, value_name = "EPOCH")]
    last_epoch: u64,
    /// The public key of a shard; once for each shard of the operator
    #[arg(
        long = "shard",
        value_name = "PUBKEY",
        required = true,
        value_parser = values::public_key
    )]
    shards: Vec<IdentityKey>,
    /// The file to make; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Signs a list and writes it.
pub(super) fn make(arguments: &OperatorListArguments) -> Result<(), KeygenError> {
    if arguments.last_epoch < arguments.first_epoch {
        let (first, last) = (arguments.first_epoch, arguments.last_epoch);
        return Err(KeygenError::Epochs { first, last });
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = arguments.shards.iter().find(|shard| !seen.insert(**shard)) {
        return Err(KeygenError::ShardTwice(twice.to_hex()));
    }
    let network = network::read(&arguments.network)?;
    let key = read_signing_key(&arguments.operator_key)?;
    let public = IdentityKey::of(&key);
    let operator = network.index_of(&public).ok_or_else(|| KeygenError::NoSuchOperator {
        key: public,
        network: arguments.network.clone(),
    })?;
    let list = OperatorList {
        network: network.id(),
        operator,
        number: arguments.number,
        first_epoch: Epoch(arguments.first_epoch),
        last_epoch: Epoch(arguments.last_epoch),
        shards: arguments.shards.clone(),
    };
    let words = show::list_in_words(&list, network.operator(operator));
    write_operator_list(&arguments.out, &Signed::new(list, &key), &words)?;
    output::say(&format!("{} holds an operator's signed list", arguments.out.display()));
    Ok(())
}
