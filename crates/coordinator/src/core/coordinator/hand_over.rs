//! Epochs that take over from a running one before its end: a shard leaves, or is back.

use antiphon_wire::{Round, SignedDocument, Timestamp};

use super::{Coordinator, lists};
use crate::core::roster::Member;

/// Epochs handed over in a row at full speed; each further one waits twice as long, or shards that
/// come and go all day would have everybody's gateways drawn again all day.
const QUICK: u32 = 8;
/// The wait doubles this many times at most.
const MOST_DOUBLINGS: u32 = 6;
/// What planning takes before it was measured, in milliseconds.
pub(super) const PLANNING_MS: u64 = 4000;
/// How much longer than the last planning the next may take, in milliseconds.
const SPARE_MS: u64 = 2000;

impl Coordinator {
    /// Whether the newest epoch has a shard that is leaving, or lacks one that has been back for a
    /// while.
    pub(super) fn wants_hand_over(&self) -> bool {
        let Some(newest) = self.state.next().or(self.state.current()) else { return false };
        let leaves = |(identity, member): (&_, &Member)| member.leaving && lists(newest, identity);
        if self.roster.members().any(leaves) {
            return self.choose().is_quorum;
        }
        if self.hand_over_at().is_none_or(|at| self.now < at) {
            return false;
        }
        let chosen = self.choose();
        chosen.is_quorum && chosen.shards.iter().any(|identity| !lists(newest, identity))
    }

    /// When an epoch with the shards that are back may take over, if any are.
    pub(super) fn hand_over_at(&self) -> Option<Timestamp> {
        let newest = self.state.next().or(self.state.current())?;
        let first = self.newcomers(newest).map(|member| member.since).min()?;
        let doublings = self.handed_over.saturating_sub(QUICK).min(MOST_DOUBLINGS);
        let hold_off = u64::from(self.config.hand_over_ms) << doublings;
        Some(first.max(self.epoch_began).plus_ms(hold_off))
    }

    fn newcomers(&self, newest: &SignedDocument) -> impl Iterator<Item = &Member> {
        let suspensions = self.faults.suspensions();
        let waits = |(identity, member): (&_, &Member)| {
            !member.leaving && !suspensions.is_suspended(identity) && !lists(newest, identity)
        };
        self.roster.members().filter(move |found| waits(*found)).map(|(_, member)| member)
    }

    /// The first round of an epoch that takes over: far enough ahead for it to be planned first.
    pub(super) fn hand_over_round(&self, running: &SignedDocument) -> Round {
        let next = self.state.next_round();
        let interval = u64::from(self.config.interval_in(&self.network));
        let between = interval.max(self.pace.latency_ms() / self.pace.allowed() as u64);
        let ahead = (2 * self.planning_ms + SPARE_MS).div_ceil(between) + 1;
        let mut first = next.0.saturating_add(ahead);
        first = first.min(running.document.last_round.0.saturating_add(1));
        // Shards that have a newer document serve none of its rounds under the one before it.
        let follows = self.state.next().map(|signed| signed.document.first_round.0);
        Round(first.min(follows.unwrap_or(first))).max(next)
    }
}
