//! `antiphon attack`: adversaries against simulated networks, and what they learn.

mod beats;
mod progress;
mod report;
mod table;
mod text;

use std::io;
use std::path::PathBuf;

use antiphon_attack::ideal::Broken;
use antiphon_attack::{
    self as attack, Against, AttackError, Measurement, Options, Play, Size, Strategy, Verdict,
    suite,
};
use antiphon_process::config_file::read_bounded;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};

use crate::cli::json::JsonArguments;
use crate::exit::{EXIT_CODES, Exit, Exits};
use crate::output::{self, OutputError};

use progress::Progress;
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

There are three verdicts. The bound is `exceeded` if the whole interval of the advantage is above it, \
the attack is `within` it if no part of the interval is, and else it is `undecided`: the trials are too few, or \
the attack reaches the bound. The intervals of one run hold all at once with a confidence of 99 %.

A broken network lacks one defence. An attack that cannot tell it from an intact one proves nothing: \
`caught` means that it exceeds the bound.

An intact network whose bound is exceeded is a failure, and with --all a broken one that goes \
unnoticed, too: exit code 1. One strategy that is undecided: exit code 4.

Examples:
  antiphon attack --list
      the strategies, and the broken networks that each has to notice
  antiphon attack --strategy drop-one-each
  antiphon attack --strategy drop-noise --broken no-verification
  antiphon attack --strategy repeated --rounds 100 --trials 10000 --json -
  antiphon attack --strategy drop-one-each --shards 100 --users 2000 --hops 14
  antiphon attack --all
  antiphon attack --beats
  antiphon attack --all --large --seed 1,2,3 --json attacks.json
  antiphon attack --table attacks.json"
)]
pub(crate) struct AttackArguments {
    /// What the adversary does; see --list
    #[arg(
        long, value_name = "NAME", required_unless_present_any = ["list", "all", "table", "beats"],
        value_parser = strategy_parser(), hide_possible_values = true
    )]
    strategy: Option<&'static str>,
    /// The defence that the network lacks; none by default
    #[arg(
        long, value_name = "VARIANT", conflicts_with = "all", value_parser = broken_parser(),
        hide_possible_values = true
    )]
    broken: Option<Broken>,
    /// The worlds to tell apart: idle, A talks to B or both are idle; pattern, A-B and C-D or A-C and B-D.
    /// By default idle, and both with --all
    #[arg(long, value_name = "WORLDS", value_parser = against_parser(), hide_possible_values = true)]
    against: Option<Against>,
    /// How often to play; by default as often as takes a few seconds
    #[arg(long, value_name = "N")]
    trials: Option<u64>,
    /// Rounds of one trial; by default what suits the strategy
    #[arg(long, value_name = "K", conflicts_with = "all")]
    rounds: Option<u32>,
    /// Shards of the network, with the strategy's malicious share; by default a handful
    #[arg(long, value_name = "N", conflicts_with = "all")]
    shards: Option<u16>,
    /// Users, those in question included
    #[arg(long, value_name = "N", conflicts_with = "all")]
    users: Option<usize>,
    /// Mixing hops of a path
    #[arg(long, value_name = "M", conflicts_with = "all")]
    hops: Option<u8>,
    /// Where all randomness comes from; several, to measure again with each
    #[arg(long, value_name = "SEEDS", default_value = "1", value_delimiter = ',')]
    seed: Vec<u64>,
    /// Run every strategy on the intact network and on those it has to notice
    #[arg(long, conflicts_with_all = ["strategy", "list"])]
    all: bool,
    /// Run every strategy on the beats of rounds: --trials is how many rounds each is played on
    #[arg(
        long,
        conflicts_with_all = [
            "strategy", "all", "list", "table", "broken", "against", "rounds", "shards", "users", "hops", "large"
        ]
    )]
    beats: bool,
    /// With --all: on networks of 100 shards and 2000 users as well
    #[arg(long, conflicts_with_all = ["strategy", "list", "table"])]
    large: bool,
    /// List the strategies and the broken networks
    #[arg(long, conflicts_with = "strategy")]
    list: bool,
    /// Print what --all stored as JSON as a table in Markdown
    #[arg(long, value_name = "PATH", conflicts_with_all = ["strategy", "all", "list", "json"])]
    table: Option<PathBuf>,
    #[command(flatten)]
    json: JsonArguments,
}

/// Names with what they stand for: clap says which one is near a mistyped one.
fn strategy_parser() -> impl clap::builder::TypedValueParser<Value = &'static str> {
    let names = || attack::all().into_iter().map(|strategy| strategy.profile().name);
    PossibleValuesParser::new(names().map(PossibleValue::new)).map(move |name| {
        // The parser lets no other through.
        names().find(|known| *known == name).unwrap_or_default()
    })
}

fn broken_parser() -> impl clap::builder::TypedValueParser<Value = Broken> {
    PossibleValuesParser::new(Broken::ALL.map(Broken::name)).try_map(|name| name.parse())
}

fn against_parser() -> impl clap::builder::TypedValueParser<Value = Against> {
    PossibleValuesParser::new(["idle", "pattern"]).try_map(|name| name.parse())
}

/// Reason why there is no measurement.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttackCommandError {
    /// It cannot be measured.
    #[error(transparent)]
    Attack(#[from] AttackError),
    /// It is there but cannot be handed over.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A stored measurement cannot be read.
    #[error("cannot read {path}: {source}")]
    Stored {
        /// Path of the stored measurements.
        path: PathBuf,
        /// Error of the system, or of the content.
        source: io::Error,
    },
    /// The trials show nothing either way.
    #[error("the trials show nothing either way: {}", undecided.join("; "))]
    Undecided {
        /// Measurements that are undecided, in words.
        undecided: Vec<String>,
    },
    /// A bound is exceeded, or something that is broken goes unnoticed.
    #[error("{} of {of} measurements are not as they should be:\n  {}", wrong.len(), wrong.join("\n  "))]
    NotAsTheyShouldBe {
        /// Measurements that are not as they should be, in words.
        wrong: Vec<String>,
        /// Number of all measurements.
        of: usize,
    },
}

impl Exits for AttackCommandError {
    fn exit(&self) -> Exit {
        match self {
            Self::Attack(_) | Self::Stored { .. } => Exit::Usage,
            Self::Output(error) => error.exit(),
            Self::NotAsTheyShouldBe { .. } => Exit::Failed,
            Self::Undecided { .. } => Exit::Undecided,
        }
    }
}

/// Measures what is asked for and prints it.
pub(crate) fn run(arguments: &AttackArguments) -> Result<(), AttackCommandError> {
    let AttackArguments { against, trials, large, ref seed, .. } = *arguments;
    let json = &arguments.json;
    if arguments.list {
        let strategies: Vec<Listed> = attack::all().into_iter().map(Listed::of).collect();
        return Ok(json.deliver(&strategies, &(text::list() + &beats::list()))?);
    }
    if arguments.beats {
        return beats::run(trials, seed.first().copied().unwrap_or_default(), json);
    }
    if let Some(path) = &arguments.table {
        let read = read_bounded(path).and_then(|text| Ok(serde_json::from_str(&text)?));
        let reports: Vec<Report> =
            read.map_err(|source| AttackCommandError::Stored { path: path.clone(), source })?;
        return Ok(output::print(&table::markdown(&reports))?);
    }
    match arguments.strategy {
        Some(name) => one(attack::named(name)?, &arguments.options(), json),
        None => many(&suite(against, seed, trials, large), json),
    }
}

impl AttackArguments {
    /// One for each seed.
    fn options(&self) -> Vec<Options> {
        let options = Options {
            broken: self.broken,
            against: self.against.unwrap_or(Against::Idle),
            trials: self.trials,
            rounds: self.rounds,
            size: Size { shards: self.shards, users: self.users, mixing_hops: self.hops },
            comparisons: self.seed.len() as u32,
            ..Options::default()
        };
        self.seed.iter().map(|&seed| Options { seed, ..options }).collect()
    }
}

/// One strategy, in words.
fn one(
    strategy: &'static dyn Strategy,
    seeds: &[Options],
    json: &JsonArguments,
) -> Result<(), AttackCommandError> {
    let mut measured = Vec::new();
    for options in seeds {
        let progress = Progress::start(1);
        measured.push(progress.measure(&Play { strategy, options: *options })?);
        progress.finish();
    }
    let texts: Vec<String> = measured.iter().map(|one| text::one(strategy, one)).collect();
    let reports: Vec<Report> =
        measured.iter().map(|one| Report::of(one, seeds.len() as u32)).collect();
    match &reports[..] {
        [only] => json.deliver(only, &texts.concat())?,
        several => json.deliver(&several, &texts.join("\n"))?,
    }
    // A broken network may stay unnoticed here: few trials, or not what the strategy is for.
    verdict(&measured, |measured| measured.caught() && measured.broken.is_none())?;
    let is_undecided = |one: &&Measurement| matches!(one.verdict(), Verdict::Undecided { .. });
    let undecided: Vec<String> = measured.iter().filter(is_undecided).map(text::name).collect();
    if undecided.is_empty() { Ok(()) } else { Err(AttackCommandError::Undecided { undecided }) }
}

/// Many, in a table.
fn many(plays: &[Play], json: &JsonArguments) -> Result<(), AttackCommandError> {
    json.print(&text::head())?;
    let progress = Progress::start(plays.len());
    let mut measured = Vec::new();
    for play in plays {
        let one = progress.measure(play)?;
        progress.beside(|| json.print(&text::row(&one)))?;
        measured.push(one);
    }
    progress.finish();
    let reports: Vec<Report> =
        measured.iter().map(|one| Report::of(one, plays.len() as u32)).collect();
    json.write(&reports)?;
    verdict(&measured, |measured| !measured.as_it_should_be())?;
    Ok(json.print(&text::summary(&measured))?)
}

fn verdict(
    measured: &[Measurement],
    is_wrong: impl Fn(&Measurement) -> bool,
) -> Result<(), AttackCommandError> {
    let wrong: Vec<String> =
        measured.iter().filter(|one| is_wrong(one)).map(text::complaint).collect();
    if wrong.is_empty() {
        return Ok(());
    }
    Err(AttackCommandError::NotAsTheyShouldBe { wrong, of: measured.len() })
}
