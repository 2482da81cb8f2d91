//! The rows of the matrix, by kind.

mod beats;
mod clients;
mod clocks;
mod files;
mod floods;
mod leaders;
mod processes;
mod strangers;
mod talks;

use std::time::Duration;

use crate::child::Child;
use crate::network::{BenchError, Network, Program};
use crate::row::{Fault, Outcome, Row, expect, seconds};

pub(crate) use beats::HOUR;

/// Rounds whose median counts.
const ROUNDS: usize = 6;

/// All rows, in the order in which they are run and shown.
pub(crate) fn all() -> Vec<Row> {
    [
        processes::ROWS,
        leaders::ROWS,
        files::ROWS,
        clients::ROWS,
        beats::ROWS,
        strangers::ROWS,
        floods::ROWS,
        clocks::ROWS,
        talks::ROWS,
    ]
    .concat()
}

/// A row that breaks an ordinary network, on any machine, and is not in the short form.
const fn row(
    name: &'static str,
    done: &'static str,
    expected: &'static str,
    fault: fn(&mut Network) -> Outcome,
) -> Row {
    Row {
        name,
        done,
        expected,
        short: false,
        lacking: nothing_lacking,
        fault: Fault::Running(fault),
    }
}

/// A row that starts its network itself.
const fn starting(
    name: &'static str,
    done: &'static str,
    expected: &'static str,
    fault: fn(&Program) -> Outcome,
) -> Row {
    Row {
        name,
        done,
        expected,
        short: false,
        lacking: nothing_lacking,
        fault: Fault::Starting(fault),
    }
}

/// The same in the short form: its bounds leave room for a slow machine.
const fn short(row: Row) -> Row {
    Row { short: true, ..row }
}

/// For rows that every machine can run.
const fn nothing_lacking() -> Option<String> {
    None
}

/// Fails if anybody was suspended since `mark`.
fn nobody_suspended(network: &Network, mark: u64) -> Result<(), BenchError> {
    let suspended = network.suspensions_since(mark);
    expect(suspended == 0, || {
        network.failure(&format!("{suspended} suspensions of honest shards")).to_string()
    })
}

/// Fails if a round was not delivered since `mark`. Returns how many were.
fn no_round_failed(network: &Network, mark: u64) -> Result<usize, BenchError> {
    let rounds = network.rounds_since(mark);
    let failed = rounds.iter().filter(|round| !round.delivered).count();
    expect(failed == 0, || format!("{failed} of {} rounds were not delivered", rounds.len()))?;
    Ok(rounds.len())
}

/// Fails unless rounds with a fault take at most half as long again as without, or a third of a second
/// more: other work on the machine makes as much.
fn no_slower(before: Duration, after: Duration) -> Outcome {
    let bound = before.mul_f64(1.5).max(before + Duration::from_millis(330));
    let words = format!("median round {} before, {} with it", seconds(before), seconds(after));
    expect(after <= bound, || words.clone())?;
    Ok(words)
}

/// Growth of a process's memory: its peak beside its size before.
struct Growth {
    before: u64,
}

impl Growth {
    fn of(child: &Child) -> Result<Self, BenchError> {
        // The peak of the start does not count.
        child.forget_peak()?;
        Ok(Self { before: child.resident() })
    }

    /// Fails if it was `most` MiB or more.
    fn below(&self, most: u64, child: &Child) -> Outcome {
        let words =
            format!("its memory was {} MiB before, {} MiB at most", self.before, child.peak());
        expect(child.peak() < self.before + most, || words.clone())?;
        Ok(words)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_the_short_form_has_some() {
        let rows = all();
        let names: BTreeSet<_> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        assert!(rows.iter().any(|row| row.short));
    }
}
