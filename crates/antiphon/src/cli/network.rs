//! A network that is planned for, as several commands take it.

use antiphon_wire::{IdentityKey, NetworkFile, NetworkFileError, Operator, Policy};
use clap::Args;
use ed25519_dalek::SigningKey;

use super::guarantee::GuaranteeArguments;
use super::values;

/// Equal operators, and the guarantee that they are to give.
#[derive(Clone, Copy, Debug, Args)]
pub(crate) struct NetworkArguments {
    /// Operators of equal weight, with a shard each unless more are asked for
    #[arg(long, value_name = "N", default_value = "5", value_parser = values::operators)]
    shards: u16,
    #[command(flatten)]
    guarantee: GuaranteeArguments,
}

impl NetworkArguments {
    /// The network file that the options ask for, or name.
    pub(crate) fn file(&self) -> Result<NetworkFile, NetworkFileError> {
        self.with_operators(self.shards)
    }

    /// The same with another number of operators.
    pub(crate) fn with_operators(&self, operators: u16) -> Result<NetworkFile, NetworkFileError> {
        of_equals(operators, self.policy())
    }

    /// The policy that asks for the guarantee. Nothing but the rule for f and a total that is asked for
    /// decide about the hops.
    fn policy(&self) -> Policy {
        self.guarantee.policy(Policy {
            least_mixing_hops: 2,
            total_delta: 1.0,
            ..Policy::default()
        })
    }
}

/// A network of so many equal operators that do not exist yet.
pub(crate) fn of_equals(
    operators: u16,
    mut policy: Policy,
) -> Result<NetworkFile, NetworkFileError> {
    let operators = (0..operators)
        .map(|index| {
            // Nobody signs anything in a plan; they only have to be keys, and to differ.
            let mut seed = [0; 32];
            seed[..2].copy_from_slice(&index.to_be_bytes());
            let key = IdentityKey::of(&SigningKey::from_bytes(&seed));
            Operator { name: format!("operator {}", index + 1), key, weight: 1 }
        })
        .collect();
    // What few operators promise can be planned; a file for them has to say that they are trusted.
    policy.trusts_heavy_operators = true;
    NetworkFile::new(operators, policy)
}
