//! Provenance of a report: program, command and machine.

use std::env;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use antiphon_process::clock::SystemClock;
use serde::Serialize;

/// Enough to make a report again, and to see why another one differs.
#[derive(Clone, Debug, Serialize)]
pub struct Provenance {
    /// The command line, its words joined by spaces.
    pub command: String,
    /// The version of the program.
    pub version: &'static str,
    /// When the run began, in seconds since 1970, UTC.
    pub started_unix_s: u64,
    /// The operating system's name.
    pub system: &'static str,
    /// The architecture of its processor.
    pub architecture: &'static str,
    /// Processor cores that the process may use.
    pub cores: usize,
}

impl Provenance {
    /// Of this process, for a run that begins now.
    pub(crate) fn of_this_process() -> Self {
        Self {
            command: env::args().collect::<Vec<_>>().join(" "),
            version: env!("CARGO_PKG_VERSION"),
            started_unix_s: SystemClock::now().0 / 1000,
            system: env::consts::OS,
            architecture: env::consts::ARCH,
            cores: available_parallelism().map_or(1, NonZeroUsize::get),
        }
    }
}
