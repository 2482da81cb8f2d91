//! The coordinator that leads a shard, of those that may.
//!
//! A shard with one coordinator always heeds it. One with several heeds the one that it let lead last: it lets
//! one lead per term, with terms only rising, and none while it hears another that leads. Nothing of this lets a
//! coordinator do more than any coordinator can: what a shard signs and serves has rules of its own.

use std::collections::BTreeSet;

use antiphon_wire::{Epoch, IdentityKey, Term, Timestamp, ToCoordinator, ToShard};

use crate::io::{Notice, Output};
use crate::shard::Shard;

/// Time after which a leader that says nothing counts as gone, in milliseconds. It is longer than a leader leads
/// without an answer, so that by then the leader has stopped by itself.
const PATIENCE_MS: u64 = 3000;

/// The coordinators that a shard may have, and the one that leads it.
#[derive(Debug)]
pub(super) enum Allegiance {
    /// To the only one.
    Sole(IdentityKey),
    /// To one of several.
    Elected { linked: BTreeSet<IdentityKey>, known: Vec<IdentityKey>, leader: Option<Leader> },
}

/// A coordinator that leads, and when it was last heard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leader {
    identity: IdentityKey,
    heard: Timestamp,
}

impl Allegiance {
    pub(super) fn new(coordinators: &[IdentityKey]) -> Self {
        match coordinators {
            [only] => Self::Sole(*only),
            several => {
                Self::Elected { linked: BTreeSet::new(), known: several.to_vec(), leader: None }
            }
        }
    }

    /// The coordinator that is heeded.
    pub(super) fn leader(&self) -> Option<IdentityKey> {
        match self {
            Self::Sole(only) => Some(*only),
            Self::Elected { leader, .. } => leader.map(|leader| leader.identity),
        }
    }

    /// When a leader that says nothing until then counts as gone.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        match self {
            Self::Sole(_) => None,
            Self::Elected { leader, .. } => leader.map(|leader| leader.heard.plus_ms(PATIENCE_MS)),
        }
    }

    fn knows(&self, coordinator: &IdentityKey) -> bool {
        match self {
            Self::Sole(only) => only == coordinator,
            Self::Elected { known, .. } => known.contains(coordinator),
        }
    }

    /// The coordinators that are linked; the only one, linked or not.
    fn linked(&self) -> Vec<IdentityKey> {
        match self {
            Self::Sole(only) => vec![*only],
            Self::Elected { linked, .. } => linked.iter().copied().collect(),
        }
    }

    fn heard(&mut self, now: Timestamp) {
        if let Self::Elected { leader: Some(leader), .. } = self {
            leader.heard = now;
        }
    }
}

impl Shard {
    /// Registers with a coordinator whose link is new, and tells it who leads.
    pub(super) fn coordinator_linked(&mut self, now: Timestamp, coordinator: IdentityKey) {
        if !self.allegiance.knows(&coordinator) {
            return;
        }
        // A process that was started again has to be let lead again.
        self.coordinator_lost(now, coordinator);
        if let Allegiance::Elected { linked, .. } = &mut self.allegiance {
            linked.insert(coordinator);
        }
        self.register(now, coordinator);
        self.tell_leader(now, coordinator);
    }

    pub(super) fn coordinator_lost(&mut self, now: Timestamp, coordinator: IdentityKey) {
        let Allegiance::Elected { linked, .. } = &mut self.allegiance else { return };
        linked.remove(&coordinator);
        if self.allegiance.leader() == Some(coordinator) {
            self.follow(now, None);
        }
    }

    /// Registers anew with every coordinator.
    pub(super) fn register_with_all(&mut self, now: Timestamp) {
        for coordinator in self.allegiance.linked() {
            self.register(now, coordinator);
        }
    }

    /// A coordinator says something. What makes epochs and rounds is heeded of the leader alone.
    pub(super) fn hear(&mut self, now: Timestamp, from: IdentityKey, message: ToShard) {
        if !self.allegiance.knows(&from) {
            return;
        }
        let leads = self.allegiance.leader() == Some(from);
        if leads {
            self.allegiance.heard(now);
        }
        match message {
            ToShard::AskClock => self.say_to(from, ToCoordinator::Clock { now }),
            ToShard::Campaign { term } => self.campaign(now, from, term),
            ToShard::Show { epoch } => self.show(from, epoch),
            ToShard::Resign if leads => self.follow(now, None),
            ToShard::Resign => {}
            message @ ToShard::Reject { .. } => self.coordinator(now, message),
            message if leads => self.coordinator(now, message),
            // A leader that was deposed, and does not know yet.
            _ => {}
        }
    }

    /// A coordinator wants to lead. It may if its term is a new one, or its own, and no other leads.
    fn campaign(&mut self, now: Timestamp, candidate: IdentityKey, term: Term) {
        let is_free = self.allegiance.leader().is_none_or(|leader| leader == candidate);
        let grant = self.state.grant.next(candidate, term).filter(|_| is_free);
        let Some(grant) = grant else { return self.tell_leader(now, candidate) };
        if grant != self.state.grant {
            self.state.grant = grant;
            // In this order: the grant is on disk before the answer leaves.
            self.outputs.push_back(Output::Persist(self.state));
        }
        self.follow(now, Some(candidate));
        let since_opened_ms = self.opened_at.map_or(u64::MAX, |at| now.ms_since(at));
        let standing = self.standing(now);
        self.say_to(candidate, ToCoordinator::Granted { term, standing, since_opened_ms });
        self.repeat_leaving(candidate);
    }

    /// Sends a coordinator the document of an epoch that this shard holds.
    fn show(&mut self, to: IdentityKey, epoch: Epoch) {
        if let Some(keys) = self.epochs.get(&epoch) {
            let document = keys.context.epoch.signed().clone();
            self.say_to(to, ToCoordinator::Document { document });
        }
    }

    /// Counts a leader as gone that has said nothing for too long.
    pub(super) fn miss_leader(&mut self, now: Timestamp) {
        if self.allegiance.deadline().is_some_and(|at| now >= at) {
            self.follow(now, None);
        }
    }

    /// Heeds this coordinator from now on, or none, and tells the others.
    fn follow(&mut self, now: Timestamp, whom: Option<IdentityKey>) {
        let before = self.allegiance.leader();
        let Allegiance::Elected { leader, .. } = &mut self.allegiance else { return };
        *leader = whom.map(|identity| Leader { identity, heard: now });
        if before != whom {
            self.notice(Notice::Led { term: self.state.grant.term, by: whom });
            self.tell_others(now);
        }
    }

    /// Tells coordinators that do not lead what they have to know in order to be able to.
    pub(super) fn tell_others(&mut self, now: Timestamp) {
        for coordinator in self.allegiance.linked() {
            self.tell_leader(now, coordinator);
        }
    }

    /// Tells a coordinator that does not lead whether another does.
    fn tell_leader(&mut self, now: Timestamp, to: IdentityKey) {
        let leader = self.allegiance.leader();
        if leader == Some(to) {
            return;
        }
        let (term, standing) = (self.state.grant.term, self.standing(now));
        let message = match leader {
            Some(_) => ToCoordinator::Follows { term, standing },
            None => ToCoordinator::Leaderless { term, standing },
        };
        self.say_to(to, message);
    }
}
