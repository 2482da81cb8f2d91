//! Clocks that step.

use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use crate::child::Surroundings;
use crate::network::Program;
use crate::row::{Fault, Outcome, Row, seconds};

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
        "rounds go on within 10 s",
        coordinator_back,
    ),
    row(
        "coordinator-clock-glitch",
        "the coordinator's clock is a day ahead for a second",
        "rounds go on within 20 s",
        coordinator_glitch,
    ),
    row(
        "shard-clock-glitch",
        "a shard's clock is a day ahead for a second",
        "rounds go on within 20 s",
        shard_glitch,
    ),
];

fn no_faketime() -> Option<String> {
    let missing = !Path::new(LIBRARY).exists();
    missing.then(|| "needs libfaketime: apt-get install faketime".to_owned())
}

/// Starts a network in which the clock of `whom` can be moved, moves it as `steps` say (an offset as
/// libfaketime reads it, and how long it lasts), and waits for the next round.
fn with_steps(
    program: &Program,
    whom: &str,
    steps: &[(&str, Duration)],
    within: Duration,
) -> Outcome {
    let folder = tempfile::tempdir()?;
    let offset = folder.path().join("offset");
    fs::write(&offset, "+0\n")?;
    let faked = |name: &str| Surroundings {
        variables: if name == whom {
            vec![
                ("LD_PRELOAD".to_owned(), LIBRARY.to_owned()),
                ("FAKETIME_TIMESTAMP_FILE".to_owned(), offset.display().to_string()),
                ("FAKETIME_NO_CACHE".to_owned(), "1".to_owned()),
                ("DONT_FAKE_MONOTONIC".to_owned(), "1".to_owned()),
            ]
        } else {
            Vec::new()
        },
        ..Surroundings::default()
    };
    let mut network = program.network_in(faked)?;
    for (step, lasts) in steps {
        fs::write(&offset, format!("{step}\n"))?;
        sleep(*lasts);
    }
    match network.recovered(within) {
        Ok(took) => Ok(format!("the next round was delivered after {}", seconds(took))),
        Err(why) => {
            program.keep(network);
            Err(why)
        }
    }
}

fn coordinator_back(program: &Program) -> Outcome {
    let steps = [("-120", Duration::from_secs(3))];
    with_steps(program, "coordinator", &steps, Duration::from_secs(10))
}

fn coordinator_glitch(program: &Program) -> Outcome {
    let steps = [("+1d", Duration::from_secs(1)), ("+0", Duration::ZERO)];
    with_steps(program, "coordinator", &steps, Duration::from_secs(20))
}

fn shard_glitch(program: &Program) -> Outcome {
    let steps = [("+1d", Duration::from_secs(1)), ("+0", Duration::ZERO)];
    with_steps(program, "beta", &steps, Duration::from_secs(20))
}
