//! Who is here, and which epochs there are to be.
//!
//! The machine is told which shards register, leave or are lost, and what they answer. It sees when an
//! epoch is needed, calls shards for their keys, has a document put together, proposes it, and announces
//! it once all have signed. It opens no round and judges nobody.

mod attempt;
mod bench;
mod calling;
mod documents;
mod gathering;
mod hand_over;
mod handing_out;
mod members;
mod need;
mod proposing;
mod publishing;
pub(crate) mod quorum;
mod restored;
mod retry;
mod roster;
pub(crate) mod vouched;

use std::collections::BTreeSet;
use std::sync::Arc;

use antiphon_wire::{Digest, Epoch, IdentityKey, Round, SignedDocument, Timestamp, ToShard};

use super::course::{Conduct, Course};
use super::faults::Suspensions;
use super::notice::Notice;
use super::rules::Rules;
use attempt::{Attempt, Call};
use bench::Bench;
use gathering::Gathering;
use quorum::Selection;
use retry::{Again, Retry};

pub(crate) use documents::verify;
pub use documents::{Work, WorkDone};
pub use quorum::Presence;
pub(crate) use restored::SLACK;
pub(crate) use roster::{Member, Roster};
pub use roster::{RegistrationError, check as check_registration};

/// Time that planning is taken to need before it was measured, in milliseconds.
const PLANNING_MS: u64 = 4000;

/// Something that planning asks for, in the order given.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// The marks are durable before anything that comes after.
    Persist,
    /// A message goes to these shards.
    Send { to: Vec<IdentityKey>, message: ToShard },
    /// Something is computed beside everything else.
    Work(Work),
    /// Those who watch are told.
    Notice(Notice),
    /// A shard missed a deadline.
    Suspend { shard: IdentityKey, reason: String },
    /// Rounds go on above the one that shards served.
    Raise(Round),
    /// The shards of the restored epoch are back, and served this round.
    Resume(Round),
    /// The restored epoch cannot go on.
    Abandon { reason: String },
    /// The epoch that was to follow it cannot begin.
    DropNext,
    /// All shards of an epoch have signed it.
    Announce(Arc<SignedDocument>),
    /// Clients are handed this document.
    Publish(Arc<SignedDocument>),
}

/// Marks of planning that outlive the process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Marks {
    /// The highest epoch number that was ever called.
    pub(crate) last_epoch: Epoch,
    /// The hash of the newest published document.
    pub(crate) previous: Digest,
}

/// Epoch that is being planned, if any.
#[derive(Debug, Default)]
enum Planning {
    #[default]
    Nothing,
    Underway(Attempt),
    /// Nothing ever again: the process stops.
    Stopped,
}

/// Whose numbers this coordinator goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbers {
    /// Those of its state, which may be lost or old.
    Restored,
    /// Its own: an epoch came about since it started.
    Settled,
}

/// The machine that plans epochs.
#[derive(Debug)]
pub(crate) struct Planner {
    rules: Arc<Rules>,
    marks: Marks,
    roster: Roster,
    planning: Planning,
    bench: Bench,
    retry: Retry,
    gathering: Gathering,
    /// Presence in the last notice about a missing quorum.
    waiting: Option<Presence>,
    numbers: Numbers,
    /// True until all shards of the epoch that is to follow a restored one are back as well.
    awaits_next: bool,
    /// Epochs in a row that took over from one before its end.
    handed_over: u32,
    /// Time that planning an epoch takes, in milliseconds.
    planning_ms: u64,
    actions: Vec<Action>,
}

impl Planner {
    /// A planner that goes on above `marks`, at the time `now`.
    pub(crate) fn new(rules: Arc<Rules>, marks: Marks, now: Timestamp) -> Self {
        Self {
            gathering: Gathering::Until(now.plus_ms(rules.config.gather_ms.into())),
            rules,
            marks,
            roster: Roster::default(),
            planning: Planning::Nothing,
            bench: Bench::default(),
            retry: Retry::new(now),
            waiting: None,
            numbers: Numbers::Restored,
            awaits_next: false,
            handed_over: 0,
            planning_ms: PLANNING_MS,
            actions: Vec::new(),
        }
    }

    /// Takes the actions that were asked for since the last call, in order.
    pub(crate) fn drain(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    /// Marks that have to outlive the process.
    pub(crate) const fn marks(&self) -> Marks {
        self.marks
    }

    /// Returns `true` if rounds wait for the epoch on its way.
    pub(crate) fn is_urgent(&self) -> bool {
        self.attempt().is_some_and(|attempt| attempt.call.need.is_urgent())
    }

    /// Moves the epoch on its way forward, or plans one if one is needed and enough shards are here.
    /// Returns whether it did.
    pub(crate) fn step(
        &mut self,
        now: Timestamp,
        course: &Course<'_>,
        suspensions: &Suspensions,
    ) -> bool {
        self.step_attempt(now, course) || self.step_plan(now, course, suspensions)
    }

    /// Moments at which there may be something to do.
    pub(crate) fn deadlines(
        &self,
        course: &Course<'_>,
        suspensions: &Suspensions,
    ) -> impl Iterator<Item = Timestamp> {
        // An attempt whose work is being computed waits for that, and for no time.
        let attempt = self.attempt().filter(|_| !self.bench.is_busy());
        let ahead = course.current.map(|signed| self.ahead_at(course, &signed.document));
        [
            attempt.and_then(Attempt::deadline),
            self.gathering.deadline(),
            ahead,
            self.hand_over_at(course, suspensions),
            Some(self.retry.at()),
        ]
        .into_iter()
        .flatten()
    }

    /// Plans no more epochs.
    pub(crate) fn stop(&mut self) {
        self.planning = Planning::Stopped;
    }

    /// The running epoch cannot go on: whoever is here will do for a successor, which takes the place
    /// of what was planned ahead.
    pub(crate) fn hurry(&mut self, now: Timestamp) {
        self.gathering = Gathering::Done;
        self.make_way(now);
    }

    /// Gives up an epoch that is not needed at once.
    fn make_way(&mut self, now: Timestamp) {
        if self.attempt().is_some_and(|attempt| !attempt.call.need.is_urgent()) {
            self.fail(now, "a successor is needed at once", Again::AtOnce);
        }
    }

    fn step_plan(
        &mut self,
        now: Timestamp,
        course: &Course<'_>,
        suspensions: &Suspensions,
    ) -> bool {
        if matches!(self.planning, Planning::Stopped) {
            return false;
        }
        // A restored epoch goes on or is given up before any other is planned.
        if course.conduct == Conduct::Resuming {
            return self.resume(now, course);
        }
        if self.doubts_next(now, course) {
            return true;
        }
        if self.attempt().is_some() || now < self.retry.at() {
            return false;
        }
        let Some(need) = self.need(now, course, suspensions) else { return false };
        // Numbers that shards signed or served beyond the state are taken over first.
        if need.is_urgent() && self.catch_up(course) {
            return true;
        }
        let selection = self.choose(suspensions);
        if !self.gathering.will_do(now, selection.complete) {
            return false;
        }
        if !selection.is_quorum {
            self.wait_for(selection.presence);
            return false;
        }
        // The next lack of a quorum is news again.
        self.waiting = None;
        self.call(now, course, need, selection.shards);
        true
    }

    /// Says that no epoch can be planned before more shards are here, unless it was said already.
    fn wait_for(&mut self, presence: Presence) {
        if self.waiting.as_ref() != Some(&presence) {
            self.waiting = Some(presence.clone());
            self.tell(Notice::WaitingForQuorum(presence));
        }
    }

    /// The shards that the next epoch is planned with.
    fn choose(&self, suspensions: &Suspensions) -> Selection {
        let epoch = self.next_epoch();
        let least = self.rules.config.least_shards;
        quorum::choose(&self.roster, &self.rules.network, epoch, least, suspensions)
    }

    /// Selection for an epoch with just these shards.
    fn select(&self, call: &Call, shards: &BTreeSet<IdentityKey>) -> Selection {
        let least = self.rules.config.least_shards;
        quorum::select(&self.roster, &self.rules.network, call.epoch, least, shards)
    }

    /// The number that the next epoch has.
    fn next_epoch(&self) -> Epoch {
        Epoch(self.marks.last_epoch.0.saturating_add(1))
    }

    fn attempt(&self) -> Option<&Attempt> {
        match &self.planning {
            Planning::Underway(attempt) => Some(attempt),
            Planning::Nothing | Planning::Stopped => None,
        }
    }

    fn attempt_mut(&mut self) -> Option<&mut Attempt> {
        match &mut self.planning {
            Planning::Underway(attempt) => Some(attempt),
            Planning::Nothing | Planning::Stopped => None,
        }
    }

    /// Takes the attempt out if it is one that `which` describes.
    fn take_attempt(&mut self, which: impl Fn(&Attempt) -> bool) -> Option<Attempt> {
        match std::mem::take(&mut self.planning) {
            Planning::Underway(attempt) if which(&attempt) => Some(attempt),
            other => {
                self.planning = other;
                None
            }
        }
    }

    /// Ends the attempt, if there is one.
    fn fail(&mut self, now: Timestamp, reason: &str, again: Again) {
        if let Some(attempt) = self.take_attempt(|_| true) {
            self.give_up(now, &attempt.call, reason, again);
        }
    }

    /// Notes that an attempt, which has been taken out, came to nothing.
    fn give_up(&mut self, now: Timestamp, call: &Call, reason: &str, again: Again) {
        debug_assert!(self.attempt().is_none());
        self.tell(Notice::EpochFailed { epoch: call.epoch, reason: reason.to_owned() });
        self.retry.failed(now, again, self.rules.config.retry_ms.into());
    }

    fn tell(&mut self, notice: Notice) {
        self.actions.push(Action::Notice(notice));
    }

    fn send(&mut self, to: Vec<IdentityKey>, message: ToShard) {
        self.actions.push(Action::Send { to, message });
    }
}

#[cfg(test)]
mod tests;
