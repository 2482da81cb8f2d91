//! When to plan an epoch, and with whom.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{
    Epoch, EpochDocument, IdentityKey, Round, ShardEntry, SignedDocument, Timestamp, ToShard,
};

use super::{Coordinator, Output};
use crate::core::attempt::{Attempt, Phase};
use crate::core::documents;
use crate::core::notice::Notice;
use crate::core::quorum::{self, Selection};

/// How long a coordinator whose epoch cannot go on waits for all shards before a quorum will do, in
/// milliseconds. They come back together from what ended it.
const REGATHER_MS: u64 = 5000;
/// The wait after failures in a row doubles this many times at most.
const MOST_DOUBLINGS: u32 = 6;

/// Why an epoch is to be planned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// None runs.
    First,
    /// The one that runs cannot go on.
    Successor,
    /// The one that runs ends soon.
    Ahead,
    /// The one that runs has a shard that leaves, or lacks one that is back.
    HandOver,
}

impl Need {
    /// Whether rounds wait for it.
    fn is_urgent(self) -> bool {
        matches!(self, Self::First | Self::Successor)
    }
}

impl Coordinator {
    /// Looks at the documents of a restored state.
    pub(super) fn restore(&mut self) {
        let usable = |signed: &SignedDocument, now: Timestamp| {
            if signed.document.expires_at <= now {
                return Err("it has expired".to_owned());
            }
            documents::verify(signed, &self.network)
        };
        let now = self.now;
        let next = self.state.next().map(|signed| (signed.document.epoch, usable(signed, now)));
        let current = self.state.current().map(|s| (s.document.epoch, usable(s, now)));
        if let Some((epoch, Err(reason))) = next {
            self.state.drop_next();
            self.notice(Notice::DocumentDropped { epoch, reason });
        }
        if let Some((epoch, Err(reason))) = current {
            self.state.drop_current();
            self.notice(Notice::DocumentDropped { epoch, reason });
        }
        let kept: Vec<_> =
            [self.state.current(), self.state.next()].into_iter().flatten().cloned().collect();
        self.resuming = !kept.is_empty();
        self.outputs.extend(kept.into_iter().map(Output::Publish));
    }

    /// Makes a shard sit out, and says so.
    pub(super) fn suspend(&mut self, shard: IdentityKey, reason: &str) {
        self.faults.failed(shard, reason);
        self.follow_faults();
    }

    /// The running epoch opens no more rounds; a successor is planned at once.
    pub(super) fn break_epoch(&mut self, reason: &str) {
        let Some(epoch) = self.state.current().map(|signed| signed.document.epoch) else { return };
        if !self.broken {
            self.broken = true;
            self.broken_last = Some(epoch);
            self.notice(Notice::EpochBroken { epoch, reason: reason.to_owned() });
        }
        self.resuming = false;
        self.gathered = true;
        if self.state.next().is_some() {
            self.state.drop_next();
            self.unsaved = true;
        }
        if self.attempt.as_ref().is_some_and(|attempt| !attempt.urgent) {
            self.fail("a successor is needed at once", true);
        }
    }

    /// Takes a shard out of the epoch on its way, if it is in it.
    pub(super) fn leave_out(&mut self, identity: &IdentityKey, what: &str) {
        let Some(attempt) = &mut self.attempt else { return };
        if !attempt.leave_out(identity) {
            return self.fail(&format!("shard {identity} {what}"), true);
        }
        // Nobody is waited for whose keys are of no use.
        let lacks_quorum = self.attempt.as_ref().is_some_and(|attempt| {
            let members = attempt.members.iter().copied().collect();
            !self.select(attempt, &members).is_quorum
        });
        if lacks_quorum {
            self.fail("too few shards are left", true);
            self.regather();
        }
    }

    /// Waits for shards that come back together before a quorum will do.
    fn regather(&mut self) {
        self.gathered = false;
        self.gather_until = self.now.plus_ms(REGATHER_MS.min(self.config.gather_ms.into()));
    }

    /// Ends the attempt. Without a shard less to wait for, the next one waits ever longer.
    pub(super) fn fail(&mut self, reason: &str, at_once: bool) {
        let Some(attempt) = self.attempt.take() else { return };
        self.notice(Notice::EpochFailed { epoch: attempt.epoch, reason: reason.to_owned() });
        if !at_once {
            let wait = u64::from(self.config.retry_ms.max(1)) << self.failures.min(MOST_DOUBLINGS);
            self.retry_at = self.now.plus_ms(wait);
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Whether an epoch with just these shards would do.
    pub(super) fn select(&self, attempt: &Attempt, shards: &BTreeSet<IdentityKey>) -> Selection {
        let least = self.config.least_shards;
        quorum::select(&self.roster, &self.network, attempt.epoch, least, shards)
    }

    /// Suspends shards that failed an attempt, if a quorum remains without them: no delay may take
    /// the roster below it. Returns whether one does.
    pub(super) fn suspend_if_spare(&mut self, failed: &[(IdentityKey, String)]) -> bool {
        let Some(attempt) = &self.attempt else { return false };
        let mut rest: BTreeSet<_> = attempt.members.iter().copied().collect();
        for (shard, _) in failed {
            rest.remove(shard);
        }
        let spare = self.select(attempt, &rest).is_quorum;
        if spare {
            for (shard, reason) in failed {
                self.suspend(*shard, reason);
            }
        }
        spare
    }

    /// Plans an epoch, if one is needed and enough shards are here.
    pub(super) fn step_plan(&mut self) -> bool {
        if self.stopping {
            return false;
        }
        if self.resuming {
            return self.resume();
        }
        if self.attempt.is_some() {
            return false;
        }
        let Some(need) = self.need().filter(|_| self.now >= self.retry_at) else { return false };
        if need.is_urgent() {
            self.catch_up();
        }
        let selection = self.choose();
        self.gathered |= self.now >= self.gather_until || selection.complete;
        if !self.gathered {
            return false;
        }
        if !selection.is_quorum {
            if self.waiting.as_ref() != Some(&selection.presence) {
                self.waiting = Some(selection.presence.clone());
                self.notice(Notice::WaitingForQuorum(selection.presence));
            }
            return false;
        }
        self.waiting = None;
        self.call(need, selection.shards);
        true
    }

    /// The shards that the next epoch is planned with.
    pub(super) fn choose(&self) -> Selection {
        let epoch = Epoch(self.state.last_epoch().0.saturating_add(1));
        let least = self.config.least_shards;
        quorum::choose(&self.roster, &self.network, epoch, least, self.faults.suspensions())
    }

    /// Goes on with a restored epoch once all its shards are back with its keys, and gives it up if
    /// they do not come or their keys are gone.
    fn resume(&mut self) -> bool {
        let newest = self.state.current().or(self.state.next()).cloned();
        let Some(signed) = newest else { return false };
        let here = |shard: &ShardEntry| self.roster.member(&shard.identity);
        let shards = &signed.document.shards;
        let (signed_since, _) = self.vouched((0, 0));
        if signed_since > self.state.last_epoch() {
            self.start_over("shards have signed later ones: the state is an old one");
        } else if shards.iter().any(|s| here(s).is_some_and(|member| !member.holds(&signed))) {
            self.start_over("shards were started again, and its keys went with that");
        } else if shards.iter().all(|shard| here(shard).is_some()) {
            self.idle_since = self.now;
            self.catch_up_in_epoch();
            self.gathered = true;
        } else if self.now < self.gather_until {
            return false;
        } else {
            self.start_over("not all its shards came back");
        }
        self.resuming = false;
        true
    }

    /// Gives up a restored epoch. It is nobody's fault.
    fn start_over(&mut self, reason: &str) {
        if self.state.current().is_some() {
            self.break_epoch(reason);
        } else {
            self.state.drop_next();
            self.unsaved = true;
        }
        self.gathered = false;
        self.gather_until = self.gather_until.min(self.now.plus_ms(REGATHER_MS));
    }

    fn need(&self) -> Option<Need> {
        if self.broken {
            return Some(Need::Successor);
        }
        let Some(signed) = self.state.current() else {
            return self.state.next().is_none().then_some(Need::First);
        };
        let left = signed.document.last_round.0.saturating_sub(self.state.last_round().0);
        let soon = left <= u64::from(self.config.prepare_ahead_rounds)
            || self.now >= self.ahead_at(&signed.document);
        if soon && self.state.next().is_none() {
            return Some(Need::Ahead);
        }
        self.wants_hand_over().then_some(Need::HandOver)
    }

    /// When the epoch after `document` is prepared even if rounds are left, lest it expire.
    fn ahead_at(&self, document: &EpochDocument) -> Timestamp {
        let interval = u64::from(self.config.interval_in(&self.network));
        let ahead = 2 * interval * (u64::from(self.config.prepare_ahead_rounds) + 2);
        let before = ahead.min(document.expires_at.ms_since(document.starts_at) / 2);
        self.by_own_clock(Timestamp(document.expires_at.0.saturating_sub(before)))
    }

    /// Asks shards for their keys.
    fn call(&mut self, need: Need, members: Vec<IdentityKey>) {
        let next = self.state.next_round();
        let first_round = match (need, self.state.current()) {
            (Need::Ahead, Some(signed)) => {
                let ahead = u64::from(self.config.prepare_ahead_rounds);
                let after = signed.document.last_round.0.saturating_add(1);
                Round(after.min(next.0.saturating_add(ahead))).max(next)
            }
            (Need::HandOver, Some(signed)) => self.hand_over_round(signed),
            _ => next,
        };
        let rounds = self.config.rounds(members.len());
        let last_round = Round(first_round.0.saturating_add(rounds - 1));
        let epoch = self.state.take_epoch();
        self.persist();
        self.notice(Notice::EpochCalled { epoch, first_round, shards: members.len() });
        self.send_all(&members, ToShard::Call { epoch, first_round, last_round });
        self.attempt = Some(Attempt {
            epoch,
            first_round,
            last_round,
            called_at: self.now,
            urgent: need.is_urgent(),
            hand_over: need == Need::HandOver,
            members,
            deadline: self.now.plus_ms(self.config.contribute_ms.into()),
            phase: Phase::Calling { contributions: BTreeMap::new(), refusals: BTreeMap::new() },
        });
    }

    pub(super) fn epoch_deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let attempt = self.attempt.as_ref().filter(|_| !self.working);
        let attempt = attempt.map(|attempt| attempt.deadline);
        let gather = (self.resuming || !self.gathered).then_some(self.gather_until);
        let ahead = self.state.current().map(|signed| self.ahead_at(&signed.document));
        let settled = Some(self.settle_until);
        [attempt, gather, ahead, self.hand_over_at(), Some(self.retry_at), settled]
            .into_iter()
            .flatten()
    }
}
