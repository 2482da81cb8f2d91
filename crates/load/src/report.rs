//! Report of a run, with names as the JSON has them.

mod beats;

use serde::Serialize;

use crate::latency::{Latencies, Percentiles};
use crate::phases::Phases;
use crate::provenance::Provenance;
pub use beats::BeatsReport;
pub(crate) use beats::ServerCpu;

/// Everything that a run found. Figures are those of the measured rounds, unless they say otherwise.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// True if the network ran in this process.
    pub embedded: bool,
    /// Number of simulated clients.
    pub clients: u32,
    /// Number of clients that talk.
    pub talking: u32,
    /// Shards of the epoch.
    pub shards: usize,
    /// Medium of the links between them, if they are in this process: tcp or memory.
    pub shard_links: Option<&'static str>,
    /// Seconds from the start of the network in this process to its first document.
    pub document_after_s: Option<f64>,
    /// Mixing hops of an onion.
    pub hops: u8,
    /// L: the mixing hops and the dead-drop shard.
    pub layers: u8,
    /// Cryptographic suite of the onions.
    pub suite: u8,
    /// Bytes of a body.
    pub body_bytes: usize,
    /// Onions that a client sends in a round.
    pub onions_per_client: u64,
    /// Noise onions of all shards in a round, with their canaries.
    pub noise_per_round: u64,
    /// The nominal time between two rounds.
    pub interval_ms: u32,
    /// Pattern in which clients' onions are spread over a round's submission window.
    pub arrivals: &'static str,
    /// The fraction of clients replaced before each round.
    pub churn: f64,
    /// Kernel that built onions in this process, and peeled them if the network ran in it.
    pub kernel: &'static str,
    /// The seed that the clients followed from, in decimal digits: programs that read numbers as
    /// floating-point ones would change it.
    pub seed: String,
    /// Program, time and machine that made this report.
    pub provenance: Provenance,
    /// True if the run was asked to stop before all rounds had been measured.
    pub interrupted: bool,
    /// Rounds before the measured ones.
    pub warmup: u32,
    /// The measured rounds, in order.
    pub rounds: Vec<Round>,
    /// The beats that followed rounds; nothing in a classic network.
    pub beats: Option<BeatsReport>,
    /// Over the delivered rounds: from the opening to the last client's replies. As all latencies here,
    /// without the time for which clients hold their onions back.
    pub latency_ms: Option<Percentiles>,
    /// Over all clients of the delivered rounds: from the opening to the client's own replies.
    pub client_latency_ms: Option<Percentiles>,
    /// From when onions might leave in the first measured round to the last replies of any: with several
    /// rounds in flight, less than their latencies together.
    pub duration_s: Option<f64>,
    /// Messages that arrived over that time.
    pub messages_per_s: Option<f64>,
    /// Clients' onions and noise.
    pub onions_total: u64,
    /// Onions that were peeled, over all layers.
    pub hop_operations: u64,
    /// Processor time of one peeling, by the shards' own traces.
    pub peel_us_per_onion: Option<f64>,
    /// Processor time of the network's threads.
    pub server_cpu_s: Option<f64>,
    /// Processor time of the harness's threads.
    pub client_cpu_s: Option<f64>,
    /// Reason for which one of the two is not known.
    pub cpu_unknown: Option<String>,
    /// Processor time that building the clients' onions took, all rounds together, before and beside
    /// the measured ones.
    pub build_cpu_s: Option<f64>,
    /// Rounds whose onions were ready before the first one opened.
    pub prebuilt_rounds: u64,
    /// The most memory that this process held from its start.
    pub peak_rss_bytes: Option<u64>,
    /// The memory that the run was expected to take.
    pub estimated_bytes: u64,
    /// Per client and round on the wire, links, beats and all.
    pub bytes_per_client_up: f64,
    /// Per client and round on the wire, links, beats and all.
    pub bytes_per_client_down: f64,
    /// QUIC connections that carried the clients' links, over the whole run.
    pub connections: usize,
    /// Links that broke, over the whole run.
    pub links_lost: u64,
    /// Times that a client turned to the gateway of a new epoch, over the whole run.
    pub turns: u64,
    /// Bodies between partners who both took part, in rounds that were not aborted.
    pub messages: u64,
    /// Those of them that did not arrive exactly as they were sent.
    pub lost_messages: u64,
    /// Clients that took no part in a round: not linked, onions not ready, or not taken.
    pub late: u64,
    /// Those of them that were not linked.
    pub absent: u64,
    /// Reason for which the last link was refused that was.
    pub link_refusal: Option<String>,
    /// Those of them whose onions a gateway did not take.
    pub refused: u64,
    /// Last words of a gateway that took no onions.
    pub refusal: Option<String>,
    /// Idle clients whose round was disturbed.
    pub idle_disturbed: u64,
    /// The distribution behind `client_latency_ms`.
    #[serde(skip)]
    pub client_latencies: Latencies,
}

/// Figures of one measured round.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    /// Number of the round in the network.
    pub round: u64,
    /// End that it came to.
    pub outcome: Outcome,
    /// Reason, if it was not delivered and the network says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was opened, from the opening of the first measured round.
    pub opened_ms: Option<f64>,
    /// From the coordinator's opening to the last client's replies, without the time for which clients
    /// hold their onions back; for a real network, from when the first client hears of the opening.
    pub latency_ms: Option<f64>,
    /// From the coordinator's opening to the last shard's report, as the coordinator sees it:
    /// with the time for which onions are held back.
    pub coordinator_latency_ms: Option<u64>,
    /// Clients whose onions were taken.
    pub submitted: u64,
    /// Clients that took no part.
    pub late: u64,
    /// Those of the late ones that were not linked.
    pub absent: u64,
    /// Those of the late ones whose onions a gateway did not take.
    pub refused: u64,
    /// Clients that were answered with replies.
    pub answered: u64,
    /// Bodies between partners who both took part.
    pub messages: u64,
    /// Those of them that did not arrive as they were sent.
    pub lost_messages: u64,
    /// Idle clients whose replies were not as they have to be.
    pub idle_disturbed: u64,
    /// Onions that clients handed in.
    pub user_onions: u64,
    /// Onions that shards added as noise.
    pub noise_onions: u64,
    /// Onions that were peeled, over all layers.
    pub hop_operations: u64,
    /// Where the time went, if the shards are in this process.
    pub phases: Option<Phases>,
}

/// End that a round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Replies went back to all.
    Delivered,
    /// Replies went back to some.
    Partial,
    /// It was not opened.
    Aborted,
    /// No client heard of it.
    NotOpened,
}

impl Outcome {
    /// As the JSON has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Partial => "partial",
            Self::Aborted => "aborted",
            Self::NotOpened => "not opened",
        }
    }
}

impl Report {
    /// Rounds that were delivered to all.
    pub fn delivered(&self) -> usize {
        self.rounds.iter().filter(|round| round.outcome == Outcome::Delivered).count()
    }

    /// The round whose latency is the median of those delivered, the upper one of two.
    pub fn median_round(&self) -> Option<&Round> {
        let mut rounds: Vec<_> =
            self.rounds.iter().filter(|round| round.outcome == Outcome::Delivered).collect();
        rounds.sort_by(|a, b| a.latency_ms.unwrap_or(0.0).total_cmp(&b.latency_ms.unwrap_or(0.0)));
        rounds.get(rounds.len() / 2).copied()
    }
}

/// A made-up report with everything in it.
#[cfg(test)]
pub(crate) fn sample() -> Report {
    use std::time::Duration;

    use antiphon_mix::{LayerTrace, RoundTrace};
    use antiphon_wire::Layer;

    let ms = |ms: u64| Duration::from_millis(ms);
    let trace = |shard: u64| RoundTrace {
        submit: ms(80 + 9 * shard),
        layers: (1..=15)
            .map(|layer| LayerTrace {
                layer: Layer(layer),
                onions: 4000,
                wait: ms(4 + shard),
                receive: ms(20 + 3 * u64::from(layer % 4)),
                peel: ms(30 + u64::from(layer % 3) * 5),
                peel_cpu: ms(40),
                shuffle: ms(6),
                send: ms(9),
            })
            .collect(),
        verification: ms(110 + 5 * shard),
        exchange: ms(12),
        replies: ms(260 + 10 * shard),
        noise_cpu: ms(900),
        ..RoundTrace::default()
    };
    let traces: Vec<_> = (0..5).map(trace).collect();
    let phases = Phases::of(&traces);
    let mut client_latencies = Latencies::default();
    (0..30_000_u64).for_each(|client| client_latencies.record_us(1_500_000 + 13 * client));
    let round = |number: u64| {
        let aborted = number == 9;
        Round {
            round: number,
            outcome: if aborted { Outcome::Aborted } else { Outcome::Delivered },
            reason: aborted.then(|| "no batch from shard <3> for layer 4 in time".to_owned()),
            opened_ms: Some(5000.0 * (number - 4) as f64),
            latency_ms: (!aborted).then_some(1700.0 + 37.0 * (number % 5) as f64),
            coordinator_latency_ms: Some(1760),
            submitted: 10_000,
            late: 0,
            absent: 0,
            refused: 0,
            answered: 10_000,
            messages: 10_000,
            lost_messages: 0,
            idle_disturbed: 0,
            user_onions: 20_000,
            noise_onions: 8080,
            hop_operations: 28_080 * 15,
            phases: phases.clone(),
        }
    };
    Report {
        embedded: true,
        clients: 10_000,
        talking: 5000,
        shards: 5,
        shard_links: Some("tcp"),
        document_after_s: Some(1.5),
        hops: 14,
        layers: 15,
        suite: 1,
        body_bytes: 256,
        onions_per_client: 2,
        noise_per_round: 8080,
        interval_ms: 5000,
        arrivals: "at-once",
        churn: 0.0,
        kernel: "portable",
        seed: "1".to_owned(),
        provenance: Provenance::of_this_process(),
        interrupted: false,
        warmup: 1,
        rounds: (4..16).map(round).collect(),
        beats: Some(beats::sample()),
        latency_ms: client_latencies.percentiles(),
        client_latency_ms: client_latencies.percentiles(),
        duration_s: Some(56.8),
        messages_per_s: Some(1936.6),
        onions_total: 12 * 28_080,
        hop_operations: 12 * 28_080 * 15,
        peel_us_per_onion: Some(9.5),
        server_cpu_s: Some(96.0),
        client_cpu_s: Some(6.0),
        cpu_unknown: None,
        build_cpu_s: Some(12.0),
        prebuilt_rounds: 13,
        peak_rss_bytes: Some(700 << 20),
        estimated_bytes: 900 << 20,
        bytes_per_client_up: 2190.0,
        bytes_per_client_down: 640.0,
        connections: 40,
        links_lost: 0,
        turns: 0,
        messages: 110_000,
        lost_messages: 0,
        late: 0,
        absent: 0,
        link_refusal: None,
        refused: 0,
        refusal: None,
        idle_disturbed: 0,
        client_latencies,
    }
}
