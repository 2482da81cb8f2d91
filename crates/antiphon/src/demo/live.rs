//! Lines that the demonstration prints while it runs.

use std::fmt::Write as _;

use antiphon_wire::Suite;

use crate::plan::short;

use super::beats::{Beats, BeatsReport};
use super::report::{NetworkReport, Outcome, Report, Round};

/// The heading: the network and its promise.
pub(super) fn opening(
    network: &NetworkReport,
    sigma: f64,
    codes: &[String; 2],
    (file, bytes): (&str, usize),
) -> String {
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
    if network.canaries_per_shard > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "canaries    {} a shard and round, two onions each: whoever garbles cells is named by them",
            network.canaries_per_shard,
        );
    }
    if network.suite == Suite::Hybrid.number() {
        text += "onions      X25519 and ML-KEM-768, sealed only against today's computers: aborted rounds are charged\n";
    }
    let [alices, bobs] = codes;
    text += &format!("codes       Alice gives Bob {alices}\n{:12}Bob gives Alice {bobs}\n", "");
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

/// A line for some beats, below the rounds'.
pub(super) fn beats(beats: &Beats) -> String {
    let latency = beats.latency().p50.map_or_else(String::new, seconds);
    let back = format!("{} of {} are back", beats.cells() - beats.lost(), beats.cells());
    format!(
        "       {:<9} {latency:>9}   {:<21}   {back:<16}   the same in every beat\n",
        format!("{} beats", beats.count()),
        "a cell for each onion",
    )
}

/// The end: rounds, beats, what was spent, messages and bytes.
pub(super) fn closing(report: &Report, bytes: usize) -> String {
    let Report { rounds, beats, spent, messages, .. } = report;
    let delivered = rounds.iter().filter(|round| round.outcome == Outcome::Delivered).count();
    let aborted = rounds.len() - delivered;
    let mut text = format!("\n{delivered} rounds delivered, {aborted} aborted");
    let round = report.round_latency_ms();
    // No latency is shown when every round was aborted.
    if let Some(median) = round {
        let _ = write!(text, "; median latency {}", seconds(median));
    }
    text.push('\n');
    if let Some(beats) = beats {
        text += &closing_beats(beats, round);
    }
    let _ = write!(
        text,
        "{} of {} units of the budget of a client that talks were spent\n\
         {} messages sent, {} received, {} bytes\n",
        spent.rounds, spent.of, messages.sent, messages.received, messages.bytes
    );
    text.push_str(&if messages.intact {
        format!("The file arrived byte for byte at both ends: {bytes} bytes each way.\n")
    } else {
        "The file did not arrive at both ends.\n".to_owned()
    });
    text
}

/// The line of the beats at the end, beside rounds of this median latency.
fn closing_beats(beats: &BeatsReport, round_ms: Option<u64>) -> String {
    let BeatsReport { count, cells, lost, latency_ms, .. } = beats;
    let mut line =
        format!("{count} beats: {lost} of {cells} cells of a client that talks were lost");
    if let Some(median) = latency_ms.p50 {
        let _ = write!(line, "; median latency {}", seconds(median));
        if let Some(round) = round_ms {
            let _ = write!(line, ", a round's / {:.1}", round as f64 / median.max(1) as f64);
        }
    }
    line + "\n"
}

fn seconds(ms: u64) -> String {
    format!("{:.2} s", ms as f64 / 1000.0)
}
