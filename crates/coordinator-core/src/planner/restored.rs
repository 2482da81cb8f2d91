//! Going on from a state that is only a copy of what shards know, and may be lost or old.

use antiphon_wire::{Epoch, MOST_ROUNDS_IN_FLIGHT, Round, ShardEntry, Timestamp};

use super::gathering::Gathering;
use super::{Action, Numbers, Planner, vouched};
use crate::course::Course;
use crate::notice::Notice;

/// By how many epochs and rounds a coordinator that starts goes beyond what operators of more than
/// f of the weight say: as far as one of them may have seen more than the others.
pub(crate) const SLACK: (u64, u64) = (4, 2 * MOST_ROUNDS_IN_FLIGHT as u64);

impl Planner {
    /// Waits for the shards of the epochs, which may have gone on while this side was away.
    pub(crate) fn await_shards(&mut self, now: Timestamp) {
        self.gathering = Gathering::after_absence(now, self.rules.config.gather_ms.into());
    }

    /// Waits for shards that let this coordinator lead in the place of another: those that are there link
    /// within moments.
    pub(crate) fn await_followers(&mut self, now: Timestamp) {
        self.gathering = Gathering::again(now, self.rules.config.gather_ms.into());
    }

    /// Goes on with a restored epoch once all its shards are back with its keys, and gives it up if
    /// they do not come or their keys are gone. Returns whether it did either.
    pub(super) fn resume(&mut self, now: Timestamp, course: &Course<'_>) -> bool {
        let Some(signed) = course.documents().next() else {
            unreachable!("no shards of no epoch are awaited")
        };
        let here = |shard: &ShardEntry| self.roster.member(&shard.identity);
        let shards = &signed.document.shards;
        let (signed_since, _) = self.vouched((0, 0));
        if signed_since > self.marks.last_epoch {
            self.start_over(now, course, "shards have signed later ones: the state is an old one");
        } else if shards.iter().any(|s| here(s).is_some_and(|member| !member.holds(signed))) {
            let reason = "shards were started again, and its keys went with that";
            self.start_over(now, course, reason);
        } else if shards.iter().all(|shard| here(shard).is_some()) {
            // Rounds go on above what shards served, with some slack for what they did not say.
            let (_, served) = self.vouched(SLACK);
            self.actions.push(Action::Resume(served));
            if served > course.last_round {
                self.tell(Notice::Behind { epoch: self.marks.last_epoch, round: served });
            }
            // The shards of the epoch after it have as long as those of this one had.
            self.awaits_next = course.next.is_some();
            if !self.awaits_next {
                self.gathering = Gathering::Done;
            }
        } else if self.gathering.is_over(now) {
            self.start_over(now, course, "not all its shards came back");
        } else {
            return false;
        }
        true
    }

    /// Gives up the epoch that is to follow a restored one if its shards do not come back, or not with its keys. Returns
    /// whether it did.
    pub(super) fn doubts_next(&mut self, now: Timestamp, course: &Course<'_>) -> bool {
        let Some(next) = course.next.filter(|_| self.awaits_next) else { return false };
        let member = |shard: &ShardEntry| self.roster.member(&shard.identity);
        let shards = &next.document.shards;
        let is_missing = shards.iter().any(|shard| member(shard).is_none());
        let lacks_keys = shards.iter().any(|s| member(s).is_some_and(|member| !member.holds(next)));
        let is_dropped = lacks_keys || (is_missing && self.gathering.is_over(now));
        if is_dropped {
            self.actions.push(Action::DropNext);
        }
        if is_dropped || !is_missing {
            self.awaits_next = false;
            self.gathering = Gathering::Done;
        }
        is_dropped
    }

    /// Gives up a restored epoch. It is nobody's fault.
    fn start_over(&mut self, now: Timestamp, course: &Course<'_>, reason: &str) {
        self.actions.push(Action::Abandon { reason: reason.to_owned() });
        // Shards that are not here may have served rounds that nobody here knows of.
        self.actions.push(Action::Raise(Round(course.last_round.0.saturating_add(SLACK.1))));
        if course.current.is_some() {
            self.make_way(now);
        }
        self.gathering = self.gathering.once_more(now);
    }

    /// Goes on above the numbers of shards that are further on. Returns whether there were any.
    pub(super) fn catch_up(&mut self, course: &Course<'_>) -> bool {
        let slack = match self.numbers {
            Numbers::Restored => SLACK,
            Numbers::Settled => (0, 0),
        };
        let (epoch, round) = self.vouched(slack);
        if epoch <= self.marks.last_epoch && round <= course.last_round {
            return false;
        }
        self.marks.last_epoch = epoch.max(self.marks.last_epoch);
        self.actions.push(Action::Raise(round));
        self.tell(Notice::Behind { epoch: self.marks.last_epoch, round });
        true
    }

    /// The highest epoch and round that shards signed and served, as far as they can be believed.
    fn vouched(&self, slack: (u64, u64)) -> (Epoch, Round) {
        let highest = |marks, slack| vouched::highest(&self.rules.network, marks, slack);
        let epochs: Vec<_> = self.roster.marks(|member| member.signed_epoch.0).collect();
        let rounds: Vec<_> = self.roster.marks(|member| member.served_round.0).collect();
        (Epoch(highest(epochs, slack.0)), Round(highest(rounds, slack.1)))
    }
}
