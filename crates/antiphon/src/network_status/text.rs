//! A network's status for people.

use std::fmt::Write as _;

use antiphon_coordinator::{EpochStatus, LeadershipStatus, ShardStatus, Status};

use super::{Page, verdict_text};
use crate::client_command::durations::about;

/// Some lines of text. Long, as it has a line for each figure.
pub(super) fn text(page: &Page) -> String {
    let Page { version, verdict, status } = page;
    let mut text = verdict_text(verdict);
    let mut line = |name: &str, value: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name:<12}{value}");
    };
    let network = status.network.get(..12).unwrap_or(&status.network);
    line("network", format!("{network}, coordinator version {version}"));
    let leadership = &status.leadership;
    if leadership.role != "alone" {
        let LeadershipStatus { role, term, shards } = leadership;
        line("leadership", format!("{role}, in term {term}; {shards} shards"));
    }
    line("rounds", rounds(status));
    line("epoch", epoch(status.epoch.as_ref(), status));
    if let Some(epoch) = &status.epoch {
        line("pace", pace(epoch));
    }
    if let Some(next) = &status.next_epoch {
        line("next", epoch(Some(next), status));
    }
    if let Some(planned) = &status.planned {
        let (epoch, phase, shards) = (planned.epoch, &planned.phase, planned.shards);
        line("planned", format!("epoch {epoch}, {phase}, {shards} shards"));
    }
    line("operators", operators(status));
    let guarantee = &status.guarantee;
    line(
        "guarantee",
        format!(
            "malicious {}, epsilon {:.3}, delta {} over {} disturbed rounds; delta in all {} over {} days",
            guarantee.malicious,
            guarantee.epsilon,
            guarantee.delta,
            guarantee.disturbed_rounds,
            guarantee.total_delta,
            guarantee.total_over_days
        ),
    );
    line("shards", format!("{} registered", status.shards.len()));
    for shard in &status.shards {
        line("", of_shard(shard));
    }
    text
}

fn of_shard(shard: &ShardStatus) -> String {
    let name = shard.shard.get(..12).unwrap_or(&shard.shard);
    let sits_out = match shard.sits_out {
        0 => String::new(),
        epochs => format!(", sits out {epochs} epochs"),
    };
    let standing = shard.standing.replace('_', " ");
    let (operator, clock) = (&shard.operator, shard.clock_ahead_ms);
    format!("{name} of {operator}: {standing}{sits_out}, clock {clock:+} ms")
}

fn rounds(status: &Status) -> String {
    let rounds = &status.rounds;
    let conduct = match rounds.conduct.as_str() {
        "going" => "open when they are due",
        "resuming" => "wait for the epoch's shards to come back",
        "broken" => "wait for the next epoch: the running one cannot go on",
        "stopped" => "open no more: the coordinator stops",
        "standby" => "are opened by the coordinator that leads",
        other => other,
    };
    let clock = match rounds.clock_behind_ms {
        0 => String::new(),
        ms => format!("; this coordinator's clock is {ms} ms behind most shards': set it"),
    };
    format!("{conduct}; the last is {}, {} are open{clock}", rounds.last, rounds.open.len())
}

fn epoch(epoch: Option<&EpochStatus>, status: &Status) -> String {
    let Some(epoch) = epoch else { return "none".to_owned() };
    let EpochStatus { epoch, first_round, last_round, expires_at_ms, layers, shards, .. } = epoch;
    let left = std::time::Duration::from_millis(expires_at_ms.saturating_sub(status.now_ms));
    format!(
        "{epoch}, rounds {first_round} to {last_round}, {shards} shards, {layers} layers, expires in {}",
        about(left)
    )
}

/// How often rounds and beats come.
fn pace(epoch: &EpochStatus) -> String {
    let seconds = |ms: u32| f64::from(ms) / 1000.0;
    let rounds = format!("a round every {} s", seconds(epoch.interval_ms));
    match epoch.beats {
        0 => format!("{rounds}, and no beats"),
        beats => format!(
            "{rounds}, and up to {beats} beats after each, one every {} s",
            seconds(epoch.beat_ms)
        ),
    }
}

fn operators(status: &Status) -> String {
    let quorum = &status.quorum;
    let (present, total) = (quorum.present_weight, quorum.total_weight);
    let margin = match present.checked_sub(quorum.needed_weight) {
        Some(spare) => format!("{spare} more than an epoch takes"),
        None => format!("{} less than an epoch takes", quorum.needed_weight - present),
    };
    let absent = if quorum.absent.is_empty() {
        String::new()
    } else {
        format!("; absent: {}", quorum.absent.join(", "))
    };
    format!("weight {present} of {total} present, {margin}{absent}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_has_to_do_something_about_is_in_the_text() {
        let page = serde_json::json!({
            "version": "1.2.3",
            "verdict": {
                "urgency": "bad", "words": "Something is to be done",
                "advice": [{ "urgency": "bad", "words": "Have these start: alpha, gamma." }],
            },
            "leadership": { "role": "leader", "term": 7, "shards": 3 },
            "network": "ab".repeat(32),
            "now_ms": 1_000_000,
            "rounds": { "conduct": "broken", "last": 41, "open": [40, 41], "clock_behind_ms": 9000 },
            "epoch": {
                "epoch": 7, "first_round": 30, "last_round": 90, "expires_at_ms": 4_600_000,
                "layers": 15, "shards": 5, "interval_ms": 300_000, "beats": 150, "beat_ms": 4000,
            },
            "next_epoch": null,
            "planned": { "epoch": 8, "phase": "calling", "shards": 4 },
            "shards": [{
                "shard": "cd".repeat(32), "operator": "beta", "standing": "suspended",
                "sits_out": 2, "clock_ahead_ms": -30,
            }],
            "quorum": {
                "present_weight": 3, "needed_weight": 4, "total_weight": 5,
                "absent": ["alpha", "gamma"],
            },
            "guarantee": {
                "malicious": 0.2, "epsilon": 0.693, "delta": 1e-6, "disturbed_rounds": 1000,
                "total_delta": 0.3, "total_over_days": 365,
            },
        });
        let text = text(&serde_json::from_value(page).unwrap());
        assert!(text.starts_with("Something is to be done\n  Have these start: alpha, gamma.\n\n"));
        for said in [
            "leader, in term 7; 3 shards",
            "wait for the next epoch",
            "9000 ms behind",
            "7, rounds 30 to 90, 5 shards, 15 layers",
            "a round every 300 s, and up to 150 beats after each, one every 4 s",
            "epoch 8, calling, 4 shards",
            "weight 3 of 5 present, 1 less than an epoch takes; absent: alpha, gamma",
            "of beta: suspended, sits out 2 epochs, clock -30 ms",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }
}
