//! Counts and gauges of a running shard.
//!
//! All of them are aggregates that anyone who watches the network could count: nothing about single
//! clients, and nothing about how noise is split. They are the process's: with several shards in one
//! process they add up or overwrite each other.

use std::time::Duration;

use antiphon_mix::RoundTrace;
use antiphon_transport::ServerStats;
use antiphon_wire::RoundOutcome;
use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

const ROUNDS: &str = "antiphon_shard_rounds_total";
const ROUND_SECONDS: &str = "antiphon_shard_round_seconds";
const PHASE_SECONDS: &str = "antiphon_shard_phase_seconds";
const CPU_SECONDS: &str = "antiphon_shard_cpu_seconds";
const LINKS: &str = "antiphon_shard_endpoint_links";
const HALF_OPEN: &str = "antiphon_shard_endpoint_half_open";
const ACCEPTED: &str = "antiphon_shard_endpoint_accepted_total";
const REFUSED: &str = "antiphon_shard_endpoint_refused_total";
const FAILED: &str = "antiphon_shard_endpoint_failed_total";
const CLIENTS: &str = "antiphon_shard_clients";
const CLIENTS_DROPPED: &str = "antiphon_shard_clients_dropped_total";
const PEER_LINKS: &str = "antiphon_shard_peer_links";
const LIST_NUMBER: &str = "antiphon_shard_list_number";
const WORK_QUEUED: &str = "antiphon_shard_work_queued";
const MESSAGES_LOST: &str = "antiphon_shard_messages_lost_total";

/// Upper bounds of the buckets for round latencies, in seconds.
const ROUND_BUCKETS: [f64; 12] = [0.1, 0.2, 0.4, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 7.5, 10.0, 20.0];
/// Upper bounds of the buckets for the phases of a round, and for the computing time in one, in seconds.
const PHASE_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

/// The upper bounds of the buckets of this shard's histograms, by name.
pub const BUCKETS: [(&str, &[f64]); 3] = [
    (ROUND_SECONDS, &ROUND_BUCKETS),
    (PHASE_SECONDS, &PHASE_BUCKETS),
    (CPU_SECONDS, &PHASE_BUCKETS),
];

/// Describes each metric to whatever collects metrics.
pub(crate) fn describe() {
    describe_counter!(ROUNDS, "Rounds that ended here, by outcome");
    describe_histogram!(ROUND_SECONDS, "Time from a round's opening to its end here");
    describe_histogram!(
        PHASE_SECONDS,
        "Time of a round in one phase; once a layer where it has layers"
    );
    describe_histogram!(CPU_SECONDS, "Time of threads spent on a round, by kind of work");
    describe_gauge!(LINKS, "Links held, by endpoint");
    describe_gauge!(HALF_OPEN, "Handshakes in progress, by endpoint");
    describe_counter!(ACCEPTED, "Links let in, by endpoint");
    describe_counter!(REFUSED, "Links not let in, by endpoint and why");
    describe_counter!(FAILED, "Handshakes that failed or took too long, by endpoint");
    describe_gauge!(CLIENTS, "Clients linked");
    describe_counter!(CLIENTS_DROPPED, "Clients whose link was closed here, by why");
    describe_gauge!(PEER_LINKS, "Other shards linked to this one");
    describe_gauge!(LIST_NUMBER, "The newest list of the operator that the shard has taken");
    describe_gauge!(WORK_QUEUED, "Pieces of work that wait for a thread, by urgency");
    describe_counter!(MESSAGES_LOST, "Messages to other shards lost with a link or a full queue");
}

pub(crate) fn round_ended(outcome: &RoundOutcome, took_ms: u64) {
    let outcome = match outcome {
        RoundOutcome::Delivered => "delivered",
        RoundOutcome::Withheld { .. } => "withheld",
        RoundOutcome::NotOpened { .. } => "not_opened",
    };
    counter!(ROUNDS, "outcome" => outcome).increment(1);
    histogram!(ROUND_SECONDS).record(took_ms as f64 / 1000.0);
}

pub(crate) fn round_traced(trace: &RoundTrace) {
    let phase = |phase: &'static str, took: Duration| {
        histogram!(PHASE_SECONDS, "phase" => phase).record(took.as_secs_f64());
    };
    phase("submit", trace.submit);
    for layer in &trace.layers {
        phase("wait", layer.wait);
        phase("receive", layer.receive);
        phase("peel", layer.peel);
        phase("shuffle", layer.shuffle);
        phase("send", layer.send);
    }
    phase("verification", trace.verification);
    phase("exchange", trace.exchange);
    phase("replies", trace.replies);
    let cpu = |work: &'static str, took: Duration| {
        histogram!(CPU_SECONDS, "work" => work).record(took.as_secs_f64());
    };
    cpu("peel", trace.layers.iter().map(|layer| layer.peel_cpu).sum());
    cpu("noise", trace.noise_cpu);
}

pub(crate) fn endpoint(endpoint: &'static str, stats: &ServerStats) {
    gauge!(LINKS, "endpoint" => endpoint).set(stats.links as f64);
    gauge!(HALF_OPEN, "endpoint" => endpoint).set(stats.half_open as f64);
    counter!(ACCEPTED, "endpoint" => endpoint).absolute(stats.accepted);
    counter!(FAILED, "endpoint" => endpoint).absolute(stats.failed);
    for (why, count) in [
        ("full", stats.refused_full),
        ("share", stats.refused_share),
        ("pace", stats.refused_pace),
        ("handshakes", stats.pushed_out),
    ] {
        counter!(REFUSED, "endpoint" => endpoint, "why" => why).absolute(count);
    }
}

pub(crate) fn clients(linked: usize) {
    gauge!(CLIENTS).set(linked as f64);
}

pub(crate) fn client_dropped(why: &'static str) {
    counter!(CLIENTS_DROPPED, "why" => why).increment(1);
}

pub(crate) fn list_number(number: u32) {
    gauge!(LIST_NUMBER).set(f64::from(number));
}

pub(crate) fn peer_links(links: usize) {
    gauge!(PEER_LINKS).set(links as f64);
}

pub(crate) fn work_queued(urgent: usize, background: usize) {
    gauge!(WORK_QUEUED, "urgency" => "urgent").set(urgent as f64);
    gauge!(WORK_QUEUED, "urgency" => "background").set(background as f64);
}

pub(crate) fn message_lost() {
    counter!(MESSAGES_LOST).increment(1);
}

#[cfg(test)]
mod tests {
    use antiphon_mix::LayerTrace;
    use antiphon_process::admin::MetricsPage;

    use super::*;

    #[test]
    fn what_is_counted_is_shown_in_buckets() {
        let page = MetricsPage::install(&BUCKETS).unwrap();
        describe();
        round_ended(&RoundOutcome::Delivered, 300);
        clients(3);
        let layer = LayerTrace { wait: Duration::from_millis(3), ..LayerTrace::default() };
        round_traced(&RoundTrace { layers: vec![layer; 2], ..RoundTrace::default() });
        let shown = page.render();
        for line in [
            "antiphon_shard_rounds_total{outcome=\"delivered\"} ",
            "antiphon_shard_round_seconds_bucket{le=\"0.4\"} ",
            "antiphon_shard_clients ",
            "antiphon_shard_phase_seconds_count{phase=\"wait\"} 2",
            "antiphon_shard_phase_seconds_bucket{phase=\"wait\",le=\"0.005\"} 2",
            "antiphon_shard_cpu_seconds_count{work=\"peel\"} 1",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }
}
