//! The account of a mechanism, with everything beside the noise that an adversary may try.

mod left_out;

use thiserror::Error;

use crate::accountant::margin;
use crate::budget::{Budget, BudgetError};
use crate::composition::{ComposedLoss, Repeated, composed};
use crate::mechanism::{MAX_LOST_NOISE, Mechanism};
use crate::privacy_loss::{PrivacyLoss, Step};

pub use left_out::LeftOut;

/// What the honest shards' noise hides, over any number of disturbed rounds.
///
/// By default it counts the noise alone. All results are upper bounds, as those of
/// [`epsilon`](fn@crate::epsilon), with which they agree to the last bit for a constant volume
/// and no extras. The margin of 5e-5 a round belongs to the constant volume, which documents carry
/// and others verify; the other mechanisms go without.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    mechanism: Mechanism,
    lost_noise: u32,
    left_out: Option<LeftOut>,
    false_positive: f64,
}

/// Why an account cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum AccountError {
    /// Nobody adds noise.
    #[error("without an honest shard nothing is hidden; one is the least")]
    NobodyHonest,
    /// More lost noise than is computed.
    #[error("the loss of up to {MAX_LOST_NOISE} noise deposits a round is computed, not of {0}")]
    LostNoise(u32),
    /// Lost noise or left-out onions where the volume is not fixed.
    #[error(
        "lost noise and left-out onions are computed for a constant volume only, where what is \
         left is known"
    )]
    VolumeNotFixed,
    /// Fewer onions than the analysis of left-out ones needs.
    #[error(
        "{onions} onions are too few for {users} users' to be left out among; 16 times as \
             many is the least"
    )]
    TooFewOnions {
        /// Onions that are certain.
        onions: u64,
        /// Users' onions among them.
        users: u32,
    },
    /// A rate of false positives that is no probability below one.
    #[error("a rate of false positives must lie from 0 to below 1, got {0}")]
    FalsePositive(f64),
}

impl Account {
    /// The account of a mechanism's noise alone.
    ///
    /// # Errors
    /// [`AccountError::NobodyHonest`] if it has no shards.
    pub fn new(mechanism: Mechanism) -> Result<Self, AccountError> {
        if mechanism.shards() == 0 {
            return Err(AccountError::NobodyHonest);
        }
        Ok(Self { mechanism, lost_noise: 0, left_out: None, false_positive: 0.0 })
    }

    /// In every disturbed round up to `deposits` noise deposits go missing unnoticed, from
    /// whichever honest shards the adversary likes.
    ///
    /// # Errors
    /// [`AccountError::LostNoise`] above [`MAX_LOST_NOISE`], [`AccountError::VolumeNotFixed`] for
    /// another mechanism than the constant volume.
    pub fn with_lost_noise(mut self, deposits: u32) -> Result<Self, AccountError> {
        if deposits > MAX_LOST_NOISE {
            return Err(AccountError::LostNoise(deposits));
        }
        if deposits > 0 {
            self.fixed_volume()?;
        }
        self.lost_noise = deposits;
        Ok(self)
    }

    /// In all, malicious seal shards try `attempts` times to leave onions out of their filters and
    /// to learn from the silence. The onions that are certain are the honest noise, and four
    /// of them more are users'.
    ///
    /// # Errors
    /// [`AccountError::VolumeNotFixed`] for another mechanism than the constant volume;
    /// [`AccountError::TooFewOnions`] if there is too little noise.
    pub fn with_left_out_attempts(mut self, attempts: u32) -> Result<Self, AccountError> {
        self.left_out = None;
        if attempts > 0 {
            self.fixed_volume()?;
            self.left_out = Some(LeftOut::new(attempts, self.mechanism.volume() as u64, 4)?);
        }
        Ok(self)
    }

    /// A filter claims an onion it does not hold with this probability: that of the fullest filter
    /// accepted. What it costs is set aside from delta: `rate` for every disturbed round.
    ///
    /// However many noise onions the adversary drops in a round, the probability that a checked one
    /// was among them and all of those passed is at most the rate: for n dropped onions it is
    /// ((1 + rate)/2)^n - 2^-n, which is convex in the rate, 0 at 0 and below 1 at 1.
    ///
    /// # Errors
    /// [`AccountError::FalsePositive`] for what is no probability below one.
    pub fn with_false_positives(mut self, rate: f64) -> Result<Self, AccountError> {
        if !(0.0..1.0).contains(&rate) {
            return Err(AccountError::FalsePositive(rate));
        }
        self.false_positive = rate;
        Ok(self)
    }

    /// The mechanism accounted for.
    #[must_use]
    pub fn mechanism(&self) -> &Mechanism {
        &self.mechanism
    }

    /// The delta set aside for false positives over `rounds` disturbed rounds.
    #[must_use]
    pub fn set_aside(&self, rounds: u32) -> f64 {
        self.false_positive * f64::from(rounds)
    }

    /// An upper bound on epsilon at `delta` over `rounds` disturbed rounds; 0 if `delta` covers
    /// everything, infinite if there is none.
    #[must_use]
    pub fn epsilon(&self, delta: f64, rounds: u32, step: Step) -> f64 {
        self.round(step).compose(delta, rounds).epsilon(delta)
    }

    /// An upper bound on delta at `epsilon` over `rounds` disturbed rounds.
    #[must_use]
    pub fn delta(&self, epsilon: f64, rounds: u32, step: Step) -> f64 {
        self.round(step).compose(1e-9, rounds).delta(epsilon)
    }

    /// The most disturbed rounds whose epsilon at `delta` is no more than `epsilon`; 0 if one is
    /// too many, and at most [`Budget::MAX_DISTURBED_ROUNDS`].
    ///
    /// # Errors
    /// [`BudgetError`] unless both are in range for a budget.
    pub fn rounds(&self, epsilon: f64, delta: f64, step: Step) -> Result<u32, BudgetError> {
        Budget::new(epsilon, delta, 1)?;
        let round = self.round(step);
        let keeps = |rounds| round.compose(delta, rounds).epsilon(delta) <= epsilon;
        let mut beyond = 1;
        while keeps(beyond) {
            if beyond >= Budget::MAX_DISTURBED_ROUNDS {
                return Ok(Budget::MAX_DISTURBED_ROUNDS);
            }
            beyond *= 2;
        }
        let mut kept = beyond / 2;
        while beyond - kept > 1 {
            let middle = kept.midpoint(beyond);
            if keeps(middle) {
                kept = middle;
            } else {
                beyond = middle;
            }
        }
        Ok(kept)
    }

    fn fixed_volume(&self) -> Result<(), AccountError> {
        match self.mechanism {
            Mechanism::ConstantVolume(_) => Ok(()),
            Mechanism::Poisson { .. } | Mechanism::Laplace { .. } => {
                Err(AccountError::VolumeNotFixed)
            }
        }
    }

    fn round(&self, step: Step) -> Round {
        Round {
            loss: self.mechanism.loss(step, self.lost_noise),
            left_out: self.left_out.map(LeftOut::repeated),
            false_positive: self.false_positive,
            documented: self.fixed_volume().is_ok(),
        }
    }
}

/// What one round tells, ready to be composed.
struct Round {
    loss: Option<PrivacyLoss>,
    left_out: Option<Repeated>,
    false_positive: f64,
    /// Whether it is the noise of documents, with the margin.
    documented: bool,
}

impl Round {
    /// Composes with tails that are small beside `delta`.
    fn compose(&self, delta: f64, rounds: u32) -> ComposedLoss {
        let Some(loss) = self.loss.clone() else { return ComposedLoss::nothing_hidden() };
        let rounds = rounds.max(1);
        let tail = (1e-5 * delta).clamp(1e-30, 1e-3);
        let margin = if self.documented { margin(rounds) } else { 0.0 };
        let noise = Repeated { loss, times: rounds };
        let parts = core::iter::once(noise).chain(self.left_out.clone());
        composed(parts.collect(), tail)
            .raised(margin)
            .failing(self.false_positive * f64::from(rounds))
    }
}
