//! Messages of shards, and what follows when their links are lost.

use antiphon_wire::{
    Blob, IdentityKey, Registration, SignedDocument, Standing, ToCoordinator, ToShard,
};

use super::Coordinator;
use crate::course::Conduct;
use crate::faults::LostLink;
use crate::notice::Notice;
use crate::planner::Member;

impl Coordinator {
    /// A message came over a shard's link. Before it has registered, nothing else counts. Long, as it is one table of kinds.
    pub(super) fn message(&mut self, shard: IdentityKey, message: ToCoordinator) {
        // Registration comes first: nothing else is heard from a shard that is not registered.
        if let ToCoordinator::Register { registration, standing } = message {
            return self.register(shard, registration, standing);
        }
        if !self.planner.is_registered(&shard) {
            return;
        }
        let now = self.now;
        match message {
            ToCoordinator::Register { .. } => unreachable!("it was taken before"),
            ToCoordinator::Contribute { contribution } => {
                self.planner.contribute(shard, contribution);
            }
            ToCoordinator::Endorse { epoch, document, signature } => {
                self.planner.endorse(shard, epoch, (document, signature));
            }
            ToCoordinator::AskContribution { digest } => {
                self.planner.ask_contribution(shard, &digest);
            }
            ToCoordinator::Refuse { epoch, reason } => self.planner.refuse(shard, epoch, &reason),
            ToCoordinator::Ready { epoch, round } => self.clock.ready(shard, epoch, round),
            ToCoordinator::Ended { epoch, round, outcome, counts } => {
                self.clock.reported(now, shard, (epoch, round), (outcome, counts));
                self.faults.reported(shard, round);
            }
            ToCoordinator::Canary { message } => {
                self.faults.hear_of_cells(&shard, message);
                self.follow_faults();
            }
            ToCoordinator::Leaving => self.planner.leaving(now, shard),
            ToCoordinator::Staying => self.planner.staying(shard),
            ToCoordinator::Clock { now: theirs } => {
                self.clock.clock_read(now, shard, theirs);
            }
            ToCoordinator::Follows { .. } | ToCoordinator::Leaderless { .. } => {
                self.reject_elector(shard);
            }
            // Answers to what only a coordinator that is elected asks.
            ToCoordinator::Granted { .. }
            | ToCoordinator::Document { .. }
            | ToCoordinator::Beat { .. } => {}
        }
        self.follow_planner();
        self.follow_clock();
    }

    /// Tells a shard that has several coordinators that this one does not know of any other.
    fn reject_elector(&mut self, shard: IdentityKey) {
        let reason = "this shard has several coordinators, and this one is set up to be the only one: set \
                      `replicas` in its configuration";
        let message = ToShard::Reject { reason: Blob(reason.as_bytes().to_vec()) };
        self.send(&[shard], message);
        let reason = reason.to_owned();
        self.notice(Notice::ShardRejected { shard, reason });
    }

    fn register(&mut self, shard: IdentityKey, registration: Registration, standing: Standing) {
        let theirs = standing.clock;
        let is_taken = self.planner.register(self.now, shard, registration, standing);
        self.follow_planner();
        if is_taken {
            self.remind(shard);
            // There is no link if there are too many.
            if let Some(operator) = self.planner.operator_of(&shard) {
                self.clock.registered(self.now, shard, operator, theirs);
                self.follow_clock();
            }
        }
    }

    /// Sends a shard the documents in force: the coordinator may have stopped half-way through
    /// publishing, and clients of a shard that is left out have to find other gateways.
    fn remind(&mut self, shard: IdentityKey) {
        let documents: Vec<_> = self.clock.course().documents().cloned().collect();
        for signed in documents {
            let document = SignedDocument::clone(&signed);
            self.send(&[shard], ToShard::Publish { document });
        }
    }

    /// A registered shard's link is gone.
    pub(super) fn lost(&mut self, shard: IdentityKey, member: &Member) {
        self.notice(Notice::ShardLost { shard });
        self.clock.lose(shard);
        if self.is_stopping() {
            return;
        }
        self.faults.forgive(&shard);
        // While shards come back after a restart, links may come and go.
        if self.clock.conduct() == Conduct::Resuming || self.now < self.settle_until {
            self.planner.leave_out(self.now, &shard, "is gone");
            return self.follow_planner();
        }
        let lineup = self.lineup();
        if member.may_go() {
            self.faults.left(shard, &lineup);
        } else {
            let next = self.clock.marks().next.clone();
            let lost = LostLink { shard, operator: member.operator(), next };
            self.faults.link_lost(self.now, lost, &lineup);
        }
        self.follow_faults();
    }
}
