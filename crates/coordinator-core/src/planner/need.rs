//! When an epoch is needed.

use antiphon_wire::{EpochDocument, Round, RoundKind, Timestamp};

use super::Planner;
use crate::course::{Conduct, Course};
use crate::faults::Suspensions;

/// Reason for which an epoch is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// No epoch runs.
    First,
    /// The one that runs cannot go on.
    Successor,
    /// The one that runs ends soon.
    Ahead,
    /// The one that runs has a shard that leaves, or lacks one that is back.
    HandOver,
    /// The one that was to follow was given up, and its rounds are nobody's.
    Gap,
}

impl Need {
    /// Returns `true` if rounds wait for the epoch.
    pub(super) const fn is_urgent(self) -> bool {
        matches!(self, Self::First | Self::Successor)
    }
}

impl Planner {
    /// Reason for which an epoch has to be planned now, if one has to.
    pub(super) fn need(
        &self,
        now: Timestamp,
        course: &Course<'_>,
        suspensions: &Suspensions,
    ) -> Option<Need> {
        if course.conduct == Conduct::Broken {
            return Some(Need::Successor);
        }
        let Some(signed) = course.current else {
            // Without a running epoch one may still be on its way: it was published and has not begun.
            return course.next.is_none().then_some(Need::First);
        };
        // Of those that are here, whoever is back is in it, and who leaves is not.
        if course.next.is_none() && course.gap_from.is_some() {
            return Some(Need::Gap);
        }
        let left = signed.document.last_round.0.saturating_sub(course.last_round.0);
        let soon = left <= u64::from(self.rules.config.prepare_ahead_rounds)
            || now >= self.ahead_at(course, &signed.document);
        if soon && course.next.is_none() {
            return Some(Need::Ahead);
        }
        self.wants_hand_over(now, course, suspensions).then_some(Need::HandOver)
    }

    /// When the epoch after `document` is prepared even if rounds are left, lest it expire.
    pub(super) fn ahead_at(&self, course: &Course<'_>, document: &EpochDocument) -> Timestamp {
        let rounds = u64::from(self.rules.config.prepare_ahead_rounds) + 2;
        course.before_end(document, 2 * self.rules.interval_ms() * rounds)
    }

    /// The first round of an epoch that is planned for this reason.
    pub(super) fn first_round(&self, course: &Course<'_>, need: Need) -> Round {
        let next = course.next_round();
        match (need, course.current) {
            (Need::Ahead, Some(signed)) => {
                let ahead = u64::from(self.rules.config.prepare_ahead_rounds);
                let after = signed.document.last_round.0.saturating_add(1);
                Round(after.min(next.0.saturating_add(ahead))).max(next)
            }
            (Need::HandOver | Need::Gap, Some(signed)) => self.hand_over_round(course, signed),
            (Need::Ahead | Need::HandOver | Need::Gap, None) => {
                unreachable!("only an epoch that runs ends soon or is handed over")
            }
            // With a round that sets circuits up: there are none.
            (Need::First | Need::Successor, _) => {
                let services = &self.rules.network.policy.services;
                services.next(RoundKind::DeadDrops, next).unwrap_or(next)
            }
        }
    }
}
