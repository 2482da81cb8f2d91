//! `antiphon account`: what an amount of noise hides.

mod answer;
mod noise;
mod text;
mod values;

use antiphon_dp_noise::{Account, AccountError};
use clap::Args;

use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::{self, JsonTarget, OutputError};

use answer::Answer;
use noise::{NoiseArguments, NoiseError};

/// Show what an amount of noise hides
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Show what an amount of noise hides: give two of --disturbed, --delta and --epsilon, and the third \
is computed.

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
    /// Noise deposits missing unnoticed in every disturbed round
    #[arg(long, value_name = "R", default_value_t = 0)]
    lost_noise: u32,
    /// Attempts, in all, of malicious seal shards to leave onions out of their filters unnoticed
    #[arg(
        long,
        value_name = "A",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000)
    )]
    left_out_attempts: u32,
    /// The rate of false positives of the fullest filter accepted; comes out of delta every round
    #[arg(long, value_name = "P", default_value_t = 0.0)]
    false_positive: f64,
    /// Write the figures as JSON to this file, or to standard output in place of the text: -
    #[arg(long, value_name = "PATH")]
    json: Option<JsonTarget>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
enum Question {
    Epsilon { disturbed: u32, delta: f64 },
    Delta { disturbed: u32, epsilon: f64 },
    Rounds { epsilon: f64, delta: f64 },
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AccountCommandError {
    /// Not two of the three.
    #[error("give two of --disturbed, --delta and --epsilon; the third is computed")]
    Question,
    /// The noise makes no sense.
    #[error(transparent)]
    Noise(#[from] NoiseError),
    /// What comes beside it makes no sense.
    #[error(transparent)]
    Extras(#[from] AccountError),
    /// More is given away outright than delta allows.
    #[error(
        "no epsilon holds at delta = {delta:e} over {disturbed} disturbed rounds: with probability \
         {least:.2e} the noise runs into its ends or what is set aside happens. {instead}"
    )]
    NoEpsilon {
        /// The delta asked for.
        delta: f64,
        /// The rounds asked for.
        disturbed: u32,
        /// The least delta that has one.
        least: f64,
        /// What would do.
        instead: String,
    },
    /// Not a single round.
    #[error("not one disturbed round keeps epsilon {epsilon:.5} at delta = {delta:e}: {instead}")]
    NoRound {
        /// The epsilon asked for.
        epsilon: f64,
        /// The delta asked for.
        delta: f64,
        /// What would do.
        instead: String,
    },
    /// The answer is there but cannot be handed over.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for AccountCommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Question | Self::Noise(_) | Self::Extras(_) => Exit::Usage,
            Self::NoEpsilon { .. } | Self::NoRound { .. } => Exit::Failed,
            Self::Output(error) => error.exit(),
        }
    }
}

/// Answers and prints.
pub(crate) fn run(arguments: &AccountArguments) -> Result<(), AccountCommandError> {
    let question = arguments.question()?;
    let account = Account::new(arguments.noise.mechanism()?)?
        .with_lost_noise(arguments.lost_noise)?
        .with_left_out_attempts(arguments.left_out_attempts)?
        .with_false_positives(arguments.false_positive)?;
    let answer = Answer::of(question, &account, arguments)?;
    output::deliver(arguments.json.as_ref(), &answer, &text::render(&answer))?;
    Ok(())
}

impl AccountArguments {
    fn question(&self) -> Result<Question, AccountCommandError> {
        match (self.disturbed, self.delta, self.epsilon) {
            (Some(disturbed), Some(delta), None) => Ok(Question::Epsilon { disturbed, delta }),
            (Some(disturbed), None, Some(epsilon)) => Ok(Question::Delta { disturbed, epsilon }),
            (None, Some(delta), Some(epsilon)) => Ok(Question::Rounds { epsilon, delta }),
            _ => Err(AccountCommandError::Question),
        }
    }
}
