//! The division of the noise among operators and shards, and the guarantee that it achieves.

use thiserror::Error;

use crate::budget::Budget;
use crate::distribution::PairDistribution;
use crate::division::not_divided;
use crate::honest_sum::HonestSum;
use crate::privacy_loss::Step;
use crate::worst_set::{HonestShards, OperatorNoise, worst_honest_sets};

/// The most operators an allocation covers; bounds the work on outside input.
pub const MAX_OPERATORS: usize = 4096;

/// One operator: its path weight and the number of shards it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperatorShare {
    /// Path weight, in the unit of the network file.
    pub weight: u32,
    /// Shards that the operator's weight, volume and variance are divided among.
    pub shards: u16,
}

/// The distribution that every shard of each operator draws from, in the order of the shares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoiseAllocation {
    /// One item per operator: the distribution of each of its shards.
    pub per_operator: Vec<PairDistribution>,
}

impl NoiseAllocation {
    /// Noise deposits that all shards together add in a round.
    #[must_use]
    pub fn total_volume(&self, shares: &[OperatorShare]) -> u64 {
        debug_assert_eq!(self.per_operator.len(), shares.len(), "noise is for each operator");
        let volume = |(each, share): (&PairDistribution, &OperatorShare)| {
            u64::from(each.volume()) * u64::from(share.shards)
        };
        self.per_operator.iter().zip(shares).map(volume).sum()
    }
}

/// Reason why a list of operators is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ShareError {
    /// An operator without weight or without shards.
    #[error("operator {0} needs a weight and at least one shard")]
    Empty(usize),
    /// More operators than [`MAX_OPERATORS`].
    #[error("{0} operators are more than {MAX_OPERATORS}")]
    TooMany(usize),
    /// The malicious weight may cover all operators.
    #[error("a malicious weight of {malicious} leaves no operator surely honest")]
    NobodyHonest {
        /// Weight that the adversary may hold.
        malicious: u64,
    },
}

/// Reason why an allocation is refused.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum CheckError {
    /// The operators themselves are unusable.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The allocation does not name one distribution per operator.
    #[error("{allocated} distributions for {operators} operators")]
    Length {
        /// Number of distributions in the allocation.
        allocated: usize,
        /// Number of operators.
        operators: usize,
    },
    /// A shard's distribution is cut nearer than four sigma.
    #[error("operator {0}: the noise is cut nearer than four sigma; raise its volume")]
    Cut(usize),
    /// An operator's noise does not go with its weight.
    #[error(
        "operator {0}: the noise is not divided among the operators by weight, evenly among each one's \
         shards and with one cut for all"
    )]
    NotDivided(usize),
    /// Weaker than the budget asks.
    #[error("the noise reaches epsilon {achieved:.5} where the budget is {budget:.5}")]
    TooWeak {
        /// Epsilon at the budget's delta, for the worst set of operators.
        achieved: f64,
        /// The budget's epsilon.
        budget: f64,
    },
}

/// Guarantee of an allocation for the worst set of operators. Upper bounds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Achieved {
    /// Epsilon at the budget's delta.
    pub epsilon: f64,
    /// Delta at the budget's epsilon.
    pub delta: f64,
    /// Epsilon at the budget's delta between two conversation patterns of four users, where the
    /// count of pairs moves by two. Reported, and not held against the budget.
    pub epsilon_of_patterns: f64,
}

/// Checks that the allocation is one that [`solve`](crate::solve) could have made, and no weaker than the
/// budget, if any set of operators of weight up to `malicious_weight` adds no noise at all. For verifiers of
/// documents.
///
/// # Errors
/// [`CheckError`] says what is wrong or how far the noise falls short.
pub fn check(
    allocation: &NoiseAllocation,
    shares: &[OperatorShare],
    malicious_weight: u64,
    budget: &Budget,
) -> Result<Achieved, CheckError> {
    validate(shares, malicious_weight)?;
    if allocation.per_operator.len() != shares.len() {
        return Err(CheckError::Length {
            allocated: allocation.per_operator.len(),
            operators: shares.len(),
        });
    }
    if let Some(at) = allocation.per_operator.iter().position(|d| !d.cut_beyond_four_sigma()) {
        return Err(CheckError::Cut(at));
    }
    if let Some(at) = not_divided(allocation, shares) {
        return Err(CheckError::NotDivided(at));
    }
    let delta = budget.delta();
    let mut achieved = Achieved { epsilon: 0.0, delta: 0.0, epsilon_of_patterns: 0.0 };
    // No single set is known to be the worst, so the worst figure of all candidates counts.
    for honest in worst_cases(allocation, shares, malicious_weight) {
        let sum = HonestSum::of_counts(&honest)
            .ok_or(ShareError::NobodyHonest { malicious: malicious_weight })?;
        let one = budget.loss(&sum, Step::One);
        let two = budget.loss(&sum, Step::Two);
        achieved.epsilon = achieved.epsilon.max(one.epsilon(delta));
        achieved.delta = achieved.delta.max(one.delta(budget.epsilon()));
        achieved.epsilon_of_patterns = achieved.epsilon_of_patterns.max(two.epsilon(delta));
    }
    if achieved.epsilon > budget.epsilon() {
        return Err(CheckError::TooWeak { achieved: achieved.epsilon, budget: budget.epsilon() });
    }
    Ok(achieved)
}

/// Refuses operators that no noise could be divided among.
pub(crate) fn validate(shares: &[OperatorShare], malicious: u64) -> Result<(), ShareError> {
    if shares.len() > MAX_OPERATORS {
        return Err(ShareError::TooMany(shares.len()));
    }
    if let Some(at) = shares.iter().position(|share| share.weight == 0 || share.shards == 0) {
        return Err(ShareError::Empty(at));
    }
    if total_weight(shares) <= malicious {
        return Err(ShareError::NobodyHonest { malicious });
    }
    Ok(())
}

pub(crate) fn total_weight(shares: &[OperatorShare]) -> u64 {
    shares.iter().map(|share| u64::from(share.weight)).sum()
}

/// The honest shards in each candidate for the worst case.
pub(crate) fn worst_cases(
    allocation: &NoiseAllocation,
    shares: &[OperatorShare],
    malicious: u64,
) -> Vec<HonestShards> {
    let noise = |(share, &each): (&OperatorShare, &PairDistribution)| OperatorNoise {
        weight: share.weight,
        shards: share.shards,
        each,
    };
    let operators: Vec<_> = shares.iter().zip(&allocation.per_operator).map(noise).collect();
    worst_honest_sets(&operators, malicious)
}
