//! The metrics of every process that takes part in a network.

use antiphon_wire::{PROTOCOL_VERSION, Policy};

use super::catalogue;
use super::labels::Telling;

const NETWORK_FILE: &str = "The network file says it, which every user has.";

catalogue! {
    /// Everything that each process of a network counts.
    NETWORK:
    PROTOCOL: Gauge<()> = "antiphon_protocol_version", "number",
        "The version of the protocol that it speaks", "It is the same at every user's.";
    EPSILON: Gauge<()> = "antiphon_guarantee_epsilon", "epsilon",
        "Epsilon that every epoch keeps, over all disturbed rounds", NETWORK_FILE;
    DELTA: Gauge<()> = "antiphon_guarantee_delta", "delta",
        "Delta of the noise over them", NETWORK_FILE;
    TOTAL_DELTA: Gauge<()> = "antiphon_guarantee_total_delta", "delta",
        "All that may add to delta, over the days that the network file says", NETWORK_FILE;
    MALICIOUS: Gauge<()> = "antiphon_guarantee_malicious_ratio", "share",
        "The largest share of the operators' weight that may be malicious", NETWORK_FILE;
    TRACES: Counter<Telling> = "antiphon_traces_total", "rounds",
        "Rounds whose trace was for a collector, by what became of it", "One a round, and rounds are opened at every client.";
}

/// Sets what the network file asks of every epoch, and the protocol that is spoken in it.
pub fn guarantee(policy: &Policy) {
    PROTOCOL.set((), f64::from(PROTOCOL_VERSION));
    EPSILON.set((), policy.epsilon);
    DELTA.set((), policy.delta);
    TOTAL_DELTA.set((), policy.total_delta);
    MALICIOUS.set((), f64::from(policy.malicious_ppm) / 1e6);
}
