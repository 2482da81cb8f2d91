//! All that is the same for every trial.

use antiphon_routing::MOST_MIXING_HOPS;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use super::super::game::Field;
use super::super::{Against, Bound, Game, PairCountLaw, Strategy};
use super::{AttackError, MAX_ROUNDS, MAX_SHARDS, MAX_TRIALS, MAX_USERS, Options, Size};
use crate::ideal::{Broken, IdealNetwork, IdealSetup};

/// A larger network is tried no less often than this, unless asked for.
const LEAST_TRIALS: u64 = 1000;

/// Sums over trials. Integers, so that the order in which they are added up does not matter.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outcome {
    /// Guesses that were right.
    pub(super) right: u64,
    /// The advantage that is expected by the likelihoods, in units.
    pub(super) expected: u64,
}

impl Outcome {
    /// Units of `expected` that make an advantage of one.
    pub(super) const WHOLE: f64 = (1u64 << 32) as f64;

    pub(super) fn and(self, other: Self) -> Self {
        Self { right: self.right + other.right, expected: self.expected + other.expected }
    }
}

/// A measurement about to begin.
pub(super) struct Prepared {
    pub(super) setup: IdealSetup,
    pub(super) bound: Bound,
    pub(super) trials: u64,
    pub(super) rounds: u32,
    against: Against,
    field: Field,
    parts: Vec<Field>,
    attempts: u32,
}

impl Prepared {
    pub(super) fn new(strategy: &dyn Strategy, options: &Options) -> Result<Self, AttackError> {
        let Options { broken, against, size, .. } = *options;
        let profile = strategy.profile();
        let rounds = options.rounds.unwrap_or(profile.rounds);
        if !(1..=MAX_ROUNDS).contains(&rounds) {
            return Err(AttackError::Rounds(rounds));
        }
        if profile.notices_against(against).is_none() {
            return Err(AttackError::IdleOnly(profile.name));
        }
        if size != Size::default() && !profile.scales {
            return Err(AttackError::OneSize(profile.name));
        }
        let mut case = strategy.case(against, rounds);
        let own = work(&case.setup);
        case.setup = resized(case.setup, against, size)?;
        let fewer = case.trials as f64 * own / work(&case.setup);
        let usual = case.trials.min(LEAST_TRIALS.max(fewer as u64));
        let trials = options.trials.unwrap_or(usual);
        if !(1..=MAX_TRIALS).contains(&trials) {
            return Err(AttackError::Trials(trials));
        }
        let parts = strategy.parts(&case, broken).into_iter();
        let parts = parts.map(|part| field(part, against, broken));
        Ok(Self {
            bound: Bound::of(&case, against)?,
            trials,
            rounds,
            against,
            parts: parts.collect::<Result<_, _>>()?,
            field: field(case.setup.clone(), against, broken)?,
            attempts: case.left_out_attempts,
            setup: case.setup,
        })
    }

    /// Plays one trial, whose randomness is a stream of its own.
    pub(super) fn play(&self, strategy: &dyn Strategy, seed: u64, trial: u64) -> Outcome {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(trial);
        let truth = (rng.next_u32() & 1) as usize;
        let coin = (rng.next_u32() & 1) as usize;
        let mut game = Game {
            field: &self.field,
            against: self.against,
            truth,
            rounds: self.rounds,
            parts: &self.parts,
            attempts: self.attempts,
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
        let expected = libm::tanh(0.5 * likelier.abs()) * Outcome::WHOLE;
        Outcome { right: u64::from(guess == truth), expected: expected as u64 }
    }
}

fn field(
    setup: IdealSetup,
    against: Against,
    broken: Option<Broken>,
) -> Result<Field, AttackError> {
    let noise = match broken {
        Some(Broken::NoNoise) => PairCountLaw::none(),
        _ => PairCountLaw::honest_sum(setup.honest_noise()),
    };
    let worlds = against.worlds(setup.users, setup.users - setup.bystanders);
    Ok(Field { network: IdealNetwork::new(setup, broken)?, worlds, noise })
}

/// Onions times layers of a round.
fn work(setup: &IdealSetup) -> f64 {
    (setup.noise_deposits() + 2 * setup.users as u64) as f64 * f64::from(setup.mixing_hops + 1)
}

fn resized(mut setup: IdealSetup, against: Against, size: Size) -> Result<IdealSetup, AttackError> {
    if let Some(shards) = size.shards {
        if !(2..=MAX_SHARDS).contains(&shards) {
            return Err(AttackError::Shards(shards));
        }
        setup = setup.with_shards(shards);
        let honest = setup.honest_shards();
        if honest == 0 || honest == setup.shards().len() {
            return Err(AttackError::MaliciousShare(shards));
        }
    }
    if let Some(users) = size.users {
        let least = against.users();
        if !(least..=MAX_USERS).contains(&users) {
            return Err(AttackError::Users { users, least });
        }
        setup = setup.with_users(least, users - least);
    }
    if let Some(hops) = size.mixing_hops {
        if !(2..=MOST_MIXING_HOPS).contains(&hops) {
            return Err(AttackError::MixingHops(hops));
        }
        setup.mixing_hops = hops;
    }
    Ok(setup)
}
