//! Runs the swarm: random networks in random trouble, one after the other, until one breaks.

#![allow(
    clippy::disallowed_methods,
    reason = "how long it runs is a matter of the clock on the wall"
)]

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use antiphon_sim::swarm::{Broken, Plan, Swarm, Totals, seeds};
use clap::Parser;
use serde::Serialize;

/// Interval of lines that tell of progress where there is no terminal.
const LINES_APART: Duration = Duration::from_secs(15);
/// Lines of the log that are printed of a network that broke.
const LAST_LINES: usize = 60;

/// Run random networks in random trouble, one after the other, and stop at the first that breaks.
///
/// Each network is drawn from a seed of its own: shards, operators, clients, links, conversations,
/// crashes, wrong clocks, and what an adversary does. After every message it is checked that no
/// promise was broken; after all trouble, that rounds go on, that every message has come once, and
/// that nobody was charged but for what was disturbed.
#[derive(Debug, Parser)]
#[command(
    name = "antiphon-sim",
    version,
    after_long_help = "\
Exit codes:
  0  no network broke
  1  one did: its plan and how to replay it are printed
  2  the command line is wrong, or a file cannot be written"
)]
struct Arguments {
    /// The number that all networks' seeds follow from [default: from the clock]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// For how many minutes to begin networks
    #[arg(long, value_name = "M", default_value_t = 1.0)]
    minutes: f64,
    /// Run the network of this seed, and no other
    #[arg(long, value_name = "SEED", conflicts_with_all = ["seed", "minutes"])]
    only: Option<u64>,
    /// With --only: print all that the coordinator and the shards reported
    #[arg(long, requires = "only")]
    log: bool,
    /// The commit to name if a network breaks [default: what git says]
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// Write what was done as JSON to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The outcome of all networks, as programs read it.
#[derive(Debug, Serialize)]
struct Summary {
    commit: String,
    seed: Option<u64>,
    seconds: f64,
    #[serde(flatten)]
    totals: Totals,
    failure: Option<Failure>,
}

/// A network that broke.
#[derive(Debug, Serialize)]
struct Failure {
    seed: u64,
    at_ms: u64,
    what: String,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}

/// Runs what is asked for. Returns whether no network broke.
fn run(arguments: &Arguments) -> Result<bool, String> {
    let began = Instant::now();
    let commit = arguments.commit.clone().unwrap_or_else(commit);
    let seed = arguments.only.is_none().then(|| arguments.seed.unwrap_or_else(from_the_clock));
    if let Some(seed) = seed {
        println!("seed {seed}, commit {commit}");
    }
    let minutes = Duration::try_from_secs_f64(60.0 * arguments.minutes)
        .map_err(|why| format!("--minutes: {why}"))?;
    let mut progress = Progress::new(began);
    let mut totals = Totals::default();
    let mut failure = None;
    for of_network in seeds(seed.unwrap_or(0)) {
        let of_network = arguments.only.unwrap_or(of_network);
        match play(of_network, arguments, &commit) {
            Ok(done) => totals.add(&done),
            Err(broken) => {
                failure =
                    Some(Failure { seed: of_network, at_ms: broken.at_ms, what: broken.what });
            }
        }
        progress.show(&totals);
        if failure.is_some() || arguments.only.is_some() || began.elapsed() >= minutes {
            break;
        }
    }
    progress.end(&totals);
    let held = failure.is_none();
    if let Some(path) = &arguments.json {
        let seconds = began.elapsed().as_secs_f64();
        let summary = Summary { commit, seed, seconds, totals, failure };
        let text = serde_json::to_string_pretty(&summary).map_err(|why| why.to_string())?;
        std::fs::write(path, text + "\n")
            .map_err(|why| format!("cannot write {}: {why}", path.display()))?;
    }
    Ok(held)
}

/// Plays the network of a seed. Tells all about it if it breaks.
fn play(seed: u64, arguments: &Arguments, commit: &str) -> Result<Totals, Broken> {
    let plan = Plan::new(seed);
    let mut swarm = Swarm::new(&plan);
    let played = swarm.play();
    if arguments.only.is_some() {
        println!("{plan}");
    }
    if arguments.log {
        println!("{}", swarm.log());
    }
    match played {
        Ok(run) => {
            if arguments.only.is_some() {
                println!("digest {:?}", run.digest);
            }
            Ok(run.totals)
        }
        Err(broken) => {
            let log = swarm.log();
            // Where the time of rounds went is of no interest.
            let lines: Vec<_> = log.lines().filter(|line| !line.contains("RoundTraced")).collect();
            println!("\nBROKEN {broken}");
            println!("seed {seed}, commit {commit}\n\n{plan}");
            println!("the last that was reported, in milliseconds from the start:");
            for line in &lines[lines.len().saturating_sub(LAST_LINES)..] {
                println!("  {line}");
            }
            println!("\nreplay it: cargo run -p antiphon-sim -- --only {seed}");
            Err(broken)
        }
    }
}

/// A line that tells what was done so far.
struct Progress {
    began: Instant,
    line_at: Instant,
    terminal: bool,
}

impl Progress {
    fn new(began: Instant) -> Self {
        Self { began, line_at: began + LINES_APART, terminal: std::io::stdout().is_terminal() }
    }

    fn show(&mut self, totals: &Totals) {
        if self.terminal {
            print!("\r{}", self.line(totals));
            // A line that is not shown is not missed.
            let _ = std::io::stdout().flush();
        } else if Instant::now() >= self.line_at {
            self.line_at += LINES_APART;
            println!("{}", self.line(totals));
        }
    }

    fn end(&self, totals: &Totals) {
        println!("{}{}", if self.terminal { "\r" } else { "" }, self.line(totals));
    }

    fn line(&self, totals: &Totals) -> String {
        format!(
            "{} networks in {} s: {} rounds of {} epochs, {} delivered, {} faults, {} messages",
            totals.networks,
            self.began.elapsed().as_secs(),
            totals.rounds,
            totals.epochs,
            totals.delivered,
            totals.faults,
            totals.messages
        )
    }
}

fn from_the_clock() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() ^ u64::from(since.subsec_nanos()) << 32
}

/// The commit that git says is checked out.
fn commit() -> String {
    let said = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    let said = said.ok().filter(|output| output.status.success());
    let text = said.and_then(|output| String::from_utf8(output.stdout).ok());
    text.map_or_else(|| "unknown".to_owned(), |text| text.trim().to_owned())
}
