//! One row of the matrix: what is done, what a person would expect, and what was seen.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::network::{BenchError, Network, Program};

/// A fault, and the result that a person would expect.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Its name on the command line.
    pub(crate) name: &'static str,
    /// Fault in words, for the page and the list.
    pub(crate) done: &'static str,
    /// Result that a person would expect, in words.
    pub(crate) expected: &'static str,
    /// `true` if it is in the short form.
    pub(crate) short: bool,
    /// Names the means that this machine lacks, and how to get them.
    pub(crate) lacking: fn() -> Option<String>,
    /// Breaks a network and watches it.
    pub(crate) fault: Fault,
}

/// Network that a row breaks.
#[derive(Clone, Copy)]
pub(crate) enum Fault {
    /// An ordinary network that runs.
    Running(fn(&mut Network) -> Outcome),
    /// A network that the row starts itself.
    Starting(fn(&Program) -> Outcome),
}

/// The observation in words, if it is as expected; else the reason.
pub(crate) type Outcome = Result<String, BenchError>;

/// Result of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// It ended as expected.
    Held,
    /// It ended otherwise.
    Failed,
    /// It was not run.
    Skipped,
}

/// Record of a row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) row: String,
    pub(crate) verdict: Verdict,
    /// Observation, in words.
    pub(crate) seen: String,
}

impl Row {
    /// Runs the row on a network of its own.
    pub(crate) fn run(&self, program: &Program) -> Seen {
        let seen = |verdict, seen| Seen { row: self.name.to_owned(), verdict, seen };
        if let Some(lacking) = (self.lacking)() {
            return seen(Verdict::Skipped, lacking);
        }
        let outcome = match self.fault {
            Fault::Starting(fault) => fault(program),
            Fault::Running(fault) => program.network().and_then(|mut network| {
                let outcome = fault(&mut network);
                if outcome.is_err() {
                    program.keep(network);
                }
                outcome
            }),
        };
        match outcome {
            Ok(words) => seen(Verdict::Held, words),
            Err(why) => seen(Verdict::Failed, why.to_string()),
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Held => "as expected",
            Verdict::Failed => "NOT AS EXPECTED",
            Verdict::Skipped => "skipped",
        };
        write!(f, "{word}: {}", self.seen)
    }
}

/// Fails unless `holds`, saying what was expected otherwise.
pub(crate) fn expect(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), BenchError> {
    if holds { Ok(()) } else { Err(BenchError::NotSeen(otherwise())) }
}

/// A duration for people.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}
