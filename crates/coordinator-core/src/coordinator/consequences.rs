//! Consequences of one machine for the others: one finds something, and the others are told.
//!
//! What follows is carried out before the next thing is: a machine that is told something in between
//! speaks at once.

use std::sync::Arc;

use antiphon_wire::{Epoch, IdentityKey, SignedDocument, ToShard};

use super::{Coordinator, Output};
use crate::ended_round::EndedRound;
use crate::faults::{Consequence, Judgement};
use crate::notice::Notice;
use crate::planner::Action;
use crate::round_clock::Tick;

impl Coordinator {
    /// Carries out what planning asks for.
    pub(super) fn follow_planner(&mut self) {
        for action in self.planner.drain() {
            match action {
                Action::Persist => self.persist(),
                Action::Send { to, message } => self.send(&to, message),
                Action::Work(work) => self.outputs.push_back(Output::Work(work)),
                Action::Notice(notice) => self.notice(notice),
                Action::Suspend { shard, reason } => {
                    self.faults.failed(shard, &reason);
                    self.follow_faults();
                }
                Action::Raise(served) => self.clock.raise(self.now, served),
                Action::Resume(served) => self.clock.resume(self.now, served),
                Action::Abandon { reason } => {
                    // If it is not the running epoch that cannot go on, it is the one that was to follow.
                    if !self.clock.break_epoch(&reason, None) {
                        self.clock.drop_next();
                    }
                    self.follow_clock();
                }
                Action::DropNext => self.clock.drop_next(),
                Action::Announce(signed) => {
                    let shards: Vec<_> =
                        signed.document.shards.iter().map(|shard| shard.identity).collect();
                    self.clock.announce(signed);
                    self.faults.published(&shards);
                }
                Action::Publish(signed) => self.outputs.push_back(Output::Publish(signed)),
            }
        }
    }

    /// Carries out what the clock says.
    pub(super) fn follow_clock(&mut self) {
        for tick in self.clock.drain() {
            match tick {
                Tick::Persist => self.persist(),
                Tick::Open { announcement, shards } => {
                    if let Some(signed) = &self.clock.marks().current {
                        debug_assert_eq!(signed.document.epoch, announcement.epoch);
                        self.faults.opened(&announcement, &signed.document);
                    }
                    self.send(&shards, ToShard::Open { announcement });
                }
                Tick::Ended(ended) => self.ended(&ended),
                Tick::Completed(shards) => self.faults.completed(&shards),
                Tick::Notice(notice) => self.notice(notice),
            }
        }
    }

    /// Carries out what follows from faults.
    pub(super) fn follow_faults(&mut self) {
        for consequence in self.faults.drain() {
            match consequence {
                Consequence::Notice(notice) => self.notice(notice),
                Consequence::Tell { shards, message } => self.send(&shards, message),
                Consequence::LeaveOut { shard, reason } => {
                    self.planner.leave_out(self.now, &shard, &reason);
                    self.follow_planner();
                }
                Consequence::DropNext => self.clock.drop_next(),
                Consequence::Break { reason, lost } => self.break_epoch(&reason, lost.as_ref()),
                Consequence::Away { before } => self.was_away(before),
            }
        }
    }

    /// Tells how a round went, and draws the consequences.
    fn ended(&mut self, ended: &EndedRound) {
        let judgement = Judgement::of(ended);
        self.notice(Notice::RoundEnded(judgement.report.clone()));
        if self.is_stopping() {
            return;
        }
        let lineup = self.lineup();
        let operator_of = |shard: &_| self.planner.operator_of(shard);
        self.faults.round_ended(self.now, ended, &judgement, &lineup, operator_of);
        self.follow_faults();
    }

    /// The running epoch, if there is one, opens no more rounds; a successor is planned at once.
    fn break_epoch(&mut self, reason: &str, lost: Option<&IdentityKey>) {
        let runs = self.clock.break_epoch(reason, lost);
        self.follow_clock();
        if runs {
            self.planner.hurry(self.now);
            self.follow_planner();
        }
    }

    /// Takes back what followed from losing links, since it was this side that was away.
    fn was_away(&mut self, (epoch, next): (Option<Epoch>, Option<Arc<SignedDocument>>)) {
        self.planner.give_up_for_lack(self.now);
        self.follow_planner();
        self.clock.mend(epoch, next);
        self.await_shards();
    }
}
