//! The faults of a network, as its coordinator sees them, in words that say what to do.

use std::time::Duration;

use antiphon_coordinator_core::Status;
use antiphon_process::verdict::{Advice, Verdict};

/// Offset of a clock from which on somebody has to set it.
const CLOCK_MS: u64 = 2000;
/// Time without a round, beyond the time that lies between two, from which on somebody has to look.
const STILL: Duration = Duration::from_secs(60);

/// The state of the network, all in all. No round was opened for `still`.
pub(crate) fn verdict(status: &Status, could_lead: bool, still: Duration) -> Verdict {
    if status.rounds.conduct == "standby" {
        let advice = if could_lead { Vec::new() } else { vec![on_links()] };
        return Verdict::of(advice, "It stands by: another coordinator may lead");
    }
    let advice =
        [on_rounds(status, still), on_operators(status), on_clock(status), on_shards(status)];
    Verdict::of(advice.concat(), "Rounds go on")
}

fn on_links() -> Advice {
    Advice::bad(
        "Too few shards are linked to this coordinator for it to lead if another is lost. See that shards have \
         a section for it, and that UDP gets here."
            .to_owned(),
    )
}

fn on_rounds(status: &Status, still: Duration) -> Vec<Advice> {
    let mut advice = Vec::new();
    let interval =
        status.epoch.as_ref().map(|epoch| Duration::from_millis(epoch.interval_ms.into()));
    match status.rounds.conduct.as_str() {
        "going" if interval.is_some_and(|interval| still > STILL + interval) => advice.push(Advice::bad(format!(
            "No round was opened for {} s. Ask /ready of each shard: the answer says why.",
            still.as_secs()
        ))),
        "resuming" => advice.push(Advice::bad(
            "Rounds wait for the epoch's shards to come back. If that takes more than a minute, start the \
             shards that are not in the list below."
                .to_owned(),
        )),
        "broken" => advice.push(Advice::bad(
            "The running epoch cannot go on. Rounds go on by themselves with the next one, once enough \
             operators are present."
                .to_owned(),
        )),
        "stopped" => advice.push(Advice::bad(
            "The coordinator is stopping and opens no more rounds. Start it again.".to_owned(),
        )),
        _ => {}
    }
    if status.epoch.is_none() && status.next_epoch.is_none() && status.planned.is_none() {
        advice.push(Advice::care(
            "No epoch runs yet. The coordinator plans one when enough operators' shards have registered."
                .to_owned(),
        ));
    }
    advice
}

fn on_operators(status: &Status) -> Vec<Advice> {
    let quorum = &status.quorum;
    let (present, needed) = (quorum.present_weight, quorum.needed_weight);
    let absent = quorum.absent.join(", ");
    let mut advice = Vec::new();
    if present < needed {
        advice.push(Advice::bad(format!(
            "Too few operators are present: weight {present}, and an epoch takes {needed}. Have these start \
             more than half of the shards on their lists: {absent}."
        )));
    } else if !quorum.absent.is_empty() {
        advice.push(Advice::care(format!(
            "Absent: {absent}. Epochs go on without them, with more noise and hops. Ask them whether their \
             shards run."
        )));
    }
    if present == needed {
        advice.push(Advice::care(
            "No operator can be spared: if one more is absent, rounds stop.".to_owned(),
        ));
    }
    advice
}

fn on_clock(status: &Status) -> Vec<Advice> {
    let behind = status.rounds.clock_behind_ms;
    if behind == 0 {
        return Vec::new();
    }
    let which = if behind > 0 { "behind" } else { "ahead of" };
    vec![Advice::bad(format!(
        "This coordinator's clock is {} {which} most shards'. Set it, and have it kept by NTP.",
        seconds(behind)
    ))]
}

fn on_shards(status: &Status) -> Vec<Advice> {
    let mut advice = Vec::new();
    for shard in &status.shards {
        let name = shard.shard.get(..12).unwrap_or(&shard.shard);
        let name = format!("Shard {name} of {}", shard.operator);
        let ahead = shard.clock_ahead_ms;
        if ahead.unsigned_abs() >= CLOCK_MS {
            let which = if ahead > 0 { "ahead of" } else { "behind" };
            advice.push(Advice::care(format!(
                "{name} has a clock that is {} {which} the coordinator's. Set the one that is wrong.",
                seconds(ahead)
            )));
        }
        if shard.standing == "garbles" {
            advice.push(Advice::care(format!(
                "{name} garbled cells and sits out {} epochs. Ask its operator why; a shard that is mended comes back at \
                 once under a new identity.",
                shard.sits_out
            )));
        }
        if shard.standing == "suspended" {
            advice.push(Advice::care(format!(
                "{name} sits out {} epochs, since it failed in one. Its log says why; it comes back by itself.",
                shard.sits_out
            )));
        }
    }
    advice
}

fn seconds(ms: i64) -> String {
    let ms = ms.unsigned_abs();
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests {
    use antiphon_process::verdict::Urgency;

    use super::*;

    fn well() -> Status {
        let status = serde_json::json!({
            "network": "ab".repeat(32),
            "now_ms": 1_000_000,
            "rounds": { "conduct": "going", "last": 41, "open": [40, 41], "clock_behind_ms": 0 },
            "epoch": {
                "epoch": 7, "first_round": 30, "last_round": 90, "expires_at_ms": 4_600_000,
                "layers": 15, "shards": 5,
            },
            "next_epoch": null,
            "planned": null,
            "shards": [{
                "shard": "cd".repeat(32), "operator": "beta", "standing": "in_epoch",
                "sits_out": 0, "clock_ahead_ms": -30,
            }],
            "quorum": { "present_weight": 5, "needed_weight": 4, "total_weight": 5, "absent": [] },
            "guarantee": {
                "malicious": 0.2, "epsilon": 0.693, "delta": 1e-6, "disturbed_rounds": 1000,
                "total_delta": 0.3, "total_over_days": 365,
            },
        });
        serde_json::from_value(status).unwrap()
    }

    /// The verdict on a network that is well but for one change.
    fn said(change: impl FnOnce(&mut Status)) -> (Urgency, String) {
        let mut status = well();
        change(&mut status);
        let verdict = verdict(&status, true, Duration::from_secs(3));
        let advice: Vec<_> = verdict.advice.into_iter().map(|advice| advice.words).collect();
        (verdict.urgency, format!("{}: {}", verdict.words, advice.join(" ")))
    }

    #[test]
    fn a_network_in_which_rounds_go_on_needs_no_advice() {
        assert_eq!(said(|_| {}), (Urgency::Good, "Rounds go on: ".to_owned()));
        let (urgency, words) = said(|status| status.rounds.conduct = "standby".to_owned());
        assert!(urgency == Urgency::Good && words.starts_with("It stands by"), "{words}");
        let mut status = well();
        status.rounds.conduct = "standby".to_owned();
        let alone = verdict(&status, false, Duration::from_secs(3));
        assert_eq!(alone.urgency, Urgency::Bad, "{alone:?}");
    }

    #[test]
    fn what_stops_rounds_is_told_with_what_to_do() {
        for (change, told) in [
            (
                (|status| {
                    status.quorum.present_weight = 3;
                    status.quorum.absent = vec!["alpha".to_owned(), "gamma".to_owned()];
                }) as fn(&mut Status),
                "weight 3, and an epoch takes 4. Have these start more than half of the shards on \
                 their lists: alpha, gamma.",
            ),
            (
                |status| status.rounds.conduct = "broken".to_owned(),
                "The running epoch cannot go on.",
            ),
            (
                |status| status.rounds.conduct = "resuming".to_owned(),
                "start the shards that are not",
            ),
            (|status| status.rounds.conduct = "stopped".to_owned(), "Start it again."),
            (|status| status.rounds.clock_behind_ms = 9000, "clock is 9.0 s behind most shards'"),
            (
                |status| status.rounds.clock_behind_ms = -9000,
                "clock is 9.0 s ahead of most shards'",
            ),
        ] {
            let (urgency, words) = said(change);
            assert!(urgency == Urgency::Bad && words.contains(told), "{told}: {words}");
        }
        let mut rare = well();
        rare.epoch.as_mut().unwrap().interval_ms = 300_000;
        let seldom = verdict(&rare, true, Duration::from_secs(350));
        assert_eq!(seldom.urgency, Urgency::Good, "{seldom:?}");
        let still = verdict(&well(), true, Duration::from_secs(90)).advice.remove(0);
        assert!(still.words.starts_with("No round was opened for 90 s."), "{}", still.words);
    }

    #[test]
    fn what_is_to_be_looked_at_is_told_and_stops_nothing() {
        for (change, told) in [
            (
                (|status| {
                    status.quorum.present_weight = 4;
                    status.quorum.absent = vec!["alpha".to_owned()];
                }) as fn(&mut Status),
                "No operator can be spared",
            ),
            (|status| status.quorum.absent = vec!["alpha".to_owned()], "Absent: alpha."),
            (|status| status.shards[0].clock_ahead_ms = 2500, "a clock that is 2.5 s ahead of"),
            (|status| status.shards[0].clock_ahead_ms = -2500, "a clock that is 2.5 s behind"),
            (
                |status| status.shards[0].standing = "suspended".to_owned(),
                "cdcdcdcdcdcd of beta sits out",
            ),
            (
                |status| status.shards[0].standing = "garbles".to_owned(),
                "cdcdcdcdcdcd of beta garbled cells and sits out",
            ),
            (|status| status.epoch = None, "No epoch runs yet."),
        ] {
            let (urgency, words) = said(change);
            assert!(urgency == Urgency::Care && words.contains(told), "{told}: {words}");
        }
    }
}
