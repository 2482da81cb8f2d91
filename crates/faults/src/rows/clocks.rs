//! Clocks that step, or are off from the start.

use std::fs;
use std::io;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use tempfile::TempDir;

use super::{no_round_failed, nobody_suspended};
use crate::child::{Child, Surroundings};
use crate::network::{BenchError, Network, OPERATORS, Program};
use crate::row::{Fault, Outcome, Row, expect, seconds};

/// Where Debian's package `faketime` puts its library.
const LIBRARY: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

const fn row(
    name: &'static str,
    done: &'static str,
    expected: &'static str,
    fault: fn(&Program) -> Outcome,
) -> Row {
    Row { name, done, expected, short: false, lacking: no_faketime, fault: Fault::Starting(fault) }
}

pub(crate) const ROWS: &[Row] = &[
    row(
        "coordinator-clock-back",
        "the coordinator's clock steps back by two minutes",
        "rounds go on within 10 s, and it says so",
        coordinator_back,
    ),
    row(
        "coordinator-clock-glitch",
        "the coordinator's clock is a day ahead for three seconds",
        "rounds go on within 20 s, and it says so",
        coordinator_glitch,
    ),
    row(
        "shard-clock-glitch",
        "a shard's clock is a day ahead for three seconds",
        "rounds go on within 20 s, and it says so",
        shard_glitch,
    ),
    row(
        "shard-clock-off",
        "a shard's clock is a minute behind, from its start on",
        "rounds as ever, and the coordinator names the machine",
        shard_off,
    ),
    row(
        "coordinator-clock-off",
        "the coordinator's clock is a minute behind, from its start on",
        "rounds as ever, and it says that its own clock is off",
        coordinator_off,
    ),
];

/// Variables under which a process's clock is off by what the file says, which the library reads anew for each call. The
/// monotonic clock is left alone.
pub(super) fn faked_by(file: &Path) -> Vec<(String, String)> {
    let variables = [
        ("LD_PRELOAD", LIBRARY.to_owned()),
        ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
        ("FAKETIME_NO_CACHE", "1".to_owned()),
        ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ];
    variables.map(|(name, value)| (name.to_owned(), value)).into()
}

pub(super) fn no_faketime() -> Option<String> {
    let missing = !Path::new(LIBRARY).exists();
    missing.then(|| "needs libfaketime: apt-get install faketime".to_owned())
}

/// A network in which the clock of one process can be moved.
struct Faked {
    network: Network,
    folder: TempDir,
    whom: &'static str,
}

impl Faked {
    /// Starts it with a clock that is off by `offset`, as libfaketime reads it.
    fn start(program: &Program, whom: &'static str, offset: &str) -> Result<Self, BenchError> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("offset");
        fs::write(&file, format!("{offset}\n"))?;
        let network = program.network_in(|name| Surroundings {
            variables: if name == whom { faked_by(&file) } else { Vec::new() },
            ..Surroundings::default()
        })?;
        Ok(Self { network, folder, whom })
    }

    fn set(&self, offset: &str) -> io::Result<()> {
        fs::write(self.folder.path().join("offset"), format!("{offset}\n"))
    }

    fn process(&self) -> &Child {
        let position = OPERATORS.iter().position(|name| *name == self.whom);
        position.map_or(&self.network.coordinator, |shard| &self.network.shards[shard])
    }

    /// Moves the clock as `steps` say (where to, and for how long), sees that the process tells of it,
    /// and waits for the next round.
    fn step(&mut self, steps: &[(&str, Duration)], within: Duration) -> Outcome {
        let mark = self.process().mark();
        for (step, lasts) in steps {
            self.set(step)?;
            sleep(*lasts);
        }
        let took = self.network.recovered(within)?;
        // The round after a step may have been under way before it.
        self.network.recovered(within)?;
        let told = self.process().said_since(mark).contains("clock was set");
        expect(told, || "the process says nothing of its clock".to_owned())?;
        Ok(format!("the next round was delivered after {}; the process says so", seconds(took)))
    }

    /// Ends the network, and keeps its files if the outcome says so.
    fn end(self, program: &Program, outcome: Outcome) -> Outcome {
        if outcome.is_err() {
            program.keep(self.network);
        }
        outcome
    }
}

fn with_steps(
    program: &Program,
    whom: &'static str,
    steps: &[(&str, Duration)],
    within: Duration,
) -> Outcome {
    let mut faked = Faked::start(program, whom, "+0")?;
    let outcome = faked.step(steps, within);
    faked.end(program, outcome)
}

fn coordinator_back(program: &Program) -> Outcome {
    let steps = [("-120", Duration::from_secs(3))];
    with_steps(program, "coordinator", &steps, Duration::from_secs(10))
}

fn coordinator_glitch(program: &Program) -> Outcome {
    let steps = [("+1d", Duration::from_secs(3)), ("+0", Duration::ZERO)];
    with_steps(program, "coordinator", &steps, Duration::from_secs(20))
}

fn shard_glitch(program: &Program) -> Outcome {
    let steps = [("+1d", Duration::from_secs(3)), ("+0", Duration::ZERO)];
    with_steps(program, "beta", &steps, Duration::from_secs(20))
}

fn shard_off(program: &Program) -> Outcome {
    let mut faked = Faked::start(program, "beta", "-60")?;
    let outcome = named(&mut faked.network, "of beta is ");
    faked.end(program, outcome)
}

fn coordinator_off(program: &Program) -> Outcome {
    let mut faked = Faked::start(program, "coordinator", "-60")?;
    let outcome = named(&mut faked.network, "this machine's clock is ");
    faked.end(program, outcome)
}

/// Sees that the coordinator names the machine whose clock is off, while rounds go on.
fn named(network: &mut Network, words: &str) -> Outcome {
    let mark = network.mark();
    network.delivered(mark, 3, Duration::from_secs(20));
    nobody_suspended(network, 0)?;
    let rounds = no_round_failed(network, 0)?;
    let said = network.coordinator.said_since(0);
    let line = said.lines().find(|line| line.contains(words));
    let line =
        line.and_then(|line| line.find("the clock of").or(line.find(words)).map(|at| &line[at..]));
    let line =
        line.ok_or_else(|| BenchError::NotSeen("nobody says whose clock is off".to_owned()))?;
    Ok(format!("{rounds} rounds were delivered, none failed; the coordinator: {line}"))
}
