//! Epochs that take over from a running one before its end: a shard leaves, is back, or is reached elsewhere.

use antiphon_wire::{IdentityKey, Registration, Round, SignedDocument, Timestamp};

use super::Planner;
use super::roster::Member;
use crate::course::{Course, lists};
use crate::faults::Suspensions;

/// Epochs handed over in a row at full speed; each further one waits twice as long, or shards that
/// come and go all day would have everybody's gateways drawn again all day.
const QUICK: u32 = 8;
/// The wait doubles this many times at most.
const MOST_DOUBLINGS: u32 = 6;
/// Time that the next planning may take longer than the last, in milliseconds.
const SPARE_MS: u64 = 2000;

impl Planner {
    /// Returns `true` if the newest epoch has a shard that is leaving, or lacks one that has been back for a
    /// while, or where one is reached by now.
    pub(super) fn wants_hand_over(
        &self,
        now: Timestamp,
        course: &Course<'_>,
        suspensions: &Suspensions,
    ) -> bool {
        let Some(newest) = course.newest() else { return false };
        let is_listed = |identity: &IdentityKey| lists(newest, identity);
        let leaves = |(identity, member): (&_, &Member)| member.is_leaving() && is_listed(identity);
        // A shard that leaves is not kept waiting, as long as the others are a quorum.
        if self.roster.members().any(leaves) {
            return self.choose(suspensions).is_quorum;
        }
        if self.hand_over_at(course, suspensions).is_none_or(|at| now < at) {
            return false;
        }
        let chosen = self.choose(suspensions);
        let news = |identity: &IdentityKey| {
            let member = self.roster.member(identity);
            member.is_some_and(|member| !lists_as_registered(newest, identity, member))
        };
        chosen.is_quorum && chosen.shards.iter().any(news)
    }

    /// When an epoch with the shards that are back, or elsewhere, may take over, if any are.
    pub(super) fn hand_over_at(
        &self,
        course: &Course<'_>,
        suspensions: &Suspensions,
    ) -> Option<Timestamp> {
        let newest = course.newest()?;
        let waits = |(identity, member): &(&_, &Member)| {
            !member.is_leaving()
                && !suspensions.is_suspended(identity)
                && !lists_as_registered(newest, identity, member)
        };
        let newcomers = self.roster.members().filter(waits);
        let first = newcomers.map(|(_, member)| member.since).min()?;
        let doublings = self.handed_over.saturating_sub(QUICK).min(MOST_DOUBLINGS);
        let hold_off = u64::from(self.rules.config.hand_over_ms) << doublings;
        Some(first.max(course.began).plus_ms(hold_off))
    }

    /// The first round of an epoch that takes over: far enough ahead for it to be planned first.
    pub(super) fn hand_over_round(&self, course: &Course<'_>, running: &SignedDocument) -> Round {
        let next = course.next_round();
        let ahead = (2 * self.planning_ms + SPARE_MS).div_ceil(course.apart_ms) + 1;
        let mut first = next.0.saturating_add(ahead);
        first = first.min(running.document.last_round.0.saturating_add(1));
        // Shards that have a newer document serve none of its rounds under the one before it.
        let follows = course.next.map(|signed| signed.document.first_round);
        let taken = follows.into_iter().chain(course.gap_from).min();
        Round(first.min(taken.map_or(first, |round| round.0))).max(next)
    }
}

/// Returns `true` if the document lists the shard, at the addresses that it registered.
fn lists_as_registered(signed: &SignedDocument, shard: &IdentityKey, member: &Member) -> bool {
    let entry = signed.document.shards.iter().find(|entry| entry.identity == *shard);
    let Registration { peer_addresses, client_addresses, .. } = &member.registration;
    entry.is_some_and(|entry| {
        (&entry.peer_addresses, &entry.client_addresses) == (peer_addresses, client_addresses)
    })
}
