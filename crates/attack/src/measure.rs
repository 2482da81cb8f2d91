//! Measurement of an advantage by many trials.

mod prepared;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use antiphon_dp_noise::AccountError;
use antiphon_routing::{MOST_MIXING_HOPS, SamplerError};

use super::{Against, Bound, Interval, Strategy, clopper_pearson};
use crate::ideal::Broken;
use prepared::{Outcome, Prepared};

/// The most trials of one measurement.
pub const MAX_TRIALS: u64 = 100_000_000;

/// The most rounds of one trial.
pub const MAX_ROUNDS: u32 = 100_000;

/// The most shards of a network to attack.
pub const MAX_SHARDS: u16 = 1000;

/// The most users of a network to attack.
pub const MAX_USERS: usize = 1_000_000;

/// A network of another size than the strategy's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Shards; as many as the strategy's own network has if `None`.
    pub shards: Option<u16>,
    /// Users, those in question included.
    pub users: Option<usize>,
    /// Mixing hops; as many as the strategy's own network has if `None`.
    pub mixing_hops: Option<u8>,
}

/// Choices for one measurement.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The defence that is missing.
    pub broken: Option<Broken>,
    /// Pair of worlds to tell apart.
    pub against: Against,
    /// Number of trials; as many as the case says if `None`.
    pub trials: Option<u64>,
    /// Rounds of a trial; as many as the strategy likes if `None`.
    pub rounds: Option<u32>,
    /// Size of the network, where it differs from the strategy's own.
    pub size: Size,
    /// Where all randomness comes from.
    pub seed: u64,
    /// Number of measurements that are looked at together. Their intervals hold all at once with
    /// [`CONFIDENCE`](super::CONFIDENCE) (Bonferroni).
    pub comparisons: u32,
}

impl Default for Options {
    /// An intact network of the strategy's own size, a conversation or silence, one measurement.
    fn default() -> Self {
        Self {
            broken: None,
            against: Against::Idle,
            trials: None,
            rounds: None,
            size: Size::default(),
            seed: 1,
            comparisons: 1,
        }
    }
}

/// Result of a measurement, with the options that it was made by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// Name of the strategy.
    pub strategy: &'static str,
    /// The defence that was missing.
    pub broken: Option<Broken>,
    /// Pair of worlds that were told apart.
    pub against: Against,
    /// Shards of the network.
    pub shards: usize,
    /// Users of the network, bystanders included.
    pub users: usize,
    /// Mixing hops of the network.
    pub mixing_hops: u8,
    /// Seed of all randomness.
    pub seed: u64,
    /// Trials, each with a world drawn at random.
    pub trials: u64,
    /// Rounds of each trial, at most.
    pub rounds: u32,
    /// Trials in which the guess was right.
    pub right: u64,
    /// Twice the share of right guesses, less one.
    pub advantage: f64,
    /// The lower end of its interval.
    pub ci_low: f64,
    /// The upper end of its interval.
    pub ci_high: f64,
    /// The mean advantage that the adversary expects by its own likelihoods, which is less scattered. It
    /// is that of the best guess if they are exact.
    pub expected: f64,
    /// Bound that the intact network guarantees.
    pub bound: Bound,
}

/// Half the width of an interval of many trials, times their root: that of a normal distribution with 99 %.
const LEAST_HALF_WIDTH: f64 = 2.576;

/// Relation of a measured interval to the bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The whole interval is above it.
    Exceeded,
    /// No part of the interval is above it.
    Within,
    /// The bound lies in the interval.
    Undecided {
        /// About how many trials it takes to tell; `None` if more than [`MAX_TRIALS`].
        trials: Option<u64>,
    },
}

impl Measurement {
    /// Tells whether the advantage exceeds the bound or is within it, as far as the trials tell.
    pub fn verdict(&self) -> Verdict {
        let bound = self.bound.total();
        if self.ci_low > bound {
            Verdict::Exceeded
        } else if self.ci_high <= bound {
            Verdict::Within
        } else {
            Verdict::Undecided { trials: self.trials_to_tell(bound) }
        }
    }

    /// Intervals shrink with the root of the trials, here until they are half as wide as what is left to the
    /// bound. Those of a handful of trials end at -1 and 1, and say less than that. What is expected is less scattered than what was measured; if it is far off, it does not count.
    fn trials_to_tell(&self, bound: f64) -> Option<u64> {
        let likely = (self.ci_low..=self.ci_high).contains(&self.expected);
        let advantage = if likely { self.expected } else { self.advantage };
        let of_one = (self.ci_high - self.ci_low) / 2.0 * libm::sqrt(self.trials as f64);
        let ratio = 2.0 * of_one.max(LEAST_HALF_WIDTH) / (bound - advantage).abs();
        let trials = ratio * ratio;
        (trials <= MAX_TRIALS as f64).then_some(trials.ceil() as u64)
    }

    /// Returns `true` if the advantage exceeds the bound for certain.
    pub fn caught(&self) -> bool {
        self.verdict() == Verdict::Exceeded
    }

    /// Returns `true` if the result is as it has to be: a broken network is caught, an intact one is not.
    pub fn as_it_should_be(&self) -> bool {
        self.caught() == self.broken.is_some()
    }
}

/// Reason for which nothing is measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AttackError {
    /// There is no such strategy.
    #[error("there is no strategy {name:?}; there are {there}")]
    UnknownStrategy {
        /// Name that was asked for.
        name: String,
        /// Names of all strategies, for the message.
        there: String,
    },
    /// Too few or too many trials.
    #[error("an attack takes from 1 to {MAX_TRIALS} trials, not {0}")]
    Trials(u64),
    /// Too few or too many rounds.
    #[error("a trial takes from 1 to {MAX_ROUNDS} rounds, not {0}")]
    Rounds(u32),
    /// The strategy is for one pair of worlds only.
    #[error("{0} tells a conversation from silence only: use it against idle")]
    IdleOnly(&'static str),
    /// The strategy brings its own network.
    #[error("{0} plays with documents of its own network: its size cannot be chosen")]
    OneSize(&'static str),
    /// Too few or too many shards.
    #[error("a network to attack has from 2 to {MAX_SHARDS} shards, not {0}")]
    Shards(u16),
    /// No operator of the smaller network is malicious, or all are.
    #[error("of {0} shards none would be malicious, or all: take more")]
    MaliciousShare(u16),
    /// Too few or too many users.
    #[error("a network to attack has from {least} to {MAX_USERS} users, not {users}")]
    Users {
        /// Number that was asked for.
        users: usize,
        /// Number of users who are in question.
        least: usize,
    },
    /// Too few or too many mixing hops.
    #[error("a path has from 2 to {MOST_MIXING_HOPS} mixing hops, not {0}")]
    MixingHops(u8),
    /// There is nobody to draw hops from.
    #[error(transparent)]
    Roster(#[from] SamplerError),
    /// There is no bound to compare with.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// Measures the advantage of `strategy`, on all cores. The same options give the same figures.
///
/// # Errors
/// If the options are out of range for it.
pub fn measure(strategy: &dyn Strategy, options: &Options) -> Result<Measurement, AttackError> {
    measure_watched(strategy, options, &|_, _| ())
}

/// The same, telling `watcher` which trial is done, of how many.
///
/// Long, as half of it is the list of what was measured.
///
/// # Errors
/// If the options are out of range for it.
pub fn measure_watched(
    strategy: &dyn Strategy,
    options: &Options,
    watcher: &(dyn Fn(u64, u64) + Sync),
) -> Result<Measurement, AttackError> {
    let prepared = Prepared::new(strategy, options)?;
    let trials = prepared.trials;
    // Every trial has randomness of its own, so that it does not matter which thread plays it.
    let next = AtomicU64::new(0);
    let play = || {
        let mut sum = Outcome::default();
        loop {
            let trial = next.fetch_add(1, Ordering::Relaxed);
            if trial >= trials {
                return sum;
            }
            sum = sum.and(prepared.play(strategy, options.seed, trial));
            watcher(trial, trials);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let Outcome { right, expected } = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(play)).collect();
        let own = play();
        // A panic in a trial is a bug, and goes on here.
        let join = |other: thread::ScopedJoinHandle<'_, _>| other.join().expect("none panics");
        others.into_iter().map(join).fold(own, Outcome::and)
    });
    let Interval { low, high } = clopper_pearson(right, trials, options.comparisons);
    Ok(Measurement {
        strategy: strategy.profile().name,
        broken: options.broken,
        against: options.against,
        shards: prepared.setup.shards().len(),
        users: prepared.setup.users,
        mixing_hops: prepared.setup.mixing_hops,
        seed: options.seed,
        trials,
        rounds: prepared.rounds,
        right,
        advantage: 2.0 * right as f64 / trials as f64 - 1.0,
        ci_low: 2.0 * low - 1.0,
        ci_high: 2.0 * high - 1.0,
        expected: expected as f64 / Outcome::WHOLE / trials as f64,
        bound: prepared.bound,
    })
}
