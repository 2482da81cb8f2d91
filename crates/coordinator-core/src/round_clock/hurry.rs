//! Rounds that open before their time since an epoch was broken, and whose losses broke it.

use std::collections::{BTreeSet, VecDeque};

use antiphon_routing::EarlyRounds;
use antiphon_wire::{OperatorIndex, Policy, Timestamp};

/// Time that a round waits beyond the hour or the day that clients count early rounds in, in milliseconds: messages
/// reach them sooner and later.
const EARLY_SPARE_MS: u64 = 10_000;
const DAY_MS: u64 = 86_400_000;
/// One operator's losses bring this part of a day's early rounds at most: whoever feigns to be lost does not use up those
/// that others' losses take.
const SHARE: usize = 4;

/// Whose loss cut the circuits; nobody's in particular where rounds failed over disputes.
pub(crate) type Cause = Option<OperatorIndex>;

/// The early rounds of the last day, and the wish for another.
#[derive(Debug)]
pub(super) struct Hurry {
    early: EarlyRounds,
    /// The causes of those rounds, the oldest first.
    causes: VecDeque<Cause>,
    a_day: usize,
    /// The causes for which the next round does not wait for the interval; none if it does.
    wanted: BTreeSet<Cause>,
}

impl Hurry {
    /// Rounds opened early at these times, the oldest first, and the next one is in a hurry for these causes.
    pub(super) fn resumed(
        policy: &Policy,
        early: &[(Timestamp, Cause)],
        wanted: &BTreeSet<Cause>,
    ) -> Self {
        let counted = EarlyRounds::resumed(policy, early.iter().map(|(at, _)| *at));
        let skipped = early.len() - counted.lately().count();
        Self {
            early: counted,
            causes: early.iter().skip(skipped).map(|(_, cause)| *cause).collect(),
            a_day: policy.early_rounds_a_day.into(),
            wanted: wanted.clone(),
        }
    }

    /// The early rounds that still count, the oldest first.
    pub(super) fn lately(&self) -> Vec<(Timestamp, Cause)> {
        self.early.lately().zip(self.causes.iter().copied()).collect()
    }

    /// The circuits of the last round are cut.
    pub(super) fn wants(&mut self, cause: Cause) {
        self.wanted.insert(cause);
    }

    /// The causes for which the next round is in a hurry.
    pub(super) fn wanted(&self) -> &BTreeSet<Cause> {
        &self.wanted
    }

    /// A round opens that sets circuits up anew. Returns the causes for which it was in a hurry.
    pub(super) fn settle(&mut self) -> BTreeSet<Cause> {
        std::mem::take(&mut self.wanted)
    }

    /// From when on the next round may open before its time; `None` if it may not.
    pub(super) fn free_at(&self) -> Option<Timestamp> {
        self.first_free().map(|(at, _)| at)
    }

    /// A round opens before its time. Returns whether it may.
    pub(super) fn take(&mut self, now: Timestamp) -> bool {
        let Some((_, cause)) = self.first_free() else { return false };
        if !self.early.take(now) {
            return false;
        }
        self.causes.push_back(cause);
        while self.causes.len() > self.early.lately().count() {
            self.causes.pop_front();
        }
        true
    }

    /// The cause whose share has, or will have, room first.
    fn first_free(&self) -> Option<(Timestamp, Cause)> {
        let free = self.early.free_at()?.plus_ms(EARLY_SPARE_MS);
        let of = |cause: &Cause| (free.max(self.share_free_at(*cause)), *cause);
        self.wanted.iter().map(of).min()
    }

    /// When a cause has used less than its share of the last day.
    fn share_free_at(&self, cause: Cause) -> Timestamp {
        let share = (self.a_day / SHARE).max(1);
        let lately = self.lately();
        let mut of_it = lately.iter().rev().filter(|(_, by)| *by == cause).map(|(at, _)| at);
        of_it.nth(share - 1).map_or(Timestamp(0), |at| at.plus_ms(DAY_MS + EARLY_SPARE_MS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIAR: Cause = Some(OperatorIndex(3));
    const OTHER: Cause = Some(OperatorIndex(1));
    const MINUTE: u64 = 60_000;

    fn hurry() -> Hurry {
        Hurry::resumed(&Policy { early_rounds_a_day: 24, ..Policy::DEFAULT }, &[], &BTreeSet::new())
    }

    /// A shard of this operator is lost. Returns whether a round opens early for it.
    fn is_early(hurry: &mut Hurry, minute: u64, cause: Cause) -> bool {
        hurry.wants(cause);
        let now = Timestamp(MINUTE * minute);
        let early = hurry.free_at().is_some_and(|at| at <= now) && hurry.take(now);
        hurry.settle();
        early
    }

    #[test]
    fn whoever_feigns_to_be_lost_all_day_gets_a_quarter_and_others_losses_the_rest() {
        let mut hurry = hurry();
        let mut early = |cause, minutes: std::ops::Range<u64>| {
            minutes.step_by(65).filter(|minute| is_early(&mut hurry, *minute, cause)).count()
        };
        assert_eq!(early(LIAR, 60..1400), 6);
        assert_eq!(early(OTHER, 1401..1402), 1);
        assert_eq!(early(LIAR, 1405..1406), 0);
        assert_eq!(early(LIAR, 1510..1511), 1, "a day later");
    }

    #[test]
    fn a_loss_that_comes_with_a_feigned_one_is_not_kept_waiting() {
        let mut hurry = hurry();
        for minute in (60..).step_by(20).take(6) {
            assert!(is_early(&mut hurry, minute, LIAR));
        }
        assert!(!is_early(&mut hurry, 400, LIAR));
        hurry.wants(LIAR);
        assert!(is_early(&mut hurry, 400, OTHER));
        let causes: Vec<_> = hurry.lately().into_iter().map(|(_, cause)| cause).collect();
        assert_eq!(causes, [LIAR, LIAR, LIAR, LIAR, LIAR, LIAR, OTHER]);
        // It is known over a restart.
        let policy = Policy { early_rounds_a_day: 24, ..Policy::DEFAULT };
        let mut again = Hurry::resumed(&policy, &hurry.lately(), &BTreeSet::new());
        assert!(!is_early(&mut again, 500, LIAR) && is_early(&mut again, 500, OTHER));
    }

    #[test]
    fn a_file_that_allows_few_leaves_each_operator_one() {
        let policy = Policy { early_rounds_an_hour: 2, early_rounds_a_day: 2, ..Policy::DEFAULT };
        let mut hurry = Hurry::resumed(&policy, &[], &BTreeSet::new());
        assert!(is_early(&mut hurry, 60, LIAR) && !is_early(&mut hurry, 70, LIAR));
        assert!(
            is_early(&mut hurry, 80, OTHER) && !is_early(&mut hurry, 90, Some(OperatorIndex(2)))
        );
    }
}
