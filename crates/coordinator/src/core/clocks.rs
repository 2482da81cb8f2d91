//! What the shards' clocks say about each other's and about the coordinator's own.

use antiphon_wire::Timestamp;

/// Clocks further apart than this are worth a word, in milliseconds.
const APART_MS: i64 = 2000;

/// By how much a clock is ahead of the coordinator's, in milliseconds.
pub(crate) fn ahead_ms(clock: Timestamp, now: Timestamp) -> i64 {
    let apart = i64::try_from(clock.0.abs_diff(now.0)).unwrap_or(i64::MAX);
    if clock >= now { apart } else { -apart }
}

/// Whether a difference is more than links and schedulers explain.
pub(crate) const fn is_off(ms: i64) -> bool {
    ms.unsigned_abs() > APART_MS.unsigned_abs()
}

/// The median of what shards say: by how much the coordinator's clock is behind. Less than half of
/// them being wrong does not move it beyond what the others say.
pub(crate) fn median_ms(ahead: impl IntoIterator<Item = i64>) -> Option<i64> {
    let mut sorted: Vec<_> = ahead.into_iter().collect();
    sorted.sort_unstable();
    // Of two, the one nearer to the coordinator's.
    match sorted.as_slice() {
        [] => None,
        &[one, other] => Some(if one.unsigned_abs() < other.unsigned_abs() { one } else { other }),
        all => all.get(all.len() / 2).copied(),
    }
}

/// `time` later by `ms`, which may be negative.
pub(crate) fn shifted(time: Timestamp, ms: i64) -> Timestamp {
    Timestamp(time.0.saturating_add_signed(ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minority_of_wrong_clocks_does_not_move_the_median() {
        assert_eq!(median_ms([3, -5, i64::MAX, 2, i64::MIN]), Some(2));
        assert_eq!(median_ms([90_000, 10]), Some(10));
        assert_eq!(median_ms([-120_000]), Some(-120_000));
        assert_eq!(median_ms([]), None);
    }

    #[test]
    fn differences_of_any_size_are_told() {
        assert_eq!(ahead_ms(Timestamp(5000), Timestamp(2000)), 3000);
        assert_eq!(ahead_ms(Timestamp(0), Timestamp(u64::MAX)), -i64::MAX);
        assert!(is_off(2001) && is_off(-2001) && !is_off(2000) && is_off(i64::MIN));
    }
}
