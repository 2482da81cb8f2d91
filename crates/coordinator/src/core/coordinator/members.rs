//! Who is here: shards that register, leave or are lost, and what their numbers and clocks say.

use std::sync::Arc;

use antiphon_wire::{
    Blob, Epoch, IdentityKey, MOST_ROUNDS_IN_FLIGHT, Registration, Round, SignedDocument, Standing,
    Timestamp, ToShard,
};

use super::{Coordinator, lists};
use crate::core::faults::{Consequence, Lineup, LostLink};
use crate::core::notice::Notice;
use crate::core::roster::Member;
use crate::core::{clocks, marks, quorum};

/// How long a coordinator that was away waits for the shards of its epoch, in milliseconds.
const AWAY_MS: u64 = 15_000;
/// How long a coordinator that stood still takes to hear what became of its links, in milliseconds.
const SETTLE_MS: u64 = 300;
/// By how many epochs and rounds a coordinator that starts goes beyond what operators of more than
/// f of the weight say: as far as one of them may have seen more than the others.
const SLACK: (u64, u64) = (4, 2 * MOST_ROUNDS_IN_FLIGHT as u64);

impl Coordinator {
    pub(super) fn register(
        &mut self,
        identity: IdentityKey,
        registration: Registration,
        standing: Standing,
    ) {
        let operator = registration.list.claimed().operator;
        let next = Epoch(self.state.last_epoch().0.saturating_add(1));
        let when = (next, self.now);
        match self.roster.register(identity, (registration, standing), &self.network, when) {
            Ok(()) => {
                let operator = self.network.operator(operator);
                let operator = operator.map(|known| known.name.clone()).unwrap_or_default();
                self.notice(Notice::ShardRegistered { shard: identity, operator });
                self.remind(identity);
                self.judge_clocks();
            }
            Err(error) => {
                let reason = error.to_string();
                let message = ToShard::Reject { reason: Blob(reason.clone().into_bytes()) };
                self.send(identity, message);
                self.notice(Notice::ShardRejected { shard: identity, reason });
            }
        }
    }

    /// Sends a shard the documents in force: the coordinator may have stopped half-way through
    /// publishing, and clients of a shard that is left out have to find other gateways.
    fn remind(&mut self, identity: IdentityKey) {
        let documents: Vec<_> = [self.state.current(), self.state.next()]
            .into_iter()
            .flatten()
            .map(|signed| SignedDocument::clone(signed))
            .collect();
        for document in documents {
            self.send(identity, ToShard::Publish { document });
        }
    }

    /// The highest epoch and round that shards signed and served, as far as they can be believed.
    pub(super) fn vouched(&self, slack: (u64, u64)) -> (Epoch, Round) {
        let highest = |marks, slack| marks::vouched(&self.network, marks, slack);
        let epochs: Vec<_> = self.roster.marks(|member| member.signed_epoch.0).collect();
        let rounds: Vec<_> = self.roster.marks(|member| member.served_round.0).collect();
        (Epoch(highest(epochs, slack.0)), Round(highest(rounds, slack.1)))
    }

    /// Goes on above the numbers of shards that are further on: the state is only a copy of what
    /// they know, and may be lost or old.
    pub(super) fn catch_up(&mut self) {
        let (epoch, round) = self.vouched(if self.settled { (0, 0) } else { SLACK });
        self.raise(epoch, round);
    }

    /// The same for the rounds of an epoch that goes on.
    pub(super) fn catch_up_in_epoch(&mut self) {
        let (_, round) = self.vouched(SLACK);
        self.raise(Epoch(0), round);
    }

    fn raise(&mut self, epoch: Epoch, round: Round) {
        if self.state.raise(epoch, round, self.now) {
            self.unsaved = true;
            self.notice(Notice::Behind { epoch: self.state.last_epoch(), round });
        }
    }

    /// A shard is going to stop.
    pub(super) fn leaving(&mut self, identity: IdentityKey) {
        let Some(member) = self.roster.member_mut(&identity) else { return };
        if !std::mem::replace(&mut member.leaving, true) {
            self.notice(Notice::ShardLeaving { shard: identity });
            self.leave_out(&identity, "is leaving");
        }
    }

    /// Lets go shards that are leaving and of which nothing more is wanted, or without which no epoch
    /// could come about anyway.
    pub(super) fn release(&mut self) {
        let leaving: Vec<_> = self
            .roster
            .members()
            .filter(|(_, member)| member.leaving && !member.released)
            .map(|(identity, _)| *identity)
            .collect();
        for identity in leaving {
            if self.is_needed(&identity) && self.choose().is_quorum {
                continue;
            }
            if let Some(member) = self.roster.member_mut(&identity) {
                member.released = true;
            }
            self.send(identity, ToShard::Release);
        }
    }

    fn is_needed(&self, identity: &IdentityKey) -> bool {
        let documents = [self.state.current(), self.state.next()];
        documents.into_iter().flatten().any(|signed| lists(signed, identity))
            || self.open.values().any(|open| open.shards.contains(identity))
            || self.attempt.as_ref().is_some_and(|attempt| attempt.members.contains(identity))
    }

    /// A registered shard's link is gone.
    pub(super) fn lost(&mut self, identity: IdentityKey, member: &Member) {
        self.notice(Notice::ShardLost { shard: identity });
        self.open.values_mut().for_each(|open| open.lose(identity));
        if self.stopping {
            return;
        }
        self.faults.forgive(&identity);
        // While shards come back after a restart, links may come and go.
        if self.resuming || self.now < self.settle_until {
            return self.leave_out(&identity, "is gone");
        }
        if member.leaving {
            self.faults.left(identity, &self.lineup());
            return self.follow_faults();
        }
        let (operator, next) = (member.operator(), self.state.next().cloned());
        let lost = LostLink { shard: identity, operator, next };
        self.faults.link_lost(self.now, lost, &self.lineup());
        self.follow_faults();
    }

    /// The shards of the epoch that runs and of the one that is to follow.
    pub(super) fn lineup(&self) -> Lineup {
        let document = |signed: &'_ Arc<SignedDocument>| Arc::clone(signed);
        let (current, next) = (self.state.current().map(document), self.state.next().map(document));
        Lineup::new(current.as_deref(), next.as_deref())
    }

    /// Carries out what follows from faults.
    pub(super) fn follow_faults(&mut self) {
        while let Some(consequence) = self.faults.poll() {
            match consequence {
                Consequence::Notice(notice) => {
                    self.unsaved = true;
                    self.notice(notice);
                }
                Consequence::LeaveOut { shard, reason } => self.leave_out(&shard, &reason),
                Consequence::DropNext => {
                    self.state.drop_next();
                    self.unsaved = true;
                }
                Consequence::Break { reason } => self.break_epoch(&reason),
                Consequence::Away { before } => self.was_away(before),
            }
        }
    }

    /// Takes back what followed from losing links, since it was this side that was away.
    fn was_away(&mut self, (epoch, next): (Option<Epoch>, Option<Arc<SignedDocument>>)) {
        self.unsaved = true;
        self.fail("too few shards are left", true);
        if epoch.is_some() && self.state.current().map(|signed| signed.document.epoch) == epoch {
            self.broken = false;
            self.broken_last = self.broken_last.filter(|broken| Some(*broken) != epoch);
            self.state.put_back(next);
        }
        self.await_shards();
    }

    /// The process stood still, as when its machine was suspended. Shards may have gone on all the
    /// while, and what they said waits to be heard: nothing is their fault.
    pub(super) fn stood_still(&mut self, late_ms: u64) {
        self.notice(Notice::StoodStill { late_ms });
        self.settle_until = self.now.plus_ms(SETTLE_MS);
        self.faults.forgive_all();
        self.await_shards();
    }

    /// Goes on with the epoch once its shards are here.
    fn await_shards(&mut self) {
        self.resuming =
            !self.broken && (self.state.current().is_some() || self.state.next().is_some());
        self.gathered = false;
        self.gather_until = self.now.plus_ms(AWAY_MS.min(self.config.gather_ms.into()));
    }

    /// Notes what a shard's clock shows.
    pub(super) fn clock(&mut self, identity: IdentityKey, clock: Timestamp) {
        let now = self.now;
        if let Some(member) = self.roster.member_mut(&identity) {
            member.read_clock(clock, now);
            self.judge_clocks();
        }
    }

    /// Compares all clocks, and says whose are away from those of most shards.
    fn judge_clocks(&mut self) {
        let readings = self.roster.members().map(|(_, member)| member.ahead_ms());
        let Some(median) = clocks::median_ms(readings) else { return };
        let behind_ms = if clocks::is_off(median) { median } else { 0 };
        if (behind_ms == 0) != (self.behind_ms == 0) {
            self.notice(Notice::OwnClock { ahead_ms: behind_ms.saturating_neg() });
        }
        self.behind_ms = behind_ms;
        let mut found = Vec::new();
        for (identity, member) in self.roster.members() {
            let ahead_ms = member.ahead_ms().saturating_sub(median);
            if clocks::is_off(ahead_ms) != member.clock_is_off {
                let operator = self.network.operator(member.operator());
                let operator = operator.map(|known| known.name.clone()).unwrap_or_default();
                found.push((*identity, operator, ahead_ms));
            }
        }
        for (shard, operator, ahead_ms) in found {
            if let Some(member) = self.roster.member_mut(&shard) {
                member.clock_is_off = !member.clock_is_off;
                let ahead_ms = if member.clock_is_off { ahead_ms } else { 0 };
                self.notice(Notice::ShardClock { shard, operator, ahead_ms });
            }
        }
    }

    /// A moment of the shards' time by this machine's clock: documents start and expire by theirs.
    pub(super) fn by_own_clock(&self, theirs: Timestamp) -> Timestamp {
        clocks::shifted(theirs, self.behind_ms.saturating_neg())
    }

    /// A moment of this machine's time by the shards' clocks.
    pub(super) fn by_their_clocks(&self, own: Timestamp) -> Timestamp {
        clocks::shifted(own, self.behind_ms)
    }

    /// Says whose lists are about to end, or have ended: nobody else notices in time.
    pub(super) fn judge_lists(&mut self, epoch: Epoch) {
        let mut ends = Vec::new();
        for (first_epoch, last_epoch, operator) in quorum::terms(&self.roster) {
            let span = last_epoch.0.saturating_sub(first_epoch.0);
            if last_epoch.0.saturating_sub(epoch.0) <= span / 10
                && let Some(known) = self.network.operator(operator)
            {
                ends.push(Notice::ListEnds { operator: known.name.clone(), last_epoch, epoch });
            }
        }
        ends.into_iter().for_each(|notice| self.notice(notice));
    }
}
