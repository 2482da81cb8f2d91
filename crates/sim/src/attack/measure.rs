//! Playing many times.

use antiphon_dp_noise::AccountError;
use antiphon_routing::SamplerError;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::{Against, Bound, Game, PairCountLaw, Strategy, clopper_pearson};
use crate::ideal::{Broken, IdealNetwork};

/// The most trials of one measurement.
pub const MAX_TRIALS: u64 = 100_000_000;

/// The most rounds of one trial.
pub const MAX_ROUNDS: u32 = 100_000;

/// How to measure.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The defence that is missing.
    pub broken: Option<Broken>,
    /// Which worlds.
    pub against: Against,
    /// How many trials; as many as the case says if `None`.
    pub trials: Option<u64>,
    /// How many rounds a trial; as many as the strategy likes if `None`.
    pub rounds: Option<u32>,
    /// Where all randomness comes from.
    pub seed: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurement {
    /// The strategy.
    pub strategy: &'static str,
    /// The defence that was missing.
    pub broken: Option<Broken>,
    /// Which worlds.
    pub against: Against,
    /// Trials.
    pub trials: u64,
    /// Rounds of each.
    pub rounds: u32,
    /// How often the guess was right.
    pub right: u64,
    /// Twice the share of right guesses, less one.
    pub advantage: f64,
    /// The lower end of its interval.
    pub ci_low: f64,
    /// The upper end of its interval.
    pub ci_high: f64,
    /// What the intact network guarantees.
    pub bound: Bound,
}

impl Measurement {
    /// Whether the advantage exceeds the bound for certain.
    pub fn caught(&self) -> bool {
        self.ci_low > self.bound.total()
    }
}

/// Why nothing is measured.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AttackError {
    /// There is no such strategy.
    #[error("there is no strategy {name:?}; there are {there}")]
    UnknownStrategy {
        /// What was asked for.
        name: String,
        /// All names.
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
    /// There is nobody to draw hops from.
    #[error(transparent)]
    Roster(#[from] SamplerError),
    /// There is no bound to compare with.
    #[error(transparent)]
    Account(#[from] AccountError),
}

/// Measures the advantage of `strategy`.
///
/// # Errors
/// If the options are out of range for it.
pub fn measure(strategy: &dyn Strategy, options: &Options) -> Result<Measurement, AttackError> {
    let Options { broken, against, seed, .. } = *options;
    let rounds = options.rounds.unwrap_or_else(|| strategy.rounds());
    if !(1..=MAX_ROUNDS).contains(&rounds) {
        return Err(AttackError::Rounds(rounds));
    }
    if against == Against::Pattern && !strategy.tells_patterns() {
        return Err(AttackError::IdleOnly(strategy.name()));
    }
    let case = strategy.case(against, rounds);
    let trials = options.trials.unwrap_or(case.trials);
    if !(1..=MAX_TRIALS).contains(&trials) {
        return Err(AttackError::Trials(trials));
    }
    let bound = Bound::of(&case, against)?;
    let worlds = against.worlds(case.setup.users);
    let adding = if broken == Some(Broken::NoNoise) { 0 } else { case.setup.honest_shards() };
    let noise = PairCountLaw::honest_sum(case.setup.noise, adding);
    let network = IdealNetwork::new(case.setup.clone(), broken)?;
    let parts =
        strategy.parts(&case, broken).into_iter().map(|part| IdealNetwork::new(part, broken));
    let parts: Vec<IdealNetwork> = parts.collect::<Result<_, _>>()?;
    let mut right = 0;
    for trial in 0..trials {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(trial);
        let truth = (rng.next_u32() & 1) as usize;
        let coin = (rng.next_u32() & 1) as usize;
        let mut game = Game {
            network: &network,
            against,
            worlds: &worlds,
            truth,
            rounds,
            noise: &noise,
            parts: &parts,
            attempts: case.left_out_attempts,
            played: 0,
            rng,
        };
        let likelier = strategy.play(&mut game);
        let guess = if likelier > 0.0 {
            1
        } else if likelier < 0.0 {
            0
        } else {
            coin
        };
        right += u64::from(guess == truth);
    }
    let share = clopper_pearson(right, trials);
    Ok(Measurement {
        strategy: strategy.name(),
        broken,
        against,
        trials,
        rounds,
        right,
        advantage: 2.0 * right as f64 / trials as f64 - 1.0,
        ci_low: 2.0 * share.low - 1.0,
        ci_high: 2.0 * share.high - 1.0,
        bound,
    })
}
