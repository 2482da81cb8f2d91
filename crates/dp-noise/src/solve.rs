//! The least noise that keeps a budget.

use thiserror::Error;

use crate::accountant::{MARGIN_PER_ROUND, margin};
use crate::allocation::{
    NoiseAllocation, OperatorShare, ShareError, total_weight, validate, worst_cases,
};
use crate::budget::Budget;
use crate::distribution::MAX_VOLUME;
use crate::division::divide;
use crate::honest_sum::HonestSum;
use crate::privacy_loss::Step;

/// The distance of the cut from the mean, in quarter sigmas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cut(u32);

impl Cut {
    /// Nearest cut that epoch documents may have.
    pub const FOUR_SIGMA: Self = Self(16);
    /// Furthest cut that the solver tries.
    pub const MOST: Self = Self(32);

    /// So many quarters of sigma; 0 stands for a flat distribution, in which every number of pairs is
    /// as likely as another. `None` beyond [`Self::MOST`].
    #[must_use]
    pub const fn from_quarters(quarters: u32) -> Option<Self> {
        if quarters > Self::MOST.0 { None } else { Some(Self(quarters)) }
    }

    /// The distance in quarters of sigma.
    pub(crate) const fn quarters(self) -> u32 {
        self.0
    }

    /// This one and all further ones.
    pub(crate) fn and_beyond(self) -> impl Iterator<Item = Self> {
        (self.0..=Self::MOST.0).map(Self)
    }
}

/// Reason why no noise was found.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum SolveError {
    /// The operators themselves are unusable.
    #[error(transparent)]
    Share(#[from] ShareError),
    /// The margin alone takes all of epsilon, whatever the noise.
    #[error(
        "the margin of {each} a round is {margin} over {rounds} disturbed rounds, which leaves nothing \
         of epsilon {epsilon}: ask for a larger epsilon, or for fewer than {fewer} rounds",
        each = MARGIN_PER_ROUND, fewer = (epsilon / MARGIN_PER_ROUND).ceil()
    )]
    Margin {
        /// Epsilon of the budget.
        epsilon: f64,
        /// Disturbed rounds of the budget.
        rounds: u32,
        /// Margin over so many rounds.
        margin: f64,
    },
    /// No volume up to [`MAX_VOLUME`] a shard keeps the budget.
    #[error("no volume up to {MAX_VOLUME} a shard keeps this budget; relax it or add operators")]
    OutOfReach,
}

/// The least noise that keeps `budget` whatever set of operators of weight up to
/// `malicious_weight` adds none: the same allocation on every machine.
///
/// An operator's variance is proportional to its weight and divided evenly among its shards, with one
/// cut for all. The cut is four sigma unless a wider one needs less volume in all, as it does when single
/// shards have to hide the count alone.
///
/// # Errors
/// [`SolveError::Share`] for unusable operators, [`SolveError::Margin`] and
/// [`SolveError::OutOfReach`] if the budget cannot be kept.
pub fn solve(
    budget: &Budget,
    shares: &[OperatorShare],
    malicious_weight: u64,
) -> Result<NoiseAllocation, SolveError> {
    solve_beyond(budget, shares, malicious_weight, Cut::FOUR_SIGMA)
}

/// The same with another rule for the nearest cut than that of epoch documents, to compare.
///
/// # Errors
/// As [`solve`].
pub fn solve_beyond(
    budget: &Budget,
    shares: &[OperatorShare],
    malicious_weight: u64,
    nearest: Cut,
) -> Result<NoiseAllocation, SolveError> {
    validate(shares, malicious_weight)?;
    let (epsilon, rounds) = (budget.epsilon(), budget.disturbed_rounds());
    if margin(rounds) >= epsilon {
        return Err(SolveError::Margin { epsilon, rounds, margin: margin(rounds) });
    }
    let problem = Problem { budget, shares, malicious_weight };
    let mut best: Option<NoiseAllocation> = None;
    let mut worse = 0;
    // Beyond four sigma the volume falls and rises once; before, steps of four deposits show.
    let patience = if nearest < Cut::FOUR_SIGMA { 3 } else { 1 };
    for cut in nearest.and_beyond() {
        let found = problem.least_variance(cut);
        match (&best, found) {
            (Some(least), Some(found))
                if found.total_volume(shares) < least.total_volume(shares) =>
            {
                (best, worse) = (Some(found), 0);
            }
            (Some(_), _) => worse += 1,
            (None, found) => best = found,
        }
        if worse == patience {
            break;
        }
    }
    best.ok_or(SolveError::OutOfReach)
}

struct Problem<'a> {
    budget: &'a Budget,
    shares: &'a [OperatorShare],
    malicious_weight: u64,
}

impl Problem<'_> {
    /// The allocation of the least variance per unit of weight that keeps the budget with this
    /// cut, to one part in ten thousand.
    fn least_variance(&self, cut: Cut) -> Option<NoiseAllocation> {
        let mut high = self.likely_variance();
        let mut found = divide(high, cut, self.shares);
        // Up until it does (or no shard can grow), down until it does not.
        while !found.as_ref().is_some_and(|allocation| self.keeps(allocation)) {
            found.as_ref()?;
            high *= 2.0;
            found = divide(high, cut, self.shares);
        }
        let mut found = found?;
        let mut low = high / 2.0;
        let mut weak = divide(low, cut, self.shares);
        while let Some(allocation) = weak.take() {
            if allocation == found && self.smallest(&allocation) {
                return Some(found);
            }
            if allocation != found && !self.keeps(&allocation) {
                weak = Some(allocation);
                break;
            }
            (found, high) = (allocation, low);
            low = high / 2.0;
            weak = divide(low, cut, self.shares);
        }
        debug_assert!(low < high, "variances from {low} to {high}");
        while high > low * 1.0001 {
            let middle = (low * high).sqrt();
            let candidate = divide(middle, cut, self.shares);
            if candidate == weak {
                low = middle;
            } else if candidate.as_ref() == Some(&found) {
                high = middle;
            } else if let Some(allocation) = candidate.filter(|allocation| self.keeps(allocation)) {
                (found, high) = (allocation, middle);
            } else {
                (low, weak) = (middle, divide(middle, cut, self.shares));
            }
        }
        Some(found)
    }

    /// The variance per unit of honest weight of a Gaussian that would do, give or take a factor of two.
    fn likely_variance(&self) -> f64 {
        let tail = (-2.0 * libm::log(self.budget.delta())).sqrt();
        let rounds = f64::from(self.budget.disturbed_rounds());
        let pairs = f64::from(self.budget.pairs());
        let width = pairs * rounds.sqrt() * tail.max(1.0) / self.budget.epsilon();
        let honest = total_weight(self.shares) - self.malicious_weight;
        width * width / honest as f64
    }

    /// Returns `true` if no shard's volume can shrink further.
    fn smallest(&self, allocation: &NoiseAllocation) -> bool {
        allocation.per_operator.iter().all(|each| each.volume() == 4)
    }

    fn keeps(&self, allocation: &NoiseAllocation) -> bool {
        let delta = self.budget.delta();
        worst_cases(allocation, self.shares, self.malicious_weight).iter().all(|honest| {
            HonestSum::of_counts(honest).is_some_and(|sum| {
                self.budget.loss(&sum, Step::One).epsilon(delta) <= self.budget.epsilon()
            })
        })
    }
}
