//! Traces of rounds for an OpenTelemetry collector: one a round, with the phases at each process as spans. Aggregates
//! alone, as metrics are.
//!
//! A round has one trace, whose identifier follows from the network and the round's number: what coordinators and shards of
//! different operators tell different collectors fits together, and nothing travels between them for it. Traces are the
//! process's, as its metrics are: several shards in one process would tell as one.

mod collector;
mod otlp;
mod span;

use std::sync::OnceLock;

use antiphon_wire::{Digest, IdentityKey};
use serde::Deserialize;

use crate::metrics::Program;
use collector::Collector;
pub use span::{RoundSpans, Span};

/// The section `telemetry`: where traces of rounds go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TelemetrySection {
    /// The collector's address for OTLP over HTTP.
    pub endpoint: Endpoint,
}

/// Host and port of a collector, written as `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Endpoint(String);

/// Reason why traces cannot be sent to an address.
#[derive(Debug, thiserror::Error)]
#[error(
    "\"{0}\" should be `http://HOST:PORT` of a collector, as \"http://127.0.0.1:4318\". There is no TLS: let a collector on \
     this machine pass traces on"
)]
pub struct EndpointError(String);

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        match host_and_port(&text) {
            Some(host) => Ok(Self(host.to_owned())),
            None => Err(EndpointError(text)),
        }
    }
}

/// `HOST:PORT` of `http://HOST:PORT`, or of the same with a slash behind it.
fn host_and_port(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("http://")?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = rest.rsplit_once(':')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    let is_host = !host.is_empty() && host.chars().all(plain);
    let is_port = port.chars().all(|c| c.is_ascii_digit());
    (is_host && is_port && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(rest)
}

/// Who tells of rounds.
#[derive(Clone, Copy, Debug)]
pub struct Teller {
    /// The program.
    pub program: Program,
    /// The id of its network file.
    pub network: Digest,
    /// Its public key.
    pub identity: IdentityKey,
}

static COLLECTOR: OnceLock<Collector> = OnceLock::new();

/// Has all rounds from now on told to the collector, by the runtime that this is called in. A second call changes nothing.
pub fn install(section: TelemetrySection, teller: Teller) {
    let Endpoint(host) = section.endpoint;
    tracing::info!(collector = host, "traces of rounds are told to a collector, without TLS");
    COLLECTOR.get_or_init(|| Collector::start(host, teller));
}

/// Tells of a round, if anybody wants to hear. Never waits: what cannot be sent soon is counted and forgotten.
pub fn tell(round: impl FnOnce() -> RoundSpans) {
    if let Some(collector) = COLLECTOR.get() {
        collector.offer(round());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_collector_without_tls_by_host_and_port_is_taken() {
        for good in ["http://127.0.0.1:4318", "http://[::1]:4318/", "http://collector.x:1"] {
            assert!(Endpoint::try_from(good.to_owned()).is_ok(), "{good}");
        }
        for bad in [
            "https://127.0.0.1:4318",
            "127.0.0.1:4318",
            "http://127.0.0.1",
            "http://:4318",
            "http://a:0",
            "http://a:+1",
            "http://a:1//",
            "http://a/b:1",
            "http://a b:1",
            "http://a\r\nX:1",
            "",
        ] {
            let said = Endpoint::try_from(bad.to_owned()).unwrap_err().to_string();
            assert!(said.contains("http://HOST:PORT"), "{bad}: {said}");
        }
    }
}
