//! Logs go to standard error, results to standard output.

use std::io;

use anstream::{AutoStream, ColorChoice};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Crates that a filter may name. A name outside this list lets nothing through, which would look
/// like a network without a word to say.
const CRATES: [&str; 18] = [
    "antiphon",
    "antiphon_client",
    "antiphon_client_core",
    "antiphon_coordinator",
    "antiphon_dp_noise",
    "antiphon_load",
    "antiphon_mix",
    "antiphon_onion",
    "antiphon_process",
    "antiphon_routing",
    "antiphon_shard",
    "antiphon_sim",
    "antiphon_transport",
    "antiphon_verify",
    "antiphon_wire",
    "quinn",
    "quinn_proto",
    "rustls",
];

/// Starts logging what `filter` lets through. A standard error that nobody reads any more is no
/// reason to stop: what cannot be written is dropped.
pub(crate) fn init(filter: Targets) {
    let coloured = AutoStream::choice(&io::stderr()) != ColorChoice::Never;
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(coloured)
        .with_target(false)
        .log_internal_errors(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}

/// Reads a filter from the command line: levels, and modules with a level, separated by commas.
pub(crate) fn filter(text: &str) -> Result<Targets, String> {
    text.split(',').map(str::trim).try_fold(Targets::new(), |filter, part| {
        match part.split_once('=') {
            None => Ok(filter.with_default(level(part)?)),
            Some((module, its)) => {
                Ok(filter.with_target(known(module.trim())?, level(its.trim())?))
            }
        }
    })
}

fn level(text: &str) -> Result<LevelFilter, String> {
    // Numbers parse as well, but say nothing to a reader.
    text.parse().ok().filter(|_| text.chars().all(char::is_alphabetic) && !text.is_empty()).ok_or_else(|| {
        format!("`{text}` is no level: give off, error, warn, info, debug or trace, or a module with one, such as antiphon_mix=debug,info")
    })
}

fn known(module: &str) -> Result<&str, String> {
    let name = module.split("::").next().unwrap_or_default();
    if CRATES.contains(&name) {
        return Ok(module);
    }
    Err(format!("`{module}` is no module of this program: its crates are {}", CRATES.join(", ")))
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::filter::LevelFilter;

    use super::*;

    #[test]
    fn a_filter_has_levels_and_known_modules() {
        let expected = Targets::new()
            .with_default(LevelFilter::INFO)
            .with_target("antiphon_mix::round", LevelFilter::DEBUG);
        assert_eq!(filter("antiphon_mix::round=debug, INFO").unwrap(), expected);
        assert_eq!(filter("off").unwrap(), Targets::new().with_default(LevelFilter::OFF));
    }

    #[test]
    fn what_would_silence_all_logs_is_refused_by_name() {
        for (text, wrong) in [
            ("trcae", "`trcae`"),
            ("antiphon_mx=debug", "`antiphon_mx`"),
            ("info,antiphon_mix=dbug", "`dbug`"),
            ("antiphon_mix", "`antiphon_mix`"),
            ("", "``"),
            ("3", "`3`"),
        ] {
            let error = filter(text).unwrap_err();
            assert!(error.contains(wrong), "{text}: {error}");
        }
    }
}
