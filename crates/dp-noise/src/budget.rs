//! Budgets: an (epsilon, delta) guarantee, and the disturbed rounds that it has to last for.

use core::f64::consts::LN_2;

use thiserror::Error;

use crate::accountant::compose;
use crate::composition::{Aim, ComposedLoss};
use crate::honest_sum::HonestSum;
use crate::privacy_loss::Step;

/// An (epsilon, delta) guarantee over a number of disturbed rounds of one conversation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Budget {
    epsilon: f64,
    delta: f64,
    disturbed_rounds: u32,
    pairs: u8,
}

/// Reason why a budget is refused.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum BudgetError {
    /// Epsilon is not a finite number above zero.
    #[error("epsilon must be finite and above zero, got {0}")]
    Epsilon(f64),
    /// Delta does not lie strictly between zero and one.
    #[error("delta must lie strictly between 0 and 1, got {0}")]
    Delta(f64),
    /// No round, or more than [`Budget::MAX_DISTURBED_ROUNDS`].
    #[error("disturbed rounds must lie between 1 and {max}, got {0}", max = Budget::MAX_DISTURBED_ROUNDS)]
    DisturbedRounds(u32),
    /// No pair, or more than [`Budget::MAX_PAIRS`].
    #[error("pairs of a conversation must lie between 1 and {max}, got {0}", max = Budget::MAX_PAIRS)]
    Pairs(u8),
}

impl Budget {
    /// The most disturbed rounds the accountant composes; bounds its work on outside input.
    pub const MAX_DISTURBED_ROUNDS: u32 = 1 << 20;

    /// The most pairs of a conversation.
    pub const MAX_PAIRS: u8 = 16;

    /// A budget of `epsilon` at `delta` over `disturbed_rounds`, for conversations of one pair.
    ///
    /// # Errors
    /// [`BudgetError`] names the number that is out of range.
    pub fn new(epsilon: f64, delta: f64, disturbed_rounds: u32) -> Result<Self, BudgetError> {
        if !(epsilon.is_finite() && epsilon > 0.0) {
            return Err(BudgetError::Epsilon(epsilon));
        }
        if !(delta > 0.0 && delta < 1.0) {
            return Err(BudgetError::Delta(delta));
        }
        if !(1..=Self::MAX_DISTURBED_ROUNDS).contains(&disturbed_rounds) {
            return Err(BudgetError::DisturbedRounds(disturbed_rounds));
        }
        Ok(Self { epsilon, delta, disturbed_rounds, pairs: 1 })
    }

    /// The same for conversations of `pairs` pairs: the count that is seen moves by as many.
    ///
    /// # Errors
    /// [`BudgetError::Pairs`] from 0 or above [`Self::MAX_PAIRS`].
    pub fn with_pairs(self, pairs: u8) -> Result<Self, BudgetError> {
        if !(1..=Self::MAX_PAIRS).contains(&pairs) {
            return Err(BudgetError::Pairs(pairs));
        }
        Ok(Self { pairs, ..self })
    }

    /// The log-ratio by which an adversary's belief may move.
    #[must_use]
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// The probability with which `epsilon` may fail.
    #[must_use]
    pub fn delta(&self) -> f64 {
        self.delta
    }

    /// The disturbed rounds the guarantee covers together.
    #[must_use]
    pub fn disturbed_rounds(&self) -> u32 {
        self.disturbed_rounds
    }

    /// The pairs of onions in a conversation.
    #[must_use]
    pub fn pairs(&self) -> u8 {
        self.pairs
    }

    /// The loss over all its rounds if this sum hides the count, accurate at its delta.
    pub(crate) fn loss(&self, sum: &HonestSum, step: Step) -> ComposedLoss {
        let by = step.pairs() * u32::from(self.pairs);
        compose(sum, self.disturbed_rounds, by, Aim::Delta(self.delta))
    }
}

impl Default for Budget {
    /// ln 2 at 1e-6 over 1000 disturbed rounds.
    fn default() -> Self {
        Self { epsilon: LN_2, delta: 1e-6, disturbed_rounds: 1000, pairs: 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused() {
        for epsilon in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(matches!(Budget::new(epsilon, 1e-6, 1), Err(BudgetError::Epsilon(_))));
        }
        for delta in [0.0, 1.0, -0.1, f64::NAN] {
            assert!(matches!(Budget::new(1.0, delta, 1), Err(BudgetError::Delta(_))));
        }
        assert_eq!(Budget::new(1.0, 0.5, 0), Err(BudgetError::DisturbedRounds(0)));
        assert!(Budget::new(1.0, 0.5, u32::MAX).is_err());
    }
}
