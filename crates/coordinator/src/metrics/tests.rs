use antiphon_process::admin::MetricsPage;
use antiphon_process::metrics::Program;
use antiphon_wire::{Epoch, IdentityKey, Reason, Round, Term};

use super::*;
use crate::RoundTotals;

fn status() -> Status {
    let status = serde_json::json!({
        "network": "ab".repeat(32),
        "now_ms": 1_000_000,
        "leadership": { "role": "standby", "term": 3, "shards": 2 },
        "rounds": { "conduct": "resuming", "last": 41, "open": [40, 41], "clock_behind_ms": 2500 },
        "epoch": {
            "epoch": 7, "first_round": 30, "last_round": 90, "expires_at_ms": 4_600_000,
            "layers": 15, "shards": 5,
        },
        "next_epoch": null,
        "planned": null,
        "shards": [
            { "shard": "abab", "operator": "beta", "standing": "suspended", "sits_out": 2, "clock_ahead_ms": -30 },
            { "shard": "cdcd", "operator": "beta", "standing": "in_epoch", "sits_out": 0, "clock_ahead_ms": 70 },
        ],
        "quorum": { "present_weight": 3, "needed_weight": 4, "total_weight": 5, "absent": ["alpha"] },
        "guarantee": {
            "malicious": 0.2, "epsilon": 0.693, "delta": 1e-6, "disturbed_rounds": 1000,
            "total_delta": 0.3, "total_over_days": 365,
        },
    });
    serde_json::from_value(status).unwrap()
}

#[test]
fn what_the_coordinator_tells_is_counted_and_names_no_shard() {
    let page = MetricsPage::install(Program::Coordinator).unwrap();
    let shard = IdentityKey([0xab; 32]);
    let reason = Some(Reason::NotPrepared);
    let totals = RoundTotals { user_onions: 4, noise_onions: 9, ..RoundTotals::default() };
    for notice in [
        Notice::RoundOpened { epoch: Epoch(1), round: Round(7), late: vec![shard] },
        Notice::Deposed { term: Term(1), reason: "x".to_owned(), open_rounds: 2 },
        Notice::EpochCalled { epoch: Epoch(1), first_round: Round(1), shards: 3 },
        Notice::EpochFailed { epoch: Epoch(1), reason: "x".to_owned() },
        Notice::EpochBroken { epoch: Epoch(1), reason: "x".to_owned() },
        Notice::ShardSuspended { shard, epochs: 1, reason: "x".to_owned() },
        Notice::ShardRejected { shard, reason: "x".to_owned() },
        Notice::CellsJudged { canaries: 3, garbled: 4, lost: 2, late: vec![shard] },
        Notice::ShardNamed { shard, operator: "beta".to_owned(), epochs: 64 },
        Notice::RoundEnded(RoundReport {
            epoch: Epoch(1),
            round: Round(7),
            result: RoundResult::Aborted { missing: vec![shard], reason },
            totals,
            latency_ms: 300,
            silent: vec![shard],
        }),
    ] {
        record(&notice);
    }
    set_gauges(&status(), 5);
    REGISTRATIONS_REFUSED.add(Registration::Unlisted, 1);
    let shown = page.render();
    for line in [
        "rounds_opened_total 1",
        "rounds_total{outcome=\"aborted\"} 1",
        "rounds_total{outcome=\"delivered\"} 0",
        "rounds_total{outcome=\"unheard\"} 2",
        "rounds_aborted_total{cause=\"not_prepared\"} 1",
        "onions_total{origin=\"noise\"} 9",
        "epochs_total{what=\"called\"} 1",
        "epochs_total{what=\"failed\"} 1",
        "epochs_total{what=\"broken\"} 1",
        "suspensions_total 1",
        "canaries_broken_total 3",
        "canary_cells_total{lost=\"garbled\"} 4",
        "canary_cells_total{lost=\"late\"} 2",
        "shards_named_total 1",
        "shards 5",
        "shards_by_standing{standing=\"suspended\"} 1",
        "shards_by_standing{standing=\"released\"} 0",
        "conduct{conduct=\"resuming\"} 1",
        "conduct{conduct=\"going\"} 0",
        "clock_behind_seconds 2.5",
        "shard_clock_ahead_seconds{clock=\"earliest\"} -0.03",
        "shard_clock_ahead_seconds{clock=\"latest\"} 0.07",
        "quorum_margin -1",
        "epoch 7",
        "epoch_expires_timestamp_seconds 4600",
        "leads 0",
        "term 3",
        "registrations_refused_total{why=\"rejected\"} 1",
        "registrations_refused_total{why=\"unlisted\"} 1",
    ] {
        assert!(shown.contains(&format!("antiphon_coordinator_{line}\n")), "{line}: {shown}");
    }
    assert!(!shown.contains("abab"), "no metric names a shard: {shown}");
}

/// A name in the status that the catalogue does not know would count as nothing at all.
#[test]
fn every_conduct_and_standing_of_a_status_has_a_label() {
    for conduct in ["going", "resuming", "broken", "stopped", "standby"] {
        assert!(Conduct::VALUES.contains(&conduct), "{conduct}");
    }
    for standing in ["leaving", "released", "suspended", "garbles", "in_epoch", "waiting"] {
        assert!(Standing::VALUES.contains(&standing), "{standing}");
    }
}
