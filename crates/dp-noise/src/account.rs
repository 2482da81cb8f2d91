//! The account of a mechanism, with everything that an adversary may try beside counting pairs.

mod attempt_count;
mod attempts;
mod kept;
mod left_out;

use thiserror::Error;

use crate::accountant::margin;
use crate::budget::{Budget, BudgetError};
use crate::composition::{Aim, ComposedLoss, Repeated, composed};
use crate::distribution::{MAX_VOLUME, Sigma};
use crate::mechanism::{MAX_LOST_NOISE, Mechanism};
use crate::privacy_loss::Step;

use attempt_count::attempts_behind;
use attempts::Attempts;
use kept::{Kept, Levels};
pub use left_out::LeftOut;

/// The account of the honest shards' noise over any number of disturbed rounds.
///
/// By default it counts the noise alone. All results are upper bounds, as those of
/// [`epsilon`](fn@crate::epsilon), with which they agree to the last bit for a constant volume and no extras.
/// The margin of 5e-5 a round is counted twice for the other mechanisms, of which the adversary sees two
/// counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Account {
    mechanism: Mechanism,
    lost_noise: u32,
    left_out: Option<LeftOut>,
    attempts: Option<Attempts>,
    pairs: u8,
    kept: Kept,
}

/// Reason why an account cannot be made.
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
    /// Lost noise where the noise is wider than any document's.
    #[error(
        "lost noise is computed for noise that documents can hold: sigma up to {most}, \
         and up to {MAX_VOLUME} deposits a shard",
        most = Sigma::MAX.pairs()
    )]
    TooWide,
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
    /// A rate of false positives that is none, or that no filter has.
    #[error(
        "a rate of false positives lies from 0 to 0.25, got {0}; filters are made for 2^-20, about \
         1e-6"
    )]
    FalsePositive(f64),
    /// No pair, or more than are computed.
    #[error("a conversation has from 1 to {most} pairs, got {0}", most = Budget::MAX_PAIRS)]
    Pairs(u8),
    /// Both a fixed number of lost deposits and attempts, which count what is lost.
    #[error(
        "attempts count how many noise deposits are lost in which round: give either them or a \
         number lost in every round"
    )]
    LostTwice,
}

/// The probability of more attempts than are counted for: negligible beside any delta that is asked for.
const MORE_ATTEMPTS: f64 = 1e-12;

/// The onions of the two users in question, for each pair of their conversation.
const USERS: u32 = 4;

impl Account {
    /// The account of a mechanism's noise alone.
    ///
    /// # Errors
    /// [`AccountError::NobodyHonest`] if it has no shards.
    pub fn new(mechanism: Mechanism) -> Result<Self, AccountError> {
        if mechanism.shards() == 0 {
            return Err(AccountError::NobodyHonest);
        }
        let (left_out, attempts, kept) = (None, None, Kept::default());
        Ok(Self { mechanism, lost_noise: 0, left_out, attempts, pairs: 1, kept })
    }

    /// Conversations have `pairs` pairs: the count moves by as many, and as many times more onions are
    /// users'.
    ///
    /// # Errors
    /// [`AccountError::Pairs`] unless they are 1 to [`Budget::MAX_PAIRS`]; with attempts,
    /// [`AccountError::TooFewOnions`] if there is too little noise.
    pub fn with_pairs(mut self, pairs: u8) -> Result<Self, AccountError> {
        if !(1..=Budget::MAX_PAIRS).contains(&pairs) {
            return Err(AccountError::Pairs(pairs));
        }
        self.pairs = pairs;
        self.kept = self.kept.with_other_extras();
        let users = self.users();
        self.left_out = self.left_out.map(|left_out| left_out.of_users(users)).transpose()?;
        self.attempts = self.attempts.map(|attempts| attempts.of_users(users)).transpose()?;
        Ok(self)
    }

    /// Onions of the users in question.
    fn users(&self) -> u32 {
        USERS * u32::from(self.pairs)
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
            self.of_documents()?;
        }
        self.lost_noise = deposits;
        self.kept = self.kept.with_other_extras();
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
            self.left_out =
                Some(LeftOut::new(attempts, self.mechanism.volume() as u64, self.users())?);
        }
        Ok(self)
    }

    /// In all, there are `attempts` rounds in which noise onions are dropped or onions left out,
    /// noticed or not, any number of them in each; a filter claims an onion that it does not hold with
    /// probability `false_positive`, that of the fullest filter accepted. Counts what the adversary
    /// is told as [`Self::with_left_out_attempts`] does, and all that is lost unnoticed.
    ///
    /// # Errors
    /// Those of [`Self::with_left_out_attempts`]; [`AccountError::FalsePositive`] for a rate out of
    /// range; [`AccountError::LostTwice`] together with lost noise.
    pub fn with_attempts(
        mut self,
        attempts: u32,
        false_positive: f64,
    ) -> Result<Self, AccountError> {
        self.attempts = None;
        self.kept = self.kept.with_other_extras();
        if attempts > 0 {
            self.of_documents()?;
            let onions = self.mechanism.volume() as u64;
            self.attempts = Some(Attempts::new(attempts, onions, self.users(), false_positive)?);
        }
        if self.attempts.is_some() && self.lost_noise > 0 {
            return Err(AccountError::LostTwice);
        }
        Ok(self)
    }

    /// Number of attempts behind `counted` ones, if only those are counted that somebody notices. More have a
    /// probability of at most 1e-12.
    ///
    /// # Errors
    /// Those of [`Self::with_attempts`], for that many.
    pub fn attempts_behind(&self, counted: u32, false_positive: f64) -> Result<u32, AccountError> {
        let account = self.clone().with_attempts(counted, false_positive)?;
        let unnoticed = account.attempts.map_or(0.5, Attempts::unnoticed);
        Ok(attempts_behind(counted, unnoticed, MORE_ATTEMPTS))
    }

    /// The mechanism accounted for.
    #[must_use]
    pub fn mechanism(&self) -> &Mechanism {
        &self.mechanism
    }

    /// An upper bound on epsilon at `delta` over `rounds` disturbed rounds; 0 if `delta` covers
    /// everything, infinite if there is none.
    #[must_use]
    pub fn epsilon(&self, delta: f64, rounds: u32, step: Step) -> f64 {
        self.round(step).compose(Aim::Delta(delta), rounds).epsilon(delta)
    }

    /// An upper bound on delta at `epsilon` over `rounds` disturbed rounds.
    #[must_use]
    pub fn delta(&self, epsilon: f64, rounds: u32, step: Step) -> f64 {
        self.round(step).compose(Aim::Epsilon(epsilon), rounds).delta(epsilon)
    }

    /// The most disturbed rounds whose epsilon at `delta` is no more than `epsilon`; 0 if one is
    /// too many, and at most [`Budget::MAX_DISTURBED_ROUNDS`].
    ///
    /// # Errors
    /// [`BudgetError`] unless both are in range for a budget.
    pub fn rounds(&self, epsilon: f64, delta: f64, step: Step) -> Result<u32, BudgetError> {
        Budget::new(epsilon, delta, 1)?;
        let round = self.round(step);
        let keeps = |rounds| round.compose(Aim::Delta(delta), rounds).epsilon(delta) <= epsilon;
        let mut beyond = 1;
        // Doubled until it is too many, then halved in between: more rounds never tell less.
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

    /// Checks that the noise has a fixed volume and that a document can hold it.
    fn of_documents(&self) -> Result<(), AccountError> {
        self.fixed_volume()?;
        match &self.mechanism {
            Mechanism::ConstantVolume(shards)
                if !shards.iter().all(|shard| shard.is_for_documents()) =>
            {
                Err(AccountError::TooWide)
            }
            _ => Ok(()),
        }
    }

    fn fixed_volume(&self) -> Result<(), AccountError> {
        match self.mechanism {
            Mechanism::ConstantVolume(_) => Ok(()),
            Mechanism::Poisson { .. } | Mechanism::Laplace { .. } => {
                Err(AccountError::VolumeNotFixed)
            }
        }
    }

    fn round(&self, step: Step) -> Round<'_> {
        let by = step.pairs() * u32::from(self.pairs);
        let levels = || match self.attempts {
            Some(_) => self.mechanism.losses(by),
            None => {
                let loss = self.mechanism.loss(by, self.lost_noise, &self.kept.sum);
                loss.into_iter().map(|loss| (0, loss)).collect()
            }
        };
        Round {
            levels: self.kept.levels(step, levels),
            attempts: self.attempts,
            left_out: self.left_out.map(LeftOut::repeated),
            counts: if self.fixed_volume().is_ok() { 1.0 } else { 2.0 },
        }
    }
}

/// The losses of one round, ready to be composed.
struct Round<'a> {
    levels: &'a Levels,
    attempts: Option<Attempts>,
    left_out: Option<Repeated>,
    /// Number of counts that are seen: each has a margin.
    counts: f64,
}

impl Round<'_> {
    /// Composes with errors that are small beside what is asked for.
    fn compose(&self, aim: Aim, rounds: u32) -> ComposedLoss {
        let Some((_, first)) = self.levels.first() else { return ComposedLoss::nothing_hidden() };
        let rounds = rounds.max(1);
        let (mut parts, failing) = match self.attempts {
            Some(attempts) => attempts.losses(self.levels, rounds, aim.tail()),
            None => (vec![Repeated { loss: first.clone(), times: rounds }], 0.0),
        };
        parts.extend(self.left_out.clone());
        composed(parts, self.counts * margin(rounds), aim).failing(failing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distribution::PairDistribution;

    #[test]
    fn what_a_round_tells_is_computed_once_however_much_is_asked() {
        let shard = PairDistribution::new(1616, Sigma::from_units(101 << 10).unwrap()).unwrap();
        let account = Account::new(Mechanism::ConstantVolume(vec![shard; 4])).unwrap();
        let first = account.epsilon(1e-6, 1000, Step::One);
        let again = || -> Levels { unreachable!("it is there") };
        assert_eq!(account.kept.levels(Step::One, again).len(), 1);
        // With other extras the round tells something else, of the same sum.
        let other = account.clone().with_pairs(2).unwrap();
        assert!(other.kept.sum.get().is_some());
        assert!(other.epsilon(1e-6, 1000, Step::One) > first);
        assert_eq!(account.epsilon(1e-6, 1000, Step::One), first);
    }
}
