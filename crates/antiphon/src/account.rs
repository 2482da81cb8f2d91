//! `antiphon account`: what an amount of noise hides.

mod answer;
mod noise;
mod text;

use std::iter::repeat_n;

use antiphon_dp_noise::{
    Account, AccountError, Budget, BudgetError, Cut, MAX_VOLUME, Mechanism, OperatorShare,
    PairDistribution, Sigma, SolveError, Step, solve_beyond,
};
use clap::Args;

use crate::cli::json::JsonArguments;
use crate::cli::values;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::OutputError;

use answer::Answer;
use noise::{NoiseArguments, NoiseError};

/// Show what an amount of noise hides
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Show what an amount of noise hides: give two of --disturbed, --delta and --epsilon, and the third \
is computed. Give all three and no noise, and the least volume is computed that keeps them.

The noise is that of the honest shards alone. Epsilon and delta bound what an adversary learns about \
whether two users talk, over all disturbed rounds together; beside them stands the figure for \
telling one pattern of conversations from another, where the count of pairs moves by two. All \
results are upper bounds.

Examples:
  antiphon account --honest 4 --sigma 101 --volume 1616 --disturbed 1000 --delta 1e-6
      epsilon of the default network
  antiphon account --honest 4 --sigma 101 --volume 1616 --disturbed 1000 --epsilon ln2
      delta at an epsilon of 0.693
  antiphon account --honest 4 --sigma 101 --volume 1616 --epsilon ln4 --delta 1e-4
      for how many disturbed rounds it lasts
  antiphon account --honest 4 --sigma 101 --volume 1616 --disturbed 1000 --delta 1e-6 --attempts 100
      epsilon if noise onions are dropped, or onions left out of filters, a hundred times
  antiphon account --honest 80 --disturbed 1000 --epsilon ln2 --delta 1e-6 --least-cut 2
      the least volume of a shard whose cut lies at two sigma or beyond
  antiphon account --mechanism poisson --honest 80 --mean 3100 --disturbed 1000 --delta 1e-6
      the same for noise as Stadium adds it
  antiphon account --mechanism laplace --honest 1 --mean 13800 --scale 300 --disturbed 1 --delta 1e-6
      and as Vuvuzela does"
)]
pub(crate) struct AccountArguments {
    #[command(flatten)]
    noise: NoiseArguments,
    /// K: the disturbed rounds of a conversation, together
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    disturbed: Option<u32>,
    /// The probability with which epsilon may fail
    #[arg(long, value_name = "PROBABILITY", value_parser = values::delta)]
    delta: Option<f64>,
    /// How far an adversary's belief may move: a number, or ln2, ln4, ...
    #[arg(long, value_name = "EPSILON", value_parser = values::epsilon)]
    epsilon: Option<f64>,
    /// Pairs of onions in a conversation: the count that is seen moves by as many
    #[arg(
        long,
        value_name = "P",
        default_value_t = 1,
        value_parser = clap::value_parser!(u8).range(1..=i64::from(Budget::MAX_PAIRS))
    )]
    pairs: u8,
    /// How near the cut may lie, in sigmas, where the least volume is asked for; 0: a flat distribution
    #[arg(long, value_name = "SIGMAS", value_parser = values::cut)]
    least_cut: Option<Cut>,
    /// Noise deposits missing unnoticed in every disturbed round
    #[arg(long, value_name = "R", default_value_t = 0)]
    lost_noise: u32,
    /// Rounds, in all, in which noise onions are dropped or onions left out of filters, noticed or not
    #[arg(
        long,
        value_name = "A",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=100_000)
    )]
    attempts: u32,
    /// With --attempts: the rate of false positives of the fullest filter accepted [default: 2^-20]
    #[arg(long, value_name = "P", requires = "attempts", value_parser = values::false_positives)]
    false_positive: Option<f64>,
    /// Attempts to leave onions out alone, without what is lost of the noise
    #[arg(
        long,
        value_name = "A",
        default_value_t = 0,
        conflicts_with = "attempts",
        value_parser = clap::value_parser!(u32).range(0..=100_000)
    )]
    left_out_attempts: u32,
    #[command(flatten)]
    json: JsonArguments,
}

/// The rate of false positives that filters are made for.
const NOMINAL_RATE: f64 = 1.0 / (1 << 20) as f64;

/// Figure that is asked for, with the two that are given.
#[derive(Clone, Copy, Debug)]
enum Question {
    Epsilon { disturbed: u32, delta: f64 },
    Delta { disturbed: u32, epsilon: f64 },
    Rounds { epsilon: f64, delta: f64 },
    Volume { disturbed: u32, epsilon: f64, delta: f64 },
}

/// Reason why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountCommandError {
    /// Not two of the three.
    #[error(
        "give two of --disturbed, --delta and --epsilon, and the third is computed; or all three \
         without --sigma and --volume, and the least volume is"
    )]
    Question,
    /// A rule for the cut of noise that is given.
    #[error(
        "--least-cut is for the least volume: give --disturbed, --delta and --epsilon, and neither \
         --sigma nor --volume"
    )]
    CutOfGiven,
    /// The budget makes no sense.
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// No volume is enough.
    #[error("{0}{1}")]
    Volume(SolveError, String),
    /// The noise makes no sense.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// Lost noise, attempts or pairs make no sense.
    #[error(transparent)]
    Extras(#[from] AccountError),
    /// More is given away outright than delta allows.
    #[error(
        "no epsilon holds at delta = {delta:e} over {disturbed} disturbed rounds: with probability \
         {least:.2e} the noise runs into its ends, which shows outright. {instead}"
    )]
    NoEpsilon {
        /// The delta asked for.
        delta: f64,
        /// The rounds asked for.
        disturbed: u32,
        /// The least delta that has one.
        least: f64,
        /// Values that would do.
        instead: String,
    },
    /// Not a single round.
    #[error("not one disturbed round keeps epsilon {epsilon:.5} at delta = {delta:e}: {instead}")]
    NoRound {
        /// The epsilon asked for.
        epsilon: f64,
        /// The delta asked for.
        delta: f64,
        /// Values that would do.
        instead: String,
    },
    /// The answer is there but cannot be handed over.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for AccountCommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Question
            | Self::CutOfGiven
            | Self::Noise(_)
            | Self::Extras(_)
            | Self::Budget(_) => Exit::Usage,
            Self::NoEpsilon { .. } | Self::NoRound { .. } | Self::Volume(..) => Exit::Failed,
            Self::Output(error) => error.exit(),
        }
    }
}

/// Computes the missing figure and prints it.
pub(crate) fn run(arguments: &AccountArguments) -> Result<(), AccountCommandError> {
    let question = arguments.question()?;
    let mechanism = match question {
        Question::Volume { disturbed, epsilon, delta } => {
            let budget = Budget::new(epsilon, delta, disturbed)?.with_pairs(arguments.pairs)?;
            arguments.least(&budget)?
        }
        _ => arguments.noise.mechanism()?,
    };
    // Each step refuses figures that no account can be made of.
    let account = Account::new(mechanism)?
        .with_pairs(arguments.pairs)?
        .with_lost_noise(arguments.lost_noise)?
        .with_left_out_attempts(arguments.left_out_attempts)?
        .with_attempts(arguments.attempts, arguments.false_positive())?;
    let answer = Answer::of(question, &account, arguments)?;
    arguments.json.deliver(&answer, &text::render(&answer))?;
    Ok(())
}

impl AccountArguments {
    fn question(&self) -> Result<Question, AccountCommandError> {
        let given = self.noise.sigma.is_some() || self.noise.volume.is_some();
        let question = match (self.disturbed, self.delta, self.epsilon) {
            (Some(disturbed), Some(delta), None) => Question::Epsilon { disturbed, delta },
            (Some(disturbed), None, Some(epsilon)) => Question::Delta { disturbed, epsilon },
            (None, Some(delta), Some(epsilon)) => Question::Rounds { epsilon, delta },
            (Some(disturbed), Some(delta), Some(epsilon)) if !given && self.noise.is_gaussian() => {
                Question::Volume { disturbed, epsilon, delta }
            }
            _ => return Err(AccountCommandError::Question),
        };
        if self.least_cut.is_some() && !matches!(question, Question::Volume { .. }) {
            return Err(AccountCommandError::CutOfGiven);
        }
        Ok(question)
    }

    /// The noise of the least volume that keeps a budget.
    fn least(&self, budget: &Budget) -> Result<Mechanism, AccountCommandError> {
        let honest = self.noise.honest()?;
        let shards = u16::try_from(honest).map_err(|_| NoiseError::TooMany(honest))?;
        let nearest = self.least_cut.unwrap_or(Cut::FOUR_SIGMA);
        let solved = solve_beyond(budget, &[OperatorShare { weight: 1, shards }], 0, nearest);
        let noise = solved
            .map_err(|error| AccountCommandError::Volume(error, self.nearest_possible(budget)))?;
        let each = noise.per_operator.into_iter().flat_map(|each| repeat_n(each, honest as usize));
        Ok(Mechanism::ConstantVolume(each.collect()))
    }

    /// Figures that the most noise keeps, to go behind an explanation.
    fn nearest_possible(&self, budget: &Budget) -> String {
        let (delta, disturbed) = (budget.delta(), budget.disturbed_rounds());
        let Ok(honest) = self.noise.honest() else { return String::new() };
        // With one shard or two the ends of the distribution show unless they are far away.
        let least = (4..=8)
            .filter_map(|cut| {
                let sigma = Sigma::from_units(Sigma::MAX.units() / cut * 4).ok()?;
                let shard = PairDistribution::new(MAX_VOLUME, sigma).ok()?;
                let shards = vec![shard; honest as usize];
                let account = Account::new(Mechanism::ConstantVolume(shards)).ok()?;
                let account = account.with_pairs(self.pairs).ok()?;
                Some(account.epsilon(delta, disturbed, Step::One))
            })
            .min_by(f64::total_cmp);
        match least.filter(|least| least.is_finite()) {
            Some(least) => format!(". Possible instead: an epsilon of {least:.4}"),
            None => String::new(),
        }
    }

    fn false_positive(&self) -> f64 {
        self.false_positive.unwrap_or(NOMINAL_RATE)
    }
}
