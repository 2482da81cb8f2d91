//! Counts and gauges of a running coordinator. Aggregates that anyone who watches the network could count:
//! nothing about single clients.

use std::time::Duration;

use antiphon_transport::{Endpoint, ServerStats};
use antiphon_wire::Term;
use metrics::{counter, describe_counter, describe_gauge, gauge};
use tokio::time::interval;

use crate::{Notice, RoundResult};

const ROUNDS_OPENED: &str = "antiphon_coordinator_rounds_opened_total";
const ROUNDS: &str = "antiphon_coordinator_rounds_total";
const EPOCHS: &str = "antiphon_coordinator_epochs_total";
const EPOCH: &str = "antiphon_coordinator_epoch";
const SHARDS: &str = "antiphon_coordinator_shards";
const LEADS: &str = "antiphon_coordinator_leads";
const TERM: &str = "antiphon_coordinator_term";
const SUSPENSIONS: &str = "antiphon_coordinator_suspensions_total";
const REGISTRATIONS_REFUSED: &str = "antiphon_coordinator_registrations_refused_total";
const LINKS: &str = "antiphon_coordinator_endpoint_links";
const HALF_OPEN: &str = "antiphon_coordinator_endpoint_half_open";
const ACCEPTED: &str = "antiphon_coordinator_endpoint_accepted_total";
const REFUSED: &str = "antiphon_coordinator_endpoint_refused_total";
const FAILED: &str = "antiphon_coordinator_endpoint_failed_total";

/// Interval in which the endpoints' counts are taken over.
const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Says what each of them is, to whatever collects metrics.
pub(crate) fn describe() {
    describe_counter!(ROUNDS_OPENED, "Rounds opened");
    describe_counter!(ROUNDS, "Rounds that ended, by outcome over all shards");
    describe_counter!(EPOCHS, "Epochs called, published, failed before and broken after that");
    describe_gauge!(EPOCH, "The newest published epoch");
    describe_gauge!(SHARDS, "Shards that are linked and registered");
    describe_gauge!(LEADS, "1 while shards let this coordinator lead, of several; 0 otherwise");
    describe_gauge!(TERM, "The last term in which this coordinator led, of several");
    describe_counter!(SUSPENSIONS, "Suspensions of shards");
    describe_counter!(REGISTRATIONS_REFUSED, "Registrations not accepted, by why");
    describe_gauge!(LINKS, "Links held, by endpoint");
    describe_gauge!(HALF_OPEN, "Handshakes in progress, by endpoint");
    describe_counter!(ACCEPTED, "Links let in, by endpoint");
    describe_counter!(REFUSED, "Links not let in, by endpoint and why");
    describe_counter!(FAILED, "Handshakes that failed or took too long, by endpoint");
}

/// Counts what a notice tells.
pub(crate) fn record(notice: &Notice) {
    let epochs = |what: &'static str| counter!(EPOCHS, "what" => what).increment(1);
    match notice {
        Notice::RoundOpened { .. } => counter!(ROUNDS_OPENED).increment(1),
        Notice::RoundEnded(report) => {
            let outcome = match report.result {
                RoundResult::Delivered => "delivered",
                RoundResult::Partial { .. } => "partial",
                RoundResult::Aborted { .. } => "aborted",
            };
            counter!(ROUNDS, "outcome" => outcome).increment(1);
        }
        Notice::EpochCalled { .. } => epochs("called"),
        Notice::EpochFailed { .. } => epochs("failed"),
        Notice::EpochBroken { .. } => epochs("broken"),
        Notice::EpochPublished { epoch, .. } => {
            epochs("published");
            gauge!(EPOCH).set(epoch.0 as f64);
        }
        Notice::ShardSuspended { .. } => counter!(SUSPENSIONS).increment(1),
        Notice::ShardRejected { .. } => registration_refused("rejected"),
        _ => {}
    }
}

/// Sets the number of shards that are linked and registered.
pub(crate) fn shards(count: usize) {
    gauge!(SHARDS).set(count as f64);
}

/// Sets whether this coordinator leads, of several, and in which term.
pub(crate) fn leads(term: Option<Term>) {
    gauge!(LEADS).set(f64::from(u8::from(term.is_some())));
    if let Some(term) = term {
        gauge!(TERM).set(term.0 as f64);
    }
}

/// A link was closed instead of being taken for a shard's.
pub(crate) fn registration_refused(why: &'static str) {
    counter!(REGISTRATIONS_REFUSED, "why" => why).increment(1);
}

/// Takes the endpoints' counts over, until aborted.
pub(crate) async fn count_links(shards: Endpoint, clients: Endpoint) {
    let mut ticks = interval(COUNT_EVERY);
    loop {
        ticks.tick().await;
        endpoint("shards", &shards.stats());
        endpoint("clients", &clients.stats());
    }
}

fn endpoint(endpoint: &'static str, stats: &ServerStats) {
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

#[cfg(test)]
mod tests {
    use antiphon_process::admin::MetricsPage;
    use antiphon_wire::{Epoch, IdentityKey, Round, Term};

    use super::*;

    #[test]
    fn what_the_coordinator_tells_is_counted() {
        let page = MetricsPage::install(&[]).unwrap();
        describe();
        let shard = IdentityKey([0xab; 32]);
        for notice in [
            Notice::RoundOpened { epoch: Epoch(1), round: Round(7), late: vec![shard] },
            Notice::EpochCalled { epoch: Epoch(1), first_round: Round(1), shards: 3 },
            Notice::EpochFailed { epoch: Epoch(1), reason: "x".to_owned() },
            Notice::ShardSuspended { shard, epochs: 1, reason: "x".to_owned() },
            Notice::ShardRejected { shard, reason: "x".to_owned() },
        ] {
            record(&notice);
        }
        shards(5);
        leads(Some(Term(3)));
        registration_refused("unlisted");
        let shown = page.render();
        for line in [
            "antiphon_coordinator_rounds_opened_total 1",
            "antiphon_coordinator_epochs_total{what=\"called\"} 1",
            "antiphon_coordinator_epochs_total{what=\"failed\"} 1",
            "antiphon_coordinator_suspensions_total 1",
            "antiphon_coordinator_shards 5",
            "antiphon_coordinator_leads 1",
            "antiphon_coordinator_term 3",
            "antiphon_coordinator_registrations_refused_total{why=\"rejected\"} 1",
            "antiphon_coordinator_registrations_refused_total{why=\"unlisted\"} 1",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
        assert!(!shown.contains("abab"), "no metric names a shard: {shown}");
    }
}
