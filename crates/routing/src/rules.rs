//! The network file's demands on an epoch, given the operators present.

use antiphon_dp_noise::{Budget, BudgetError};
use antiphon_wire::{NetworkFile, OperatorIndex};

use crate::{FEW_HONEST_TARGET, PathLengthError, Ppm, mixing_hops};

/// The least that an epoch must keep, given who is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochRules {
    /// f over the weight that is present.
    pub effective_malicious: Ppm,
    /// The most weight that malicious operators may hold, in the network file's units.
    pub malicious_weight: u64,
    /// The least number of mixing hops.
    pub mixing_hops: u8,
    /// The guarantee that the noise has to give.
    pub budget: Budget,
    /// Canaries that each shard makes in every round with beats.
    pub canaries: u8,
}

/// Reason why operators cannot make up an epoch.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum RulesError {
    /// An index that the network file does not have.
    #[error("operator {0} is not in the network file")]
    UnknownOperator(OperatorIndex),
    /// An operator named twice.
    #[error("operator {0} is counted twice, or out of order")]
    Order(OperatorIndex),
    /// Too little weight for any two valid documents to share an honest shard.
    #[error("operators of weight {present} of {total} are present; more than {needed} is needed")]
    Quorum {
        /// Weight that is present.
        present: u64,
        /// Weight of the network file.
        total: u64,
        /// (1+f)/2 of the total, rounded down.
        needed: u64,
    },
    /// No path is long enough.
    #[error(transparent)]
    PathLength(#[from] PathLengthError),
    /// The policy's guarantee is no guarantee.
    #[error(transparent)]
    Budget(#[from] BudgetError),
}

/// f of the network file, as an exact fraction.
pub fn malicious_fraction(network: &NetworkFile) -> Ppm {
    // A network file's f is below one half.
    Ppm::new(network.policy.malicious_ppm).unwrap_or(Ppm::new(Ppm::WHOLE).unwrap_or_default())
}

impl EpochRules {
    /// Rules for as many pairs of onions a client as the policy allows, when the operators `present`, by
    /// rising index, have shards in the epoch.
    ///
    /// # Errors
    /// If an operator is unknown or counted twice, the quorum is missed, or no path is long enough.
    pub fn of(network: &NetworkFile, present: &[OperatorIndex]) -> Result<Self, RulesError> {
        let mut weight = 0u64;
        let mut last = None;
        for &index in present {
            if last.is_some_and(|last| last >= index) {
                return Err(RulesError::Order(index));
            }
            last = Some(index);
            let operator = network.operator(index).ok_or(RulesError::UnknownOperator(index))?;
            weight += u64::from(operator.weight);
        }
        let total = network.total_weight();
        let f = malicious_fraction(network);
        let whole = u64::from(Ppm::WHOLE);
        // In integers, without division: 2 weight > (1 + f) total.
        if 2 * weight * whole <= total * (whole + u64::from(f.parts())) {
            let needed = total * (whole + u64::from(f.parts())) / (2 * whole);
            return Err(RulesError::Quorum { present: weight, total, needed });
        }
        let effective_malicious = f.over_present(total, weight).ok_or(RulesError::Quorum {
            present: weight,
            total,
            needed: total,
        })?;
        let hops = mixing_hops(effective_malicious, FEW_HONEST_TARGET)?;
        let policy = &network.policy;
        Ok(Self {
            effective_malicious,
            malicious_weight: network.malicious_weight(),
            mixing_hops: hops.max(policy.least_mixing_hops),
            budget: Budget::new(policy.epsilon, policy.delta, policy.disturbed_rounds)?
                .with_pairs(policy.most_pairs)?,
            canaries: policy.canaries,
        })
    }

    /// The rules for an epoch with so many pairs of onions a client, where the policy allows more.
    ///
    /// # Errors
    /// If nobody could have so many.
    pub fn with_pairs(mut self, pairs_per_client: u8) -> Result<Self, RulesError> {
        self.budget = self.budget.with_pairs(pairs_per_client)?;
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{IdentityKey, Operator, Policy};
    use ed25519_dalek::SigningKey;

    use super::*;

    fn network(weights: &[u32]) -> NetworkFile {
        let operators = weights
            .iter()
            .enumerate()
            .map(|(i, &weight)| Operator {
                name: format!("operator {i}"),
                key: IdentityKey::of(&SigningKey::from_bytes(&[i as u8; 32])),
                weight,
            })
            .collect();
        NetworkFile::new(operators, Policy::default()).unwrap()
    }

    fn indices(list: &[u16]) -> Vec<OperatorIndex> {
        list.iter().copied().map(OperatorIndex).collect()
    }

    #[test]
    fn an_absent_operator_raises_f_and_with_it_the_path() {
        let network = network(&[1; 5]);
        let all = EpochRules::of(&network, &indices(&[0, 1, 2, 3, 4])).unwrap();
        assert_eq!((all.effective_malicious.parts(), all.mixing_hops), (200_000, 14));
        let four = EpochRules::of(&network, &indices(&[0, 1, 3, 4])).unwrap();
        assert_eq!(four.effective_malicious.parts(), 250_000);
        assert!(four.mixing_hops > 14);
        assert_eq!(four.malicious_weight, 1);
    }

    #[test]
    fn exactly_the_quorum_is_not_enough() {
        let network = network(&[1; 5]);
        let error = EpochRules::of(&network, &indices(&[0, 1, 2])).unwrap_err();
        assert_eq!(error, RulesError::Quorum { present: 3, total: 5, needed: 3 });
    }

    #[test]
    fn nobody_counts_twice() {
        let network = network(&[1; 5]);
        let error = EpochRules::of(&network, &indices(&[0, 1, 1, 2, 3])).unwrap_err();
        assert_eq!(error, RulesError::Order(OperatorIndex(1)));
    }
}
