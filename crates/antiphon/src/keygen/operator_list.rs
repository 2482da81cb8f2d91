//! The command `keygen operator-list`.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use antiphon_process::keyfile::{read_operator_list, read_signing_key, write_operator_list};
use antiphon_wire::{Epoch, IdentityKey, NetworkFile, OperatorIndex, OperatorList, Signed};
use clap::Args;
use ed25519_dalek::SigningKey;

use super::{KeygenError, ListProblem, show};
use crate::cli::{network_file, values};
use crate::output;

#[derive(Debug, Args)]
#[command(after_long_help = "\
The first list of an operator has number 1. A later one is made from the one before it, with --after, and begins \
with an epoch for which no document is signed yet: the epoch after the newest one that shards know. It may \
overlap the one before; the newer one counts. More than half of a list's shards have to take part in an \
epoch, or the operator counts as absent.

Where shards are added or removed, two files are made. The one that ends in `.end` ends the list before: it \
takes the place of the list at the shards of that list, and when more than half of them have said \
that they took it, the other one takes its place at all shards that are on it. Shards that run read a new file within \
ten seconds. In this order no two documents can be signed for one epoch.

Examples:
  antiphon keygen operator-list --operator-key alpha.key --network network.toml --number 1 \\
      --first-epoch 1 --last-epoch 9000 --shard PUBKEY --shard PUBKEY --out alpha.list
  antiphon keygen operator-list --operator-key alpha.key --network network.toml --after alpha.list \\
      --add PUBKEY --remove PUBKEY --first-epoch 813 --out alpha-2.list")]
pub(super) struct OperatorListArguments {
    /// The operator's secret key, as `antiphon keygen operator` makes it
    #[arg(long, value_name = "FILE")]
    operator_key: PathBuf,
    /// The network file that names the operator
    #[arg(long, value_name = "FILE")]
    network: PathBuf,
    /// The list that the new one comes after: its shards and its last epoch are kept unless others are given
    #[arg(long, value_name = "FILE", conflicts_with_all = ["number", "shards"])]
    after: Option<PathBuf>,
    /// The list's number: 1 for an operator's first list
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        required_unless_present = "after"
    )]
    number: Option<u32>,
    /// The first epoch that the list holds for
    #[arg(long, value_name = "EPOCH")]
    first_epoch: u64,
    /// The last epoch that the list holds for
    #[arg(long, value_name = "EPOCH", required_unless_present = "after")]
    last_epoch: Option<u64>,
    /// The public key of a shard; once for each shard of the operator
    #[arg(
        long = "shard",
        value_name = "PUBKEY",
        required_unless_present = "after",
        value_parser = values::public_key
    )]
    shards: Vec<IdentityKey>,
    /// The public key of a shard that the list before does not have; may be given several times
    #[arg(long, value_name = "PUBKEY", requires = "after", value_parser = values::public_key)]
    add: Vec<IdentityKey>,
    /// The public key of a shard that the list is to have no more; may be given several times
    #[arg(long, value_name = "PUBKEY", requires = "after", value_parser = values::public_key)]
    remove: Vec<IdentityKey>,
    /// The file to make; never overwritten
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
}

/// Signs a list, and what ends the one before it, and writes them.
pub(super) fn make(arguments: &OperatorListArguments) -> Result<(), KeygenError> {
    let network = network_file::read(&arguments.network)?;
    let key = read_signing_key(&arguments.operator_key)?;
    let public = IdentityKey::of(&key);
    // A list of someone who is not in the network would be worth nothing to anyone.
    let operator = network.index_of(&public).ok_or_else(|| KeygenError::NoSuchOperator {
        key: public,
        network: arguments.network.clone(),
    })?;
    let signer = Signer { network: &network, key: &key };
    match &arguments.after {
        None => signer.first(arguments, operator),
        Some(path) => {
            let before = signer.before(path, arguments, operator)?;
            signer.next(arguments, &before)
        }
    }
}

struct Signer<'a> {
    network: &'a NetworkFile,
    key: &'a SigningKey,
}

impl Signer<'_> {
    fn first(
        &self,
        arguments: &OperatorListArguments,
        operator: OperatorIndex,
    ) -> Result<(), KeygenError> {
        let mut seen = BTreeSet::new();
        if let Some(twice) = arguments.shards.iter().find(|shard| !seen.insert(**shard)) {
            return Err(KeygenError::ShardTwice(twice.to_hex()));
        }
        let first_epoch = Epoch(arguments.first_epoch);
        let list = OperatorList {
            network: self.network.id(),
            operator,
            number: arguments.number.unwrap_or(1),
            first_epoch,
            last_epoch: arguments.last_epoch.map_or(first_epoch, Epoch),
            shards: arguments.shards.clone(),
        };
        self.write(list, &arguments.out)?;
        output::say(&format!("{} holds an operator's signed list", arguments.out.display()));
        Ok(())
    }

    fn before(
        &self,
        path: &Path,
        arguments: &OperatorListArguments,
        operator: OperatorIndex,
    ) -> Result<OperatorList, KeygenError> {
        let invalid = |problem| KeygenError::ListInvalid {
            path: path.to_owned(),
            network: arguments.network.clone(),
            problem,
        };
        let list = read_operator_list(path)?;
        let claimed = list.claimed();
        if claimed.network != self.network.id() {
            return Err(invalid(ListProblem::OtherNetwork));
        }
        if claimed.operator != operator {
            return Err(invalid(ListProblem::OtherOperator));
        }
        list.verify(&IdentityKey::of(self.key)).map_err(|error| invalid(error.into())).cloned()
    }

    fn next(
        &self,
        arguments: &OperatorListArguments,
        before: &OperatorList,
    ) -> Result<(), KeygenError> {
        let (first, out) = (arguments.first_epoch, &arguments.out);
        if first < before.first_epoch.0 {
            let (number, begins) = (before.number, before.first_epoch.0);
            return Err(KeygenError::BeginsBefore { first, number, begins });
        }
        let shards = changed(&before.shards, &arguments.add, &arguments.remove)?;
        let list = |number, shards| OperatorList {
            number,
            first_epoch: Epoch(first),
            last_epoch: arguments.last_epoch.map_or(before.last_epoch, Epoch),
            shards,
            ..before.clone()
        };
        let (next, after) = (before.number.saturating_add(1), before.number.saturating_add(2));
        // More than half of the same shards is never without one that has signed before.
        if arguments.add.is_empty() && arguments.remove.is_empty() {
            self.write(list(next, shards), out)?;
            output::say(&format!("{} holds the operator's list {next}", out.display()));
            return Ok(());
        }
        let end = PathBuf::from(format!("{}.end", out.display()));
        self.write(list(next, Vec::new()), &end)?;
        self.write(list(after, shards), out)?;
        output::say(&format!(
            "{end} ends list {number} with epoch {first}: give it to the shards of that list, in the place of \
             their file\n{out} is list {after}: give it to all its shards once more than half of the others have \
             said that they took list {next}",
            end = end.display(),
            number = before.number,
            out = out.display(),
        ));
        Ok(())
    }

    fn write(&self, list: OperatorList, out: &Path) -> Result<(), KeygenError> {
        if list.last_epoch < list.first_epoch {
            let (first, last) = (list.first_epoch.0, list.last_epoch.0);
            return Err(KeygenError::Epochs { first, last });
        }
        let words = show::list_in_words(&list, self.network.operator(list.operator));
        write_operator_list(out, &Signed::new(list, self.key), &words)?;
        Ok(())
    }
}

fn changed(
    before: &[IdentityKey],
    add: &[IdentityKey],
    remove: &[IdentityKey],
) -> Result<Vec<IdentityKey>, KeygenError> {
    let mut shards = before.to_vec();
    for shard in remove {
        let position = shards.iter().position(|listed| listed == shard);
        shards.remove(position.ok_or_else(|| KeygenError::NotOnList(shard.to_hex()))?);
    }
    for shard in add {
        if shards.contains(shard) {
            return Err(KeygenError::ShardTwice(shard.to_hex()));
        }
        shards.push(*shard);
    }
    if shards.is_empty() {
        return Err(KeygenError::NobodyLeft);
    }
    Ok(shards)
}
