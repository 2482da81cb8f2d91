//! When to plan an epoch, with whom, and what becomes of the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use antiphon_routing::{Draft, Offer};
use antiphon_wire::{
    Contribution, Epoch, EpochDocument, IdentityKey, Round, SignedDocument, Timestamp, ToShard,
};

use super::{Coordinator, Output, identities, lists};
use crate::core::attempt::{Attempt, Phase, Proposed};
use crate::core::documents::Fault;
use crate::core::notice::Notice;
use crate::core::quorum::{self, Selection};

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
}

impl Coordinator {
    /// Looks at the documents of a restored state.
    pub(super) fn restore(&mut self) {
        let usable = |signed: &SignedDocument, now: Timestamp| {
            if signed.document.expires_at <= now {
                return Err("it has expired".to_owned());
            }
            self.documents.verify(signed)
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

    /// A registered shard's link is gone.
    pub(super) fn lost(&mut self, identity: IdentityKey) {
        self.notice(Notice::ShardLost { shard: identity });
        self.open.values_mut().for_each(|open| open.lose(identity));
        if self.stopping {
            return;
        }
        self.forgive_debts(&identity);
        // While shards come back after a restart, links may come and go.
        if self.resuming {
            self.leave_out(&identity, "is gone");
        } else {
            self.drop_shard(identity, "its link is gone");
        }
    }

    /// Takes a shard out of the epochs that run or are on their way.
    pub(super) fn drop_shard(&mut self, identity: IdentityKey, reason: &str) {
        let listed = |signed: Option<&Arc<SignedDocument>>| {
            signed.is_some_and(|signed| lists(signed, &identity))
        };
        let (runs, follows) = (listed(self.state.current()), listed(self.state.next()));
        if runs || follows {
            self.suspend(identity, reason);
            if follows {
                self.state.drop_next();
            }
            if runs {
                self.give_up(identity);
                self.break_epoch(&format!("shard {identity} is lost: {reason}"));
            }
        }
        self.leave_out(&identity, reason);
    }

    /// Makes a shard sit out, and says so.
    pub(super) fn suspend(&mut self, shard: IdentityKey, reason: &str) {
        let epochs = self.state.suspensions.fail(shard);
        self.unsaved = true;
        self.notice(Notice::ShardSuspended { shard, epochs, reason: reason.to_owned() });
    }

    /// What the shard spoils in rounds of the running epoch that are still open is one failure.
    pub(super) fn give_up(&mut self, shard: IdentityKey) {
        if let Some(signed) = self.state.current() {
            self.given_up.insert(shard, signed.document.epoch);
        }
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
        if let Some(attempt) = &mut self.attempt
            && !attempt.leave_out(identity)
        {
            self.fail(&format!("shard {identity} {what}"), true);
        }
    }

    /// Ends the attempt. Without a shard less to wait for, the next one waits ever longer.
    fn fail(&mut self, reason: &str, at_once: bool) {
        let Some(attempt) = self.attempt.take() else { return };
        self.notice(Notice::EpochFailed { epoch: attempt.epoch, reason: reason.to_owned() });
        if !at_once {
            let wait = u64::from(self.config.retry_ms.max(1)) << self.failures.min(MOST_DOUBLINGS);
            self.retry_at = self.now.plus_ms(wait);
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Whether an epoch with just these shards would do.
    fn select(&self, attempt: &Attempt, shards: &BTreeSet<IdentityKey>) -> Selection {
        let least = self.config.least_shards;
        quorum::select(&self.roster, &self.network, attempt.epoch, least, shards)
    }

    /// Suspends shards that failed an attempt, if a quorum remains without them: no delay may take
    /// the roster below it. Returns whether one does.
    fn suspend_if_spare(&mut self, failed: &[(IdentityKey, String)]) -> bool {
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

    /// Moves the epoch on its way forward, if it is time.
    pub(super) fn step_attempt(&mut self) -> bool {
        let Some(attempt) = &self.attempt else { return false };
        if !attempt.is_answered() && self.now < attempt.deadline {
            return false;
        }
        match &attempt.phase {
            Phase::Calling { .. } => self.propose(),
            Phase::Proposing { proposal } => match proposal.signed() {
                Some(signed) => self.publish(signed),
                None => {
                    let unsigned = proposal.unsigned();
                    let reason = unsigned
                        .first()
                        .map(|(shard, reason)| format!("shard {shard} {reason}"))
                        .unwrap_or_default();
                    let spare = self.suspend_if_spare(&unsigned);
                    self.fail(&reason, spare);
                }
            },
        }
        true
    }

    /// Puts a document together from the keys that came.
    fn propose(&mut self) {
        let Some(attempt) = &self.attempt else { return };
        let Phase::Calling { contributions } = &attempt.phase else { return };
        let here: BTreeSet<_> = contributions.keys().copied().collect();
        let missing: Vec<_> = attempt
            .members
            .iter()
            .filter(|member| !here.contains(member))
            .map(|member| (*member, "sent no keys in time".to_owned()))
            .collect();
        let selection = self.select(attempt, &here);
        if !selection.is_quorum {
            let reason = format!("no quorum sent keys: {}", selection.presence);
            return self.fail(&reason, false);
        }
        let lists = quorum::lists(&self.roster, attempt.epoch);
        let mut offers = Vec::with_capacity(selection.shards.len());
        for shard in &selection.shards {
            let (Some(member), Some(keys)) = (self.roster.member(shard), contributions.get(shard))
            else {
                continue;
            };
            let Some(list) = lists.get(&member.operator()) else { continue };
            let mut registration = member.registration.clone();
            registration.list = (*list).clone();
            offers.push(Offer { registration, contribution: keys.clone() });
        }
        let proposed = self.documents.propose(self.draft(attempt), &offers);
        if let Some(attempt) = &mut self.attempt {
            attempt.members.retain(|member| here.contains(member));
        }
        for (shard, reason) in missing {
            self.suspend(shard, &reason);
        }
        match proposed {
            Ok((document, contributions)) => self.send_proposal(document, contributions),
            Err(Fault { shard: Some(shard), reason }) => {
                if self.suspend_if_spare(&[(shard, reason.clone())]) {
                    self.leave_out(&shard, &reason);
                } else {
                    self.fail(&reason, false);
                }
            }
            Err(Fault { shard: None, reason }) => self.fail(&reason, false),
        }
    }

    fn send_proposal(&mut self, document: EpochDocument, contributions: Vec<Contribution>) {
        let deadline = self.now.plus_ms(self.config.endorse_ms.into());
        let Some(attempt) = &mut self.attempt else { return };
        attempt.members = document.shards.iter().map(|shard| shard.identity).collect();
        attempt.deadline = deadline;
        attempt.phase = Phase::Proposing { proposal: Box::new(Proposed::new(document.clone())) };
        let members = attempt.members.clone();
        self.send_all(&members, ToShard::Propose { document, contributions });
    }

    fn draft(&self, attempt: &Attempt) -> Draft {
        let interval = u64::from(self.config.interval_in(&self.network));
        let before = attempt.first_round.0.saturating_sub(self.state.next_round().0);
        Draft {
            epoch: attempt.epoch,
            first_round: attempt.first_round,
            last_round: attempt.last_round,
            starts_at: self.due().max(self.now).plus_ms(before.saturating_mul(interval)),
            previous: self.state.previous(),
            parameters: self.config.parameters(&self.network),
        }
    }

    fn publish(&mut self, signed: SignedDocument) {
        if let Err(reason) = self.documents.verify(&signed) {
            return self.fail(&reason, false);
        }
        let Some(attempt) = self.attempt.take() else { return };
        let shards = identities(&signed);
        let presence = self.select(&attempt, &shards.iter().copied().collect()).presence;
        let digest = signed.document.digest();
        let signed = Arc::new(signed);
        self.state.announce(Arc::clone(&signed), digest);
        self.state.suspensions.published(&shards);
        self.broken = false;
        self.resuming = false;
        self.failures = 0;
        self.persist();
        // Shards that are left out hear of it too: their clients have to find other gateways.
        let everybody: Vec<_> = self.roster.members().map(|(identity, _)| *identity).collect();
        self.send_all(&everybody, ToShard::Publish { document: SignedDocument::clone(&signed) });
        self.notice(Notice::EpochPublished {
            epoch: attempt.epoch,
            first_round: attempt.first_round,
            last_round: attempt.last_round,
            layers: signed.document.parameters.layers,
            presence,
        });
        self.outputs.push_back(Output::Publish(signed));
    }

    /// Plans an epoch, if one is needed and enough shards are here.
    pub(super) fn step_plan(&mut self) -> bool {
        if self.stopping || self.attempt.is_some() {
            return false;
        }
        if self.resuming {
            return self.resume();
        }
        let Some(need) = self.need().filter(|_| self.now >= self.retry_at) else { return false };
        let epoch = Epoch(self.state.last_epoch().0.saturating_add(1));
        let selection = quorum::choose(
            &self.roster,
            &self.network,
            epoch,
            self.config.least_shards,
            &self.state.suspensions,
        );
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

    /// Goes on with a restored epoch once all its shards are back, and gives it up if they do not
    /// come.
    fn resume(&mut self) -> bool {
        let Some(signed) = self.state.current().or(self.state.next()) else { return false };
        if signed.document.shards.iter().all(|shard| self.roster.is_registered(&shard.identity)) {
            self.idle_since = self.now;
        } else if self.now < self.gather_until {
            return false;
        } else if self.state.current().is_some() {
            self.break_epoch("not all its shards came back");
        } else {
            self.state.drop_next();
            self.unsaved = true;
        }
        self.resuming = false;
        self.gathered = true;
        true
    }

    fn need(&self) -> Option<Need> {
        if self.broken {
            return Some(Need::Successor);
        }
        if self.state.next().is_some() {
            return None;
        }
        let Some(signed) = self.state.current() else { return Some(Need::First) };
        let left = signed.document.last_round.0.saturating_sub(self.state.last_round().0);
        let soon = left <= u64::from(self.config.prepare_ahead_rounds)
            || self.now >= self.ahead_at(&signed.document);
        soon.then_some(Need::Ahead)
    }

    /// When the epoch after `document` is prepared even if rounds are left, lest it expire.
    fn ahead_at(&self, document: &EpochDocument) -> Timestamp {
        let interval = u64::from(self.config.interval_in(&self.network));
        let ahead = 2 * interval * (u64::from(self.config.prepare_ahead_rounds) + 2);
        let before = ahead.min(document.expires_at.ms_since(document.starts_at) / 2);
        Timestamp(document.expires_at.0.saturating_sub(before))
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
            _ => next,
        };
        let last_round = Round(first_round.0.saturating_add(self.config.rounds() - 1));
        let epoch = self.state.take_epoch();
        self.persist();
        self.notice(Notice::EpochCalled { epoch, first_round, shards: members.len() });
        self.send_all(&members, ToShard::Call { epoch, first_round, last_round });
        self.attempt = Some(Attempt {
            epoch,
            first_round,
            last_round,
            urgent: need != Need::Ahead,
            members,
            deadline: self.now.plus_ms(self.config.contribute_ms.into()),
            phase: Phase::Calling { contributions: BTreeMap::new() },
        });
    }

    pub(super) fn epoch_deadlines(&self) -> impl Iterator<Item = Timestamp> {
        let attempt = self.attempt.as_ref().map(|attempt| attempt.deadline);
        let gather = (self.resuming || !self.gathered).then_some(self.gather_until);
        let ahead = self.state.current().map(|signed| self.ahead_at(&signed.document));
        [attempt, gather, ahead, Some(self.retry_at)].into_iter().flatten()
    }
}
