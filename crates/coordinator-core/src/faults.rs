//! Whose fault it is that something failed, and who sits out for it.
//!
//! The machine is told how rounds ended, which links were lost and who missed a deadline. It says who
//! cannot be in the epochs that run or are on their way, and whether the running one can go on. It
//! opens no round and plans no epoch.

mod blame;
mod cells;
mod disputes;
mod lineup;
mod losses;
mod overdue;
mod report;
mod settlement;
mod suspensions;

use std::collections::BTreeMap;
use std::sync::Arc;

use antiphon_canaries::{Court, Marks as Garbled};
use antiphon_wire::{Epoch, IdentityKey, OperatorIndex, Round, SignedDocument, Timestamp, ToShard};

use super::ended_round::EndedRound;
use super::notice::Notice;
use super::rules::Rules;
use disputes::Disputes;
use losses::{Loss, Losses};
use overdue::Overdue;

pub(crate) use lineup::Lineup;
pub(crate) use report::Judgement;
pub(crate) use suspensions::Suspensions;

/// The reason for which a shard is suspended that reports nothing.
const SILENT: &str = "did not report the end of a round in time";
/// The reason for which a shard is suspended whose link is lost.
const UNLINKED: &str = "its link is gone";

/// A consequence of a fault, to be carried out in the order given.
#[derive(Clone, Debug)]
pub(crate) enum Consequence {
    /// Those who watch are told.
    Notice(Notice),
    /// Shards are told something that one of them said.
    Tell { shards: Vec<IdentityKey>, message: ToShard },
    /// The epoch on its way does without this shard.
    LeaveOut { shard: IdentityKey, reason: String },
    /// The document that was to follow is of no use: it lists a shard that is out.
    DropNext,
    /// The running epoch opens no more rounds.
    Break {
        reason: String,
        /// The shard that was lost, if it was one.
        lost: Option<IdentityKey>,
    },
    /// The links lost lately were lost because the coordinator was away, and nobody is to blame.
    Away {
        /// The epoch that ran before the first of them was lost, and the document that was to follow.
        before: (Option<Epoch>, Option<Arc<SignedDocument>>),
    },
}

/// Marks of faults that outlive the process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    /// The shards that sit out.
    pub(crate) suspensions: Suspensions,
    /// Sets of shards in each of which one garbled a canary's cell.
    pub(crate) garbled: Arc<Garbled>,
}

/// A link that was lost without a word.
#[derive(Clone, Debug)]
pub(crate) struct LostLink {
    pub(crate) shard: IdentityKey,
    pub(crate) operator: OperatorIndex,
    /// The document that is to follow the running epoch.
    pub(crate) next: Option<Arc<SignedDocument>>,
}

/// The machine that judges.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Arc<Rules>,
    suspensions: Suspensions,
    disputes: Disputes,
    losses: Losses,
    overdue: Overdue,
    /// The newest epoch in which each shard was given up: it spoils all rounds of it that are open,
    /// and pays once.
    given_up: BTreeMap<IdentityKey, Epoch>,
    /// It judges who garbled cells.
    court: Court,
    consequences: Vec<Consequence>,
}

impl Faults {
    /// The machine of a network, with the records of shards that failed before.
    pub(crate) fn new(rules: Arc<Rules>, marks: Marks) -> Self {
        Self {
            rules,
            suspensions: marks.suspensions,
            disputes: Disputes::default(),
            losses: Losses::default(),
            overdue: Overdue::default(),
            given_up: BTreeMap::new(),
            court: Court::resumed(marks.garbled),
            consequences: Vec::new(),
        }
    }

    /// Takes the consequences that were drawn since the last call, in order.
    pub(crate) fn drain(&mut self) -> Vec<Consequence> {
        std::mem::take(&mut self.consequences)
    }

    /// Moments at which there may be something to do.
    pub(crate) fn deadlines(&self) -> impl Iterator<Item = Timestamp> {
        self.overdue.deadlines().chain(self.court.next_deadline())
    }

    /// Marks that have to outlive the process.
    pub(crate) fn marks(&self) -> Marks {
        Marks { suspensions: self.suspensions.clone(), garbled: Arc::clone(self.court.marks()) }
    }

    /// The shards that sit out.
    pub(crate) const fn suspensions(&self) -> &Suspensions {
        &self.suspensions
    }

    /// Judges rounds of which all has been said that can be, and gives up a shard that has not reported a past round when
    /// its last deadline has passed. Returns whether there was one.
    pub(crate) fn step(&mut self, now: Timestamp, lineup: impl FnOnce() -> Lineup) -> bool {
        if self.court.next_deadline().is_some_and(|due| now >= due) {
            self.judge_cells(now, &lineup());
            return true;
        }
        let Some(shard) = self.overdue.late(now) else { return false };
        self.overdue.forgive(&shard);
        self.drop_shard(shard, SILENT, &lineup());
        true
    }

    /// Draws the consequences of a round. `operator_of` gives the operators of shards that are here.
    pub(crate) fn round_ended(
        &mut self,
        now: Timestamp,
        ended: &EndedRound,
        judgement: &Judgement,
        lineup: &Lineup,
        operator_of: impl Fn(&IdentityKey) -> Option<OperatorIndex>,
    ) {
        settlement::settle(self, now, (ended, judgement), lineup, operator_of);
    }

    /// Takes a report of a round that may have ended without it.
    pub(crate) fn reported(&mut self, shard: IdentityKey, round: Round) {
        self.overdue.reported(shard, round);
    }

    /// Expects no reports of past rounds from this shard any more.
    pub(crate) fn forgive(&mut self, shard: &IdentityKey) {
        self.overdue.forgive(shard);
    }

    /// Expects no reports of past rounds from anybody any more.
    pub(crate) fn forgive_all(&mut self) {
        self.overdue = Overdue::default();
    }

    /// A shard missed a deadline on the way to an epoch.
    pub(crate) fn failed(&mut self, shard: IdentityKey, reason: &str) {
        let epochs = self.suspensions.fail(shard);
        debug_assert!(epochs > 0, "whoever fails sits out");
        self.tell(Notice::ShardSuspended { shard, epochs, reason: reason.to_owned() });
    }

    /// A shard has left, as it had said that it would.
    pub(crate) fn left(&mut self, shard: IdentityKey, lineup: &Lineup) {
        self.take_out(shard, "it has left", lineup);
    }

    /// A shard's link is gone.
    pub(crate) fn link_lost(&mut self, now: Timestamp, lost: LostLink, lineup: &Lineup) {
        let LostLink { shard, operator, next } = lost;
        if self.losses.are_many(now) {
            return self.take_out(shard, "its link is gone, as those of many", lineup);
        }
        let before = (lineup.running_epoch(), next);
        let record = self.suspensions.record(&shard);
        self.drop_shard(shard, UNLINKED, lineup);
        let loss = Loss::new(now, (shard, operator), record, before);
        if let Some(lost) = self.losses.note(loss, &self.rules.network) {
            self.was_away(lost);
        }
    }

    /// An epoch with these shards is published.
    pub(crate) fn published(&mut self, shards: &[IdentityKey]) {
        self.suspensions.published(shards);
    }

    /// All rounds of an epoch that ran to its end with these shards are over.
    pub(crate) fn completed(&mut self, shards: &[IdentityKey]) {
        self.suspensions.completed(shards);
    }

    /// So many links are gone together that it was this side that could not be reached. Shards may
    /// have gone on all the while, and come back with all that they had.
    fn was_away(&mut self, lost: Vec<Loss>) {
        self.tell(Notice::WasAway { links: lost.len() });
        let Some(first) = lost.first() else { unreachable!("no quorum is lost without a link") };
        let before = first.before.clone();
        // The oldest record of a shard is put back last.
        for loss in lost.into_iter().rev() {
            self.given_up.remove(&loss.shard);
            self.suspensions.restore(loss.shard, loss.record);
        }
        self.consequences.push(Consequence::Away { before });
    }

    /// Takes a shard out of the epochs that run or are on their way, and makes it sit out.
    fn drop_shard(&mut self, shard: IdentityKey, reason: &str, lineup: &Lineup) {
        if lineup.runs_with(&shard) || lineup.follows_with(&shard) {
            self.failed(shard, reason);
        }
        self.take_out(shard, reason, lineup);
    }

    /// Takes a shard out of the epochs that run or are on their way.
    fn take_out(&mut self, shard: IdentityKey, reason: &str, lineup: &Lineup) {
        if lineup.follows_with(&shard) {
            self.consequences.push(Consequence::DropNext);
        }
        if self.give_up(shard, lineup) {
            let reason = format!("shard {shard} is lost: {reason}");
            self.consequences.push(Consequence::Break { reason, lost: Some(shard) });
        }
        self.leave_out(shard, reason);
    }

    fn leave_out(&mut self, shard: IdentityKey, reason: &str) {
        self.consequences.push(Consequence::LeaveOut { shard, reason: reason.to_owned() });
    }

    /// Counts what the shard spoils in open rounds of the running epoch as one failure. Returns
    /// whether it is in that epoch.
    fn give_up(&mut self, shard: IdentityKey, lineup: &Lineup) -> bool {
        let Some(epoch) = lineup.running_epoch().filter(|_| lineup.runs_with(&shard)) else {
            return false;
        };
        self.given_up.insert(shard, epoch);
        true
    }

    fn tell(&mut self, notice: Notice) {
        self.consequences.push(Consequence::Notice(notice));
    }
}

#[cfg(test)]
mod tests;
