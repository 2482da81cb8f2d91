//! Counts and gauges of a running coordinator, by the catalogue.

use std::time::Duration;

use antiphon_coordinator_core::Status;
use antiphon_process::metrics::coordinator::{
    ACCEPTED, BEAT_INTERVAL, CANARIES_BROKEN, CANARY_CELLS, CLOCK_AHEAD, CLOCK_BEHIND, CONDUCT,
    EPOCH, EPOCH_END, EPOCH_LAST_ROUND, EPOCH_LAYERS, EPOCH_SHARDS, EPOCHS, FAILED, FILTER_BYTES,
    FILTERS, HALF_OPEN, LEADS, LINKS_HELD, NAMED, ONIONS, QUORUM_MARGIN, QUORUM_WEIGHT, REFUSED,
    REGISTRATIONS_REFUSED, ROUND, ROUND_INTERVAL, ROUND_SHARE, ROUND_TIME, ROUNDS, ROUNDS_ABORTED,
    ROUNDS_OPEN, ROUNDS_OPENED, SHARDS, SHARDS_BY_STANDING, SUSPENSIONS, TERM,
};
use antiphon_process::metrics::labels::{
    Cause, Conduct, CoordinatorEndpoint, Ending, Extreme, Fate, Label as _, Lost, Origin, Refusal,
    Registration, Standing, Weight,
};
use antiphon_transport::{Endpoint, ServerStats};

use crate::{
    EpochStatus, Notice, QuorumStatus, RoundReport, RoundResult, RoundsStatus, ShardStatus,
};

/// Handles to the endpoints, for their counts.
pub(crate) struct Doors {
    pub(crate) shards: Endpoint,
    pub(crate) clients: Endpoint,
}

/// Counts what a notice tells.
pub(crate) fn record(notice: &Notice) {
    match notice {
        Notice::RoundOpened { .. } => ROUNDS_OPENED.add((), 1),
        Notice::RoundEnded(report) => round_ended(report),
        Notice::Deposed { open_rounds, .. } => ROUNDS.add(Ending::Unheard, *open_rounds as u64),
        Notice::EpochCalled { .. } => EPOCHS.add(Fate::Called, 1),
        Notice::EpochFailed { .. } => EPOCHS.add(Fate::Failed, 1),
        Notice::EpochBroken { .. } => EPOCHS.add(Fate::Broken, 1),
        Notice::EpochPublished { .. } => EPOCHS.add(Fate::Published, 1),
        Notice::ShardSuspended { .. } => SUSPENSIONS.add((), 1),
        Notice::CellsJudged { canaries, garbled, lost, .. } => {
            CANARIES_BROKEN.add((), (*canaries).into());
            CANARY_CELLS.add(Lost::Garbled, (*garbled).into());
            CANARY_CELLS.add(Lost::Late, (*lost).into());
        }
        Notice::ShardNamed { .. } => NAMED.add((), 1),
        Notice::ShardRejected { .. } => REGISTRATIONS_REFUSED.add(Registration::Rejected, 1),
        _ => {}
    }
}

fn round_ended(report: &RoundReport) {
    ROUNDS.add(
        match &report.result {
            RoundResult::Delivered => Ending::Delivered,
            RoundResult::Partial { .. } => Ending::Partial,
            RoundResult::Aborted { .. } => Ending::Aborted,
        },
        1,
    );
    if let RoundResult::Aborted { reason, .. } = &report.result {
        ROUNDS_ABORTED.add(reason.as_ref().map_or(Cause::Unsaid, Cause::from), 1);
    }
    ROUND_TIME.record((), Duration::from_millis(report.latency_ms));
    ONIONS.add(Origin::Clients, report.totals.user_onions);
    ONIONS.add(Origin::Noise, report.totals.noise_onions);
    FILTERS.add((), report.totals.filters_checked);
    FILTER_BYTES.add((), report.totals.filter_bytes);
}

/// Sets every gauge, when somebody asks for metrics.
pub(crate) fn set_gauges(status: &Status, linked: usize) {
    rounds(&status.rounds);
    epoch(status.next_epoch.as_ref().or(status.epoch.as_ref()));
    shards(&status.shards, linked);
    quorum(&status.quorum);
    LEADS.set_whether((), matches!(status.leadership.role.as_str(), "alone" | "leader"));
    TERM.set((), status.leadership.term as f64);
}

/// Takes the endpoints' counts over, when somebody asks for metrics.
pub(crate) fn set_links(doors: &Doors) {
    endpoint(CoordinatorEndpoint::Shards, &doors.shards.stats());
    endpoint(CoordinatorEndpoint::Clients, &doors.clients.stats());
}

fn rounds(status: &RoundsStatus) {
    ROUND.set((), status.last as f64);
    ROUND_SHARE.set((), status.share().unwrap_or(0.0));
    ROUNDS_OPEN.set_count((), status.open.len());
    for conduct in Conduct::ALL {
        CONDUCT.set_whether(*conduct, conduct.value() == status.conduct);
    }
    CLOCK_BEHIND.set((), status.clock_behind_ms as f64 / 1000.0);
}

/// Sets what is known of the newest published epoch; all of it is 0 if there is none.
fn epoch(newest: Option<&EpochStatus>) {
    EPOCH.set((), newest.map_or(0.0, |epoch| epoch.epoch as f64));
    EPOCH_END.set((), newest.map_or(0.0, |epoch| epoch.expires_at_ms as f64 / 1000.0));
    EPOCH_LAST_ROUND.set((), newest.map_or(0.0, |epoch| epoch.last_round as f64));
    EPOCH_LAYERS.set((), newest.map_or(0.0, |epoch| f64::from(epoch.layers)));
    EPOCH_SHARDS.set_count((), newest.map_or(0, |epoch| epoch.shards));
    let seconds = |ms: u32| f64::from(ms) / 1000.0;
    ROUND_INTERVAL.set((), newest.map_or(0.0, |epoch| seconds(epoch.interval_ms)));
    BEAT_INTERVAL.set((), newest.map_or(0.0, |epoch| seconds(epoch.beat_ms)));
}

fn shards(registered: &[ShardStatus], linked: usize) {
    SHARDS.set_count((), linked);
    for standing in Standing::ALL {
        let so = registered.iter().filter(|shard| shard.standing == standing.value()).count();
        SHARDS_BY_STANDING.set_count(*standing, so);
    }
    let ahead = || registered.iter().map(|shard| shard.clock_ahead_ms);
    let seconds = |ms: Option<i64>| ms.unwrap_or_default() as f64 / 1000.0;
    CLOCK_AHEAD.set(Extreme::Earliest, seconds(ahead().min()));
    CLOCK_AHEAD.set(Extreme::Latest, seconds(ahead().max()));
}

fn quorum(status: &QuorumStatus) {
    let QuorumStatus { present_weight, needed_weight, total_weight, .. } = status;
    QUORUM_WEIGHT.set(Weight::Present, *present_weight as f64);
    QUORUM_WEIGHT.set(Weight::Needed, *needed_weight as f64);
    QUORUM_WEIGHT.set(Weight::Total, *total_weight as f64);
    QUORUM_MARGIN.set((), *present_weight as f64 - *needed_weight as f64);
}

fn endpoint(endpoint: CoordinatorEndpoint, stats: &ServerStats) {
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

#[cfg(test)]
mod tests;
