//! Second half of planning: the document of an epoch that was called is proposed, signed and checked.

use std::sync::Arc;

use antiphon_wire::{IdentityKey, Timestamp, ToShard};

use super::attempt::{Attempt, Call, Phase, Proposal};
use super::calling::Answers;
use super::documents::{Composed, Done, Fault, Job, Work, WorkDone};
use super::handing_out::{self, HandingOut};
use super::retry::Again;
use super::{Action, Planner, Planning};
use crate::course::Course;

/// Longest time that planning is taken to need, in milliseconds.
const LONGEST_PLANNING_MS: u64 = 120_000;

impl Planner {
    /// Moves the epoch on its way forward, if it is time.
    pub(super) fn step_attempt(&mut self, now: Timestamp, course: &Course<'_>) -> bool {
        // What an attempt that failed left behind ends first: one work at a time.
        if self.bench.is_busy() {
            return false;
        }
        let Some(attempt) = self.take_attempt(|attempt| attempt.is_due(now)) else { return false };
        let Attempt { call, members, phase } = attempt;
        match phase {
            Phase::Calling { until, contributions, refusals } => {
                let answers = Answers { until, contributions, refusals };
                self.compose(now, course, (call, members), answers);
            }
            Phase::Proposing { proposal, .. } => {
                self.conclude(now, course, (call, members), &proposal);
            }
            Phase::Composing { .. } | Phase::Verifying { .. } => {
                unreachable!("they wait for work and are not due")
            }
        }
        true
    }

    /// Work has been done. What is of no use any more is dropped.
    pub(crate) fn work_done(&mut self, now: Timestamp, course: &Course<'_>, done: WorkDone) {
        if !self.bench.finish(done.number) {
            return;
        }
        let waits = |attempt: &Attempt| attempt.work() == Some(done.number);
        let Some(attempt) = self.take_attempt(waits) else { return };
        match done.result {
            Done::Composed(Ok(composed)) => self.propose(now, course, attempt.call, *composed),
            Done::Composed(Err(fault)) => self.blame(now, attempt, fault),
            Done::Verified(Ok(signed)) => self.publish(now, &attempt.call, *signed),
            Done::Verified(Err(reason)) => {
                self.give_up(now, &attempt.call, &reason, Again::Later);
            }
        }
    }

    /// Gives out work, and returns its number.
    pub(super) fn work(&mut self, job: Job) -> u64 {
        let number = self.bench.take_on();
        let network = self.rules.network.clone();
        self.actions.push(Action::Work(Work { number, network, job }));
        number
    }

    /// Asks shards to sign a document.
    fn propose(
        &mut self,
        now: Timestamp,
        course: &Course<'_>,
        call: Call,
        (document, contributions): Composed,
    ) {
        // Composing took a while, and shards sign nothing for rounds that are past.
        if call.is_overtaken(course.last_round) {
            return self.overtaken(now, &call);
        }
        let members: Vec<_> = document.shards.iter().map(|shard| shard.identity).collect();
        let until = now.plus_ms(self.rules.config.endorse_ms.into());
        let contributions: Vec<_> = contributions.into_iter().map(Arc::new).collect();
        let (handing_out, hashes) = HandingOut::new(&contributions);
        let proposal = Box::new(Proposal::new(document.clone(), handing_out));
        let phase = Phase::Proposing { until, proposal };
        let spread = handing_out::spread(&contributions);
        let propose = ToShard::Propose { document, contributions: hashes, spread: spread as u16 };
        self.send(members.clone(), propose);
        for (owner, contribution) in contributions.into_iter().enumerate() {
            let to = handing_out::helpers(&members, owner, spread);
            self.send(to, ToShard::Contribution { contribution });
        }
        self.planning = Planning::Underway(Attempt { call, members, phase });
    }

    /// All have answered a proposal, or had time to.
    fn conclude(
        &mut self,
        now: Timestamp,
        course: &Course<'_>,
        (call, members): (Call, Vec<IdentityKey>),
        proposal: &Proposal,
    ) {
        if let Some(signed) = proposal.signed() {
            let work = self.work(Job::Verify(Box::new(signed)));
            let phase = Phase::Verifying { work };
            self.planning = Planning::Underway(Attempt { call, members, phase });
            return;
        }
        if call.is_overtaken(course.last_round) {
            return self.overtaken(now, &call);
        }
        let unsigned = proposal.unsigned();
        let Some((shard, reason)) = unsigned.first() else {
            unreachable!("a document that all have signed is signed")
        };
        let reason = format!("shard {shard} {reason}");
        let again = self.suspend_if_spare((&call, &members), &unsigned);
        self.give_up(now, &call, &reason, again);
    }

    /// Tries again with more time: rounds went on past where the epoch was to begin.
    fn overtaken(&mut self, now: Timestamp, call: &Call) {
        self.planning_ms = self.planning_ms.saturating_mul(2).min(LONGEST_PLANNING_MS);
        self.give_up(now, call, "its first round was opened before it was signed", Again::AtOnce);
    }

    /// No document came of the keys.
    fn blame(&mut self, now: Timestamp, attempt: Attempt, Fault { shard, reason }: Fault) {
        let Some(shard) = shard else {
            return self.give_up(now, &attempt.call, &reason, Again::Later);
        };
        let failed = [(shard, reason.clone())];
        match self.suspend_if_spare((&attempt.call, &attempt.members), &failed) {
            Again::AtOnce => {
                self.planning = Planning::Underway(attempt);
                self.leave_out(now, &shard, &reason);
            }
            Again::Later => self.give_up(now, &attempt.call, &reason, Again::Later),
        }
    }

    /// Has shards suspended that failed an attempt, if a quorum remains without them: no delay may
    /// take the roster below it. Returns when to try again, which is at once if they were.
    fn suspend_if_spare(
        &mut self,
        (call, members): (&Call, &[IdentityKey]),
        failed: &[(IdentityKey, String)],
    ) -> Again {
        let has_failed = |member: &&IdentityKey| failed.iter().any(|(shard, _)| shard == *member);
        let rest = members.iter().filter(|member| !has_failed(member)).copied().collect();
        if !self.select(call, &rest).is_quorum {
            return Again::Later;
        }
        for (shard, reason) in failed {
            self.actions.push(Action::Suspend { shard: *shard, reason: reason.clone() });
        }
        Again::AtOnce
    }
}
