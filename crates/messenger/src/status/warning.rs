//! What is not as it should be, in words that say what to do.

use super::Standing;

/// Difference of clocks from which on a person is warned.
const CLOCK_MS: u64 = 30_000;
/// Difference beyond which a client takes part in no round.
const MOST_CLOCK_MS: u64 = 300_000;

/// What a person should know or do, the most urgent first.
pub(super) fn warnings(standing: &Standing) -> Vec<String> {
    let offline = || {
        let why = standing.trouble.as_deref().unwrap_or("it is being looked for");
        format!("no link to a gateway: {why}. Messages wait, and it goes on trying")
    };
    let trouble = standing.trouble.as_ref().filter(|_| standing.is_online).cloned();
    let restored = "the profile was restored from a backup, or is an old copy: conversations rest until \
                    `antiphon status --allow` says how many units may be spent";
    let used_up = "the budget of disturbed rounds is used up: conversations rest until `antiphon status --allow` says \
                   how many more may be spent, at a price";
    let aborts = "as many rounds were aborted as the guarantee allows for: conversations rest until `antiphon status \
                  --allow-aborts` says how many more may be";
    let used_up = if standing.is_restored { restored } else { used_up };
    [
        standing.clock_ahead_ms.and_then(clock),
        (!standing.is_online && standing.asleep_until.is_none()).then(offline),
        trouble,
        (standing.budget.left == 0).then(|| used_up.to_owned()),
        (standing.attempts.left == 0 && !standing.is_restored).then(|| aborts.to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Words on a clock that is off, if it is by much. Positive if the network's is ahead.
fn clock(ahead_ms: i64) -> Option<String> {
    let off_ms = ahead_ms.unsigned_abs();
    if off_ms < CLOCK_MS {
        return None;
    }
    let (seconds, side) = (off_ms / 1000, if ahead_ms > 0 { "behind" } else { "ahead of" });
    let follows = match off_ms {
        MOST_CLOCK_MS.. => "no round is taken part in until it is right",
        _ => "from five minutes on, no round is taken part in",
    };
    Some(format!(
        "this computer's clock is {seconds} s {side} that of its gateway: compare it with another one, and let the system \
         set it by the network's time; {follows}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_warned_of_from_half_a_minute_on_to_either_side() {
        for ahead_ms in [0, 29_999, -29_999] {
            assert_eq!(clock(ahead_ms), None);
        }
        let words = clock(30_000).unwrap();
        assert!(words.contains("30 s behind") && words.contains("set it"), "{words}");
        assert!(clock(-31_500).unwrap().contains("31 s ahead of"));
        assert!(clock(-299_999).unwrap().contains("from five minutes on"));
        assert!(clock(i64::MIN).unwrap().contains("until it is right"));
        assert!(clock(300_000).unwrap().contains("until it is right"));
    }
}
