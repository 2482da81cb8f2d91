//! Lines that the demonstration prints while it runs.

use std::fmt::Write as _;

use antiphon_wire::Suite;

use crate::plan::short;

use super::report::{Messages, NetworkReport, Outcome, Round};

/// The heading: the network and its promise.
pub(super) fn opening(network: &NetworkReport, sigma: f64, file: &str, bytes: usize) -> String {
    let NetworkReport { shards, hops, clients, noise_per_shard, epsilon, delta, .. } = network;
    let mut text = format!(
        "A network of {shards} shards, each with an operator of its own, on loopback.\n\
         {clients} clients send two onions each in every round; two of them talk, the rest idle.\n\
         \n\
         path        {hops} mixing hops, then the dead-drop shard\n\
         noise       {noise_per_shard} deposits a shard and round, of which a secret number is paired \
         (sigma {sigma:.1})\n\
         guarantee   epsilon {epsilon:.4}, delta {delta:.0e} of the noise over {} disturbed rounds\n\
         in all      delta {} over {} days, mixing and looking first included (proven)\n",
        network.disturbed_rounds_budget,
        short(network.delta_total),
        network.total_over_days,
    );
    if network.suite == Suite::Hybrid.number() {
        text += "onions      X25519 and ML-KEM-768, sealed only against today's computers: aborted rounds are charged\n";
    }
    // Writing to a string does not fail.
    let _ = write!(
        text,
        "mixing      delta_mix {:.1e} and peek {:.1e} a round and conversation (proven)\n\
         file        {file}, {bytes} bytes, both ways\n\n\
         round  outcome     latency   onions: users + noise   filters            adversary counts\n",
        network.delta_mix, network.peek_round,
    );
    text
}

/// A line for a round.
pub(super) fn round(round: &Round, shards: usize) -> String {
    let outcome = match round.outcome {
        Outcome::Delivered => "delivered",
        Outcome::Aborted => "ABORTED",
    };
    let seconds = round.latency_ms as f64 / 1000.0;
    let onions = format!("{} + {}", round.user_onions, round.noise_onions);
    // Every shard tests every filter.
    let all = (shards * shards) as u64;
    let filters = match (round.outcome, round.filters_checked == all) {
        (Outcome::Delivered, true) => format!("all {all} tests hold"),
        _ => format!("{} of {all} tested", round.filters_checked),
    };
    let counts = match round.outcome {
        Outcome::Delivered => format!("{} pairs, {} singles", round.pairs, round.singles),
        Outcome::Aborted => "nothing opened".to_owned(),
    };
    let mut line = format!(
        "{:>5}  {outcome:<9} {seconds:>7.2} s   {onions:<21}   {filters:<16}   {counts}",
        round.round
    );
    if let Some(reason) = &round.reason {
        let _ = write!(line, "\n       {reason}");
    }
    line
}

/// The end: rounds, messages and bytes.
pub(super) fn closing(rounds: &[Round], messages: &Messages, bytes: usize) -> String {
    let delivered: Vec<_> = rounds.iter().filter(|r| r.outcome == Outcome::Delivered).collect();
    let aborted = rounds.len() - delivered.len();
    let mut text = format!("\n{} rounds delivered, {aborted} aborted", delivered.len());
    let mut latencies: Vec<_> = delivered.iter().map(|round| round.latency_ms).collect();
    latencies.sort_unstable();
    // No latency is shown when every round was aborted.
    if let Some(median) = latencies.get(latencies.len() / 2) {
        let _ = write!(text, "; median latency {:.2} s", *median as f64 / 1000.0);
    }
    let _ = write!(
        text,
        "\n{} messages sent, {} received, {} bytes\n",
        messages.sent, messages.received, messages.bytes
    );
    text.push_str(&if messages.intact {
        format!("The file arrived byte for byte at both ends: {bytes} bytes each way.\n")
    } else {
        "The file did not arrive at both ends.\n".to_owned()
    });
    text
}
