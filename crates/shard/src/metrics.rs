//! Counts of a running shard, by the catalogue. Gauges are read when they are asked for, by the event loop.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use antiphon_mix::{Misconduct, RoundTrace};
use antiphon_process::metrics::Busyness;
use antiphon_process::metrics::labels::{Dropped, Phase, Refusal, ShardEndpoint, Work};
use antiphon_process::metrics::shard::{
    ACCEPTED, BATCHES_LATE, BEATS, CELLS_FILLED, CPU_TIME, FAILED, HALF_OPEN, LINKS_HELD, ONIONS,
    PHASE_TIME, REFUSED, ROUND_SHARE, ROUND_TIME, ROUNDS, ROUNDS_WITHHELD,
};
use antiphon_transport::ServerStats;
use antiphon_wire::RoundOutcome;

/// Computing time is the process's, as its metrics are.
static BUSYNESS: Mutex<Busyness> = Mutex::new(Busyness::new());

pub(crate) fn round_ended(outcome: &RoundOutcome, took_ms: u64) {
    ROUNDS.add(outcome.into(), 1);
    if let RoundOutcome::Withheld { reason } = outcome {
        ROUNDS_WITHHELD.add(reason.into(), 1);
    }
    ROUND_TIME.record((), Duration::from_millis(took_ms));
    let mut busyness = BUSYNESS.lock().unwrap_or_else(PoisonError::into_inner);
    busyness.round_ended();
    ROUND_SHARE.set((), busyness.share());
}

pub(crate) fn beat_ended(filled: u64, late: u32, cpu: Duration) {
    BEATS.add((), 1);
    CELLS_FILLED.add((), filled);
    BATCHES_LATE.add((), late.into());
    CPU_TIME.record(Work::Cells, cpu);
}

pub(crate) fn round_traced(trace: &RoundTrace) {
    PHASE_TIME.record(Phase::Submit, trace.submit);
    for layer in &trace.layers {
        PHASE_TIME.record(Phase::Wait, layer.wait);
        PHASE_TIME.record(Phase::Receive, layer.receive);
        PHASE_TIME.record(Phase::Peel, layer.peel);
        PHASE_TIME.record(Phase::Shuffle, layer.shuffle);
        PHASE_TIME.record(Phase::Send, layer.send);
    }
    PHASE_TIME.record(Phase::Verification, trace.verification);
    PHASE_TIME.record(Phase::Exchange, trace.exchange);
    PHASE_TIME.record(Phase::Replies, trace.replies);
    CPU_TIME.record(Work::Peel, trace.layers.iter().map(|layer| layer.peel_cpu).sum());
    CPU_TIME.record(Work::Noise, trace.noise_cpu);
    ONIONS.add((), trace.layers.iter().map(|layer| u64::from(layer.onions)).sum());
}

pub(crate) fn endpoint(endpoint: ShardEndpoint, stats: &ServerStats) {
    LINKS_HELD.set_count(endpoint, stats.links);
    HALF_OPEN.set_count(endpoint, stats.half_open);
    ACCEPTED.take_over(endpoint, stats.accepted);
    FAILED.take_over(endpoint, stats.failed);
    for (why, count) in [
        (Refusal::Full, stats.refused_full),
        (Refusal::Share, stats.refused_share),
        (Refusal::Pace, stats.refused_pace),
        (Refusal::Handshakes, stats.pushed_out),
    ] {
        REFUSED.take_over((endpoint, why), count);
    }
}

/// How a client's misconduct is counted.
pub(crate) const fn dropped(misconduct: Misconduct) -> Dropped {
    match misconduct {
        Misconduct::Silent => Dropped::Silent,
        Misconduct::Floods => Dropped::Floods,
        Misconduct::OtherVersion => Dropped::OtherVersion,
    }
}

#[cfg(test)]
mod tests {
    use antiphon_mix::LayerTrace;
    use antiphon_process::admin::MetricsPage;
    use antiphon_process::metrics::Program;
    use antiphon_wire::Reason;

    use super::*;

    #[test]
    fn what_is_counted_is_shown_in_buckets_and_what_never_happened_as_zero() {
        let page = MetricsPage::install(Program::Shard).unwrap();
        round_ended(&RoundOutcome::Delivered, 300);
        round_ended(&RoundOutcome::Withheld { reason: Reason::NotPrepared }, 300);
        beat_ended(5, 2, Duration::from_millis(7));
        let layer =
            LayerTrace { wait: Duration::from_millis(3), onions: 7, ..LayerTrace::default() };
        round_traced(&RoundTrace { layers: vec![layer; 2], ..RoundTrace::default() });
        let stats = ServerStats { refused_pace: 4, ..ServerStats::default() };
        endpoint(ShardEndpoint::Peers, &stats);
        let shown = page.render();
        for line in [
            "antiphon_shard_rounds_total{outcome=\"delivered\"} ",
            "antiphon_shard_rounds_withheld_total{cause=\"not_prepared\"} 1",
            "antiphon_shard_rounds_withheld_total{cause=\"bad_filter\"} 0",
            "antiphon_shard_beats_total 1",
            "antiphon_shard_cells_filled_total 5",
            "antiphon_shard_cell_batches_late_total 2",
            "antiphon_shard_round_seconds_bucket{le=\"0.4\"} ",
            "antiphon_shard_round_share ",
            "antiphon_shard_phase_seconds_count{phase=\"wait\"} 2",
            "antiphon_shard_phase_seconds_bucket{phase=\"wait\",le=\"0.005\"} 2",
            "antiphon_shard_cpu_seconds_count{work=\"peel\"} 1",
            "antiphon_shard_cpu_seconds_count{work=\"noise\"} 1",
            "antiphon_shard_cpu_seconds_bucket{work=\"cells\",le=\"0.01\"} 1",
            "antiphon_shard_onions_total 14",
            "antiphon_shard_endpoint_refused_total{endpoint=\"peers\",why=\"pace\"} 4",
            "antiphon_shard_clients_dropped_total{why=\"floods\"} 0",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }
}
