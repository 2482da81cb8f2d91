//! Whose word counts for how much.

use std::collections::BTreeSet;

use antiphon_wire::{EpochDocument, NetworkFile, OperatorIndex};

/// The shards of an epoch, by position in its document, as witnesses.
#[derive(Clone, Debug)]
pub(crate) struct Voters {
    operators: Vec<OperatorIndex>,
    /// The weight of each shard's operator.
    weights: Vec<u64>,
    /// The most weight that malicious operators hold, times a million.
    malicious: u128,
    several_operators: bool,
}

impl Voters {
    pub(crate) fn new(document: &EpochDocument, network: &NetworkFile) -> Self {
        let operators: Vec<_> = document.shards.iter().map(|shard| shard.operator).collect();
        let weight = |index: &OperatorIndex| {
            network.operator(*index).map_or(0, |operator| u64::from(operator.weight))
        };
        let distinct: BTreeSet<_> = operators.iter().collect();
        Self {
            weights: operators.iter().map(weight).collect(),
            malicious: u128::from(network.policy.malicious_ppm)
                * u128::from(network.total_weight()),
            several_operators: distinct.len() > 1,
            operators,
        }
    }

    /// Returns `true` if these shards cannot all lie: their operators hold more than f of the network file's
    /// weight. Whatever f is, nobody's word is enough alone: it takes two operators, or two shards where one
    /// operator runs all.
    pub(crate) fn convince(&self, shards: &BTreeSet<usize>) -> bool {
        let mut operators = BTreeSet::new();
        let mut weight = 0;
        for &shard in shards {
            let (Some(operator), Some(of_it)) =
                (self.operators.get(shard), self.weights.get(shard))
            else {
                continue;
            };
            // An operator's weight counts once, however many of its shards say the same.
            if operators.insert(*operator) {
                weight += u128::from(*of_it);
            }
        }
        let several = if self.several_operators { operators.len() > 1 } else { shards.len() > 1 };
        several && weight * 1_000_000 > self.malicious
    }
}

#[cfg(test)]
impl Voters {
    /// One operator for each weight, with one shard each.
    pub(crate) fn of_weights(weights: &[u64], malicious_ppm: u32) -> Self {
        Self {
            operators: (0..weights.len()).map(|i| OperatorIndex(i as u16)).collect(),
            weights: weights.to_vec(),
            malicious: u128::from(malicious_ppm) * u128::from(weights.iter().sum::<u64>()),
            several_operators: weights.len() > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_f_of_the_weight_and_two_operators_convince() {
        let convince = |weights: &[u64], ppm, shards: &[usize]| {
            Voters::of_weights(weights, ppm).convince(&shards.iter().copied().collect())
        };
        assert!(!convince(&[1; 5], 0, &[0]));
        assert!(convince(&[1; 5], 0, &[0, 3]));
        assert!(!convince(&[1; 5], 400_000, &[0, 3]));
        assert!(convince(&[1; 5], 400_000, &[0, 3, 4]));
        assert!(!convince(&[7, 1, 1, 1], 200_000, &[1, 2]));
        assert!(!convince(&[7, 1, 1, 1], 200_000, &[0]));
        assert!(!convince(&[1; 5], 0, &[0, 99]));
    }

    #[test]
    fn shards_of_one_operator_are_one_voice_among_several() {
        let mut voters = Voters::of_weights(&[1; 3], 0);
        voters.operators[1] = voters.operators[0];
        assert!(!voters.convince(&[0, 1].into()));
        voters.operators[2] = voters.operators[0];
        voters.several_operators = false;
        assert!(voters.convince(&[0, 1].into()));
    }
}
