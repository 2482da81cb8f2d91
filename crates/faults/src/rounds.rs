//! The rounds that a coordinator's log tells of.

use std::time::Duration;

/// A round that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EndedRound {
    /// Number of the epoch.
    pub(crate) epoch: u64,
    /// Number of the round.
    pub(crate) round: u64,
    /// `true` if it was delivered by all shards.
    pub(crate) delivered: bool,
    /// Time from its opening to its end.
    pub(crate) took: Duration,
}

/// The rounds that ended, in the order of the log.
pub(crate) fn ended(log: &str) -> Vec<EndedRound> {
    log.lines().filter_map(ended_in).collect()
}

fn ended_in(line: &str) -> Option<EndedRound> {
    let (_, rest) = line.split_once(" round ")?;
    let (round, rest) = rest.split_once(" of epoch ")?;
    let (epoch, outcome) = rest.split_once(' ')?;
    if !(outcome.starts_with("delivered") || outcome.starts_with("aborted")) {
        return None;
    }
    let (_, took) = outcome.rsplit_once(" after ")?;
    let ms = took.split_once(" ms")?.0.parse().ok()?;
    Some(EndedRound {
        epoch: epoch.parse().ok()?,
        // An aborted round says so, and after how long, in the same place.
        round: round.parse().ok()?,
        delivered: outcome.starts_with("delivered after"),
        took: Duration::from_millis(ms),
    })
}

/// The median duration of the delivered rounds.
pub(crate) fn median(rounds: &[EndedRound]) -> Option<Duration> {
    let mut took: Vec<_> =
        rounds.iter().filter(|round| round.delivered).map(|round| round.took).collect();
    took.sort_unstable();
    took.get(took.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_about_rounds_are_found_among_others() {
        let log = "\
12:00 INFO epoch 1 from round 1: calling 5 shards
12:00 INFO round 3 of epoch 1 opened; not ready: alpha
12:00 INFO round 3 of epoch 1 delivered after 640 ms: 8 onions
12:00 WARN round 4 of epoch 1 aborted: beta: no batch after 3000 ms
12:00 INFO round 5 of epoch 2 delivered in part, without beta after 900 ms
";
        let rounds = ended(log);
        let found: Vec<_> = rounds.iter().map(|r| (r.epoch, r.round, r.delivered)).collect();
        assert_eq!(found, [(1, 3, true), (1, 4, false), (2, 5, false)]);
        assert_eq!(median(&rounds), Some(Duration::from_millis(640)));
    }
}
