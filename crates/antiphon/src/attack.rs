//! `antiphon attack`: adversaries against simulated networks, and what they learn.

mod report;
mod text;

use antiphon_sim::attack::{self, Against, AttackError, Measurement, Options, Strategy};
use antiphon_sim::ideal::Broken;
use clap::Args;

use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::{self, JsonTarget, OutputError};

use report::{Listed, Report};

/// Attack simulated networks and measure what an adversary learns
#[derive(Debug, Args)]
#[command(
    after_long_help = EXIT_CODES,
    long_about = "\
Attack simulated networks and measure what an adversary learns.

In each trial a fair coin decides whether A talks to B or both are idle. The adversary plays its \
strategy, sees what the threat model lets it see, and names the likelier of the two. Twice the \
share of right guesses, less one, is its advantage. Beside it stands the bound that the intact \
network guarantees for the same case. The network is small and its noise little, so that the bound \
is large enough to be put to the test; that it holds there says that the arithmetic behind it does.

A broken network lacks one defence. An attack that cannot tell it from an intact one proves nothing: \
`caught` means that the advantage exceeds the bound, at the lower end of its 99 % interval.

Examples:
  antiphon attack --list
      the strategies, and the broken networks that each has to notice
  antiphon attack --strategy drop-one-each
  antiphon attack --strategy drop-noise --broken no-verification
  antiphon attack --strategy repeated --rounds 100 --trials 10000 --json -
  antiphon attack --all"
)]
pub(crate) struct AttackArguments {
    /// What the adversary does; see --list
    #[arg(long, value_name = "NAME", required_unless_present_any = ["list", "all"])]
    strategy: Option<String>,
    /// The defence that the network lacks; none by default
    #[arg(long, value_name = "VARIANT", conflicts_with = "all")]
    broken: Option<Broken>,
    /// The worlds to tell apart: idle, A talks to B or both are idle; pattern, A-B and C-D or A-C and B-D
    #[arg(long, value_name = "WORLDS", default_value_t = Against::Idle)]
    against: Against,
    /// How often to play; by default as often as takes a few seconds
    #[arg(long, value_name = "N")]
    trials: Option<u64>,
    /// Rounds of one trial; by default what suits the strategy
    #[arg(long, value_name = "K", conflicts_with = "all")]
    rounds: Option<u32>,
    /// Where all randomness comes from
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    seed: u64,
    /// Run every strategy on the intact network and on those it has to notice
    #[arg(long, conflicts_with_all = ["strategy", "list"])]
    all: bool,
    /// List the strategies and the broken networks
    #[arg(long, conflicts_with = "strategy")]
    list: bool,
    /// Write the figures as JSON to this file, or to standard output in place of the text: -
    #[arg(long, value_name = "PATH")]
    json: Option<JsonTarget>,
}

/// Why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttackCommandError {
    /// It cannot be measured.
    #[error(transparent)]
    Attack(#[from] AttackError),
    /// It is there but cannot be handed over.
    #[error(transparent)]
    Output(#[from] OutputError),
}

impl Exits for AttackCommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Attack(_) => Exit::Usage,
            Self::Output(error) => error.exit(),
        }
    }
}

/// Measures and prints.
pub(crate) fn run(arguments: &AttackArguments) -> Result<(), AttackCommandError> {
    let json = arguments.json.as_ref();
    if arguments.list {
        let strategies: Vec<Listed> = attack::all().into_iter().map(Listed::of).collect();
        output::deliver(json, &strategies, &text::list())?;
    } else if let Some(name) = &arguments.strategy {
        let strategy = attack::named(name)?;
        let measured = arguments.measure(strategy, arguments.broken)?;
        output::deliver(json, &Report::of(&measured), &text::one(strategy, &measured))?;
    } else {
        let mut reports = Vec::new();
        if json != Some(&JsonTarget::Stdout) {
            output::print(&text::head())?;
        }
        for (strategy, broken) in pairings(arguments.against) {
            let measured = arguments.measure(strategy, broken)?;
            if json != Some(&JsonTarget::Stdout) {
                output::print(&text::row(&measured))?;
            }
            reports.push(Report::of(&measured));
        }
        json.map_or(Ok(()), |target| target.write(&reports))?;
    }
    Ok(())
}

/// Every strategy, intact and with what it has to notice.
fn pairings(against: Against) -> Vec<(&'static dyn Strategy, Option<Broken>)> {
    let fits =
        |strategy: &&'static dyn Strategy| against == Against::Idle || strategy.tells_patterns();
    let variants = |strategy: &'static dyn Strategy| {
        let broken = strategy.notices().iter().map(|broken| Some(*broken));
        std::iter::once(None).chain(broken).map(move |broken| (strategy, broken))
    };
    attack::all().into_iter().filter(fits).flat_map(variants).collect()
}

impl AttackArguments {
    fn measure(
        &self,
        strategy: &dyn Strategy,
        broken: Option<Broken>,
    ) -> Result<Measurement, AttackError> {
        let Self { against, trials, rounds, seed, .. } = *self;
        attack::measure(strategy, &Options { broken, against, trials, rounds, seed })
    }
}
