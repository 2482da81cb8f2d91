//! Offsets of the shards' clocks from each other and from the coordinator's own.

use std::collections::{BTreeMap, VecDeque};

use antiphon_wire::{IdentityKey, OperatorIndex, Timestamp};

use crate::course::shifted;
use crate::notice::Notice;
use crate::rules::Rules;

/// Clocks further apart than this are worth a word, in milliseconds.
const APART_MS: i64 = 2000;
/// Readings of a shard's clock that count: of messages that were under way for different times, the
/// quickest tells best.
const READINGS: usize = 3;

/// The clocks of the shards that are here.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    clocks: BTreeMap<IdentityKey, Clock>,
    /// By how much this machine's clock is behind those of most shards, in milliseconds; 0 if it is
    /// not so far away that documents have to go by theirs.
    behind_ms: i64,
}

#[derive(Debug)]
struct Clock {
    operator: OperatorIndex,
    /// By how much it was ahead of this machine's, in milliseconds, when it was read last.
    readings: VecDeque<i64>,
    told: Told,
}

/// State of a clock in the last notice about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    Right,
    Off,
}

impl Clock {
    fn ahead_ms(&self) -> i64 {
        self.readings.iter().copied().max().unwrap_or(0)
    }
}

impl Offsets {
    /// A shard registers anew: what its clock showed before does not count any more.
    pub(super) fn registered(
        &mut self,
        shard: IdentityKey,
        operator: OperatorIndex,
        ahead_ms: i64,
    ) {
        let told = self.clocks.get(&shard).map_or(Told::Right, |before| before.told);
        let readings = VecDeque::from([ahead_ms]);
        self.clocks.insert(shard, Clock { operator, readings, told });
    }

    /// A registered shard's clock was read.
    pub(super) fn read(&mut self, shard: IdentityKey, ahead_ms: i64) {
        let clock = self.clocks.get_mut(&shard);
        debug_assert!(clock.is_some(), "only registered shards are heard");
        if let Some(clock) = clock {
            clock.readings.truncate(READINGS - 1);
            clock.readings.push_front(ahead_ms);
        }
    }

    /// A shard's link is gone.
    pub(super) fn forget(&mut self, shard: &IdentityKey) {
        self.clocks.remove(shard);
    }

    /// By how much a shard's clock is ahead of this machine's, in milliseconds; 0 for one that is not
    /// here.
    pub(super) fn ahead_ms(&self, shard: &IdentityKey) -> i64 {
        self.clocks.get(shard).map_or(0, Clock::ahead_ms)
    }

    /// By how much this machine's clock is behind those of most shards, in milliseconds; 0 if that is
    /// not worth a word.
    pub(super) const fn behind_ms(&self) -> i64 {
        self.behind_ms
    }

    /// A moment of the shards' time by this machine's clock: documents start and expire by theirs.
    pub(super) fn by_own_clock(&self, theirs: Timestamp) -> Timestamp {
        shifted(theirs, self.behind_ms.saturating_neg())
    }

    /// Compares all clocks. Returns what there is to say of those that are away from most shards', or
    /// right again.
    pub(super) fn judge(&mut self, rules: &Rules) -> Vec<Notice> {
        let mut notices = Vec::new();
        let Some(median) = median_ms(self.clocks.values().map(Clock::ahead_ms)) else {
            return notices;
        };
        let behind_ms = if is_off(median) { median } else { 0 };
        // Told when it changes, not with every reading.
        if (behind_ms == 0) != (self.behind_ms == 0) {
            notices.push(Notice::OwnClock { ahead_ms: behind_ms.saturating_neg() });
        }
        self.behind_ms = behind_ms;
        for (shard, clock) in &mut self.clocks {
            let ahead_ms = clock.ahead_ms().saturating_sub(median);
            let (found, ahead_ms) =
                if is_off(ahead_ms) { (Told::Off, ahead_ms) } else { (Told::Right, 0) };
            if found != clock.told {
                clock.told = found;
                let operator = rules.operator_name(clock.operator);
                notices.push(Notice::ShardClock { shard: *shard, operator, ahead_ms });
            }
        }
        notices
    }
}

/// By how much a clock is ahead of the coordinator's, in milliseconds.
pub(super) fn ahead_ms(clock: Timestamp, now: Timestamp) -> i64 {
    let apart = i64::try_from(clock.0.abs_diff(now.0)).unwrap_or(i64::MAX);
    if clock >= now { apart } else { -apart }
}

/// Returns `true` if a difference is more than links and schedulers explain.
const fn is_off(ms: i64) -> bool {
    ms.unsigned_abs() > APART_MS.unsigned_abs()
}

/// The median of what shards say: by how much the coordinator's clock is behind. Less than half of
/// them being wrong does not move it beyond what the others say.
fn median_ms(ahead: impl IntoIterator<Item = i64>) -> Option<i64> {
    let mut sorted: Vec<_> = ahead.into_iter().collect();
    sorted.sort_unstable();
    // Of two, the one nearer to the coordinator's.
    match sorted.as_slice() {
        [] => None,
        &[one, other] => Some(if one.unsigned_abs() < other.unsigned_abs() { one } else { other }),
        all => all.get(all.len() / 2).copied(),
    }
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
