//! `antiphon keygen`: keys, network files and operators' lists.

mod coordinators;
mod network;
mod operator_list;
mod secret;
mod show;

use std::path::PathBuf;

use antiphon_process::keyfile::{KeyFileError, SecretKind};
use antiphon_wire::{BadSignature, IdentityKey, NetworkFileError};
use clap::{Args, Subcommand};

use crate::cli::network_file::ReadNetworkError;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::OutputError;
use crate::plan::PlanError;

use coordinators::CoordinatorsArguments;
use network::NetworkArguments;
use operator_list::OperatorListArguments;
use secret::SecretArguments;
use show::ShowArguments;

/// Make keys, network files and operators' lists, and show what is in them
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Make keys, network files and operators' lists, and show what is in them.

Files are text. Secrets can be read by their owner alone, and no file is ever overwritten. The \
public key of a new secret goes to standard output, and nothing else does, so that scripts can \
take it from there.

A network from nothing:
  ALPHA=$(antiphon keygen operator --out alpha.key)          # each operator, on a machine of its own
  antiphon keygen network --operator alpha=$ALPHA --operator beta=$BETA ... --out network.toml
  antiphon keygen show network.toml                          # everybody, to compare the id
  SHARD=$(antiphon keygen identity --out shard.key)          # on every shard's machine
  antiphon keygen operator-list --operator-key alpha.key --network network.toml \\
      --number 1 --first-epoch 1 --last-epoch 9000 --shard $SHARD --out alpha.list
  antiphon keygen show alpha.list --network network.toml
Two users who want to talk share a secret:
  antiphon keygen conversation --out friend.secret"
)]
pub(crate) struct KeygenArguments {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, Subcommand)]
enum Kind {
    /// The Ed25519 key of a shard or a coordinator; prints its public key
    Identity(SecretArguments),
    /// The Ed25519 key with which an operator signs its lists; prints its public key
    #[command(after_long_help = "\
Keep this key off the shards' machines: whoever has it can add shards in the operator's name.

Example:
  antiphon keygen operator --out alpha.key")]
    Operator(SecretArguments),
    /// The 32-byte secret that the two ends of a conversation share
    #[command(after_long_help = "\
Give the file to the other end over a channel that nobody else reads.

Example:
  antiphon keygen conversation --out friend.secret")]
    Conversation(SecretArguments),
    /// An operator's signed list of its shards: being on it is what certifies a shard
    OperatorList(OperatorListArguments),
    /// The network file that clients and shards pin: operators, weights and privacy policy
    Network(NetworkArguments),
    /// What the configurations of a network say of its coordinators, of which shards elect one
    Coordinators(CoordinatorsArguments),
    /// Say in words what a file holds, never showing a secret
    Show(ShowArguments),
}

/// Reason why a file is not made or shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KeygenError {
    /// A key file or list.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The network file cannot be used.
    #[error(transparent)]
    Network(#[from] ReadNetworkError),
    /// The values on the command line make no network.
    #[error(transparent)]
    Policy(#[from] NetworkFileError),
    /// The network's promise cannot be kept.
    #[error(transparent)]
    Plan(#[from] Box<PlanError>),
    /// The file that was written does not say what was meant.
    #[error("the network file does not read back as it was meant; choose plainer names")]
    ReadBack,
    /// The key belongs to nobody in the network file.
    #[error(
        "the operator key's public half is {}, which is no operator's key in {network}: take \
         another key, or another network file", key.to_hex()
    )]
    NoSuchOperator {
        /// Public key that was given.
        key: IdentityKey,
        /// Path of the network file.
        network: PathBuf,
    },
    /// The epochs of a list are in the wrong order.
    #[error("--last-epoch {last} comes before --first-epoch {first}: give the first one first")]
    Epochs {
        /// First epoch of the range.
        first: u64,
        /// Last epoch of the range.
        last: u64,
    },
    /// A coordinator's key is given twice.
    #[error(
        "two coordinators have one public key: each needs a key of its own, or both would lead"
    )]
    CoordinatorTwice,
    /// A shard is given twice.
    #[error("shard {0} would be on the list twice: name each shard once")]
    ShardTwice(String),
    /// A shard that is to be removed is not there.
    #[error("shard {0} is not on the list before: `antiphon keygen show` prints who is")]
    NotOnList(String),
    /// A list without shards only ends another.
    #[error("the list would have no shard: an operator that takes part has one at least")]
    NobodyLeft,
    /// A list that begins before the one that it comes after.
    #[error("--first-epoch {first} is before epoch {begins}, with which list {number} begins")]
    BeginsBefore {
        /// The first epoch asked for.
        first: u64,
        /// The number of the list before.
        number: u32,
        /// First epoch of the list before.
        begins: u64,
    },
    /// A list that cannot be used with the network file given.
    #[error("the list in {path} is not valid in {network}: {problem}")]
    ListInvalid {
        /// Path of the list.
        path: PathBuf,
        /// Path of the network file.
        network: PathBuf,
        /// Reason why the list does not fit.
        problem: ListProblem,
    },
    /// A file that is none of ours.
    #[error(
        "{0} is no secret, operator's list or network file; `antiphon keygen --help` says how to \
         make one"
    )]
    Unknown(PathBuf),
    /// The result cannot be printed.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// Reason why a list does not fit a network.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum ListProblem {
    /// It names another network.
    #[error("it is for another network file")]
    OtherNetwork,
    /// It is of another operator than the key.
    #[error("it is another operator's")]
    OtherOperator,
    /// The network has no such operator.
    #[error("there is no such operator")]
    NoSuchOperator,
    /// Somebody else has signed it.
    #[error(transparent)]
    Signature(#[from] BadSignature),
}

impl Exits for KeygenError {
    fn exit(&self) -> Exit {
        match self {
            Self::KeyFile(KeyFileError::Write { .. }) | Self::ReadBack => Exit::Failed,
            Self::Output(error) => error.exit(),
            Self::Plan(error) => error.exit(),
            _ => Exit::Usage,
        }
    }
}

/// Makes or shows what is asked for.
pub(crate) fn run(arguments: &KeygenArguments) -> Result<(), KeygenError> {
    match &arguments.kind {
        Kind::Identity(arguments) => secret::make(arguments, SecretKind::Identity),
        Kind::Operator(arguments) => secret::make(arguments, SecretKind::Operator),
        Kind::Conversation(arguments) => secret::make(arguments, SecretKind::Conversation),
        Kind::OperatorList(arguments) => operator_list::make(arguments),
        Kind::Network(arguments) => network::make(arguments),
        Kind::Coordinators(arguments) => coordinators::print(arguments),
        Kind::Show(arguments) => show::show(arguments),
    }
}
