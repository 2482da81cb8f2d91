//! Logs go to standard error, results to standard output.

use std::io;

use anstream::{AutoStream, ColorChoice};
use antiphon_process::logging::{self, Crates, LogFilter, LogLevel};

/// Crates that a filter may name.
const CRATES: Crates = &[
    "antiphon",
    "antiphon_client",
    "antiphon_client_core",
    "antiphon_coordinator",
    "antiphon_dp_noise",
    "antiphon_load",
    "antiphon_messenger",
    "antiphon_mix",
    "antiphon_onion",
    "antiphon_process",
    "antiphon_profile",
    "antiphon_routing",
    "antiphon_shard",
    "antiphon_transport",
    "antiphon_verify",
    "antiphon_wire",
    "antiphond",
    "quinn",
    "quinn_proto",
    "rustls",
];

/// Starts logging what `filter` lets through.
pub(crate) fn init(filter: LogFilter) -> LogLevel {
    let coloured = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    logging::init(filter, CRATES, coloured)
}

/// Reads a filter from the command line.
pub(crate) fn filter(text: &str) -> Result<LogFilter, String> {
    LogFilter::parse(text, CRATES)
}
