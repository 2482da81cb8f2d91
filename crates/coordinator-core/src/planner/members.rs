//! Who is here: shards that register, answer, leave or are lost.

use antiphon_wire::{
    Blob, Contribution, Digest, Epoch, IdentityKey, OperatorIndex, Registration, Signature,
    Standing, Timestamp, ToShard,
};

use super::Planner;
use super::attempt::Attempt;
use super::gathering::Gathering;
use super::quorum::{self, Presence};
use super::retry::Again;
use super::roster::{Member, Stay};
use crate::course::Conduct;
use crate::faults::Suspensions;
use crate::notice::Notice;
use crate::status::{PlannedStatus, QuorumStatus};

/// The longest text of a shard that is passed on, in characters.
const LONGEST_TEXT: usize = 200;

impl Planner {
    /// A shard's link is up. Returns the registered shard whose link it replaces, if it does.
    pub(crate) fn connect(&mut self, identity: IdentityKey) -> Option<Member> {
        self.roster.connect(identity)
    }

    /// A shard's link is gone. Returns the registered shard whose link it was, if it was one.
    pub(crate) fn disconnect(&mut self, identity: &IdentityKey) -> Option<Member> {
        self.roster.disconnect(identity)
    }

    /// Returns `true` if the shard is here and registered.
    pub(crate) fn is_registered(&self, identity: &IdentityKey) -> bool {
        self.roster.member(identity).is_some()
    }

    /// The operator of a registered shard.
    pub(crate) fn operator_of(&self, identity: &IdentityKey) -> Option<OperatorIndex> {
        self.roster.member(identity).map(Member::operator)
    }

    /// The registered shards, by identity.
    pub(crate) fn members(&self) -> impl Iterator<Item = (&IdentityKey, &Member)> {
        self.roster.members()
    }

    /// What an epoch planned now would have.
    pub(crate) fn quorum(&self, suspensions: &Suspensions) -> QuorumStatus {
        let Presence { present_weight, total_weight, absent, .. } =
            self.choose(suspensions).presence;
        let needed_weight = quorum::least_weight(&self.rules.network);
        QuorumStatus { present_weight, needed_weight, total_weight, absent }
    }

    /// The epoch on its way, if one is.
    pub(crate) fn planned(&self) -> Option<PlannedStatus> {
        let attempt = self.attempt()?;
        let (phase, shards) = (attempt.phase.name().to_owned(), attempt.members.len());
        Some(PlannedStatus { epoch: attempt.call.epoch.0, phase, shards })
    }

    /// Takes a registration, or tells the shard why not. Returns whether it was taken.
    pub(crate) fn register(
        &mut self,
        now: Timestamp,
        identity: IdentityKey,
        registration: Registration,
        standing: Standing,
    ) -> bool {
        let operator = registration.list.claimed().operator;
        let when = (self.next_epoch(), now);
        let network = &self.rules.network;
        match self.roster.register(identity, (registration, standing), network, when) {
            Ok(()) => {
                let operator = self.rules.operator_name(operator);
                self.tell(Notice::ShardRegistered { shard: identity, operator });
                true
            }
            Err(error) => {
                let reason = error.to_string();
                let message = ToShard::Reject { reason: Blob(reason.clone().into_bytes()) };
                self.send(vec![identity], message);
                self.tell(Notice::ShardRejected { shard: identity, reason });
                false
            }
        }
    }

    /// A shard sends its keys.
    pub(crate) fn contribute(&mut self, shard: IdentityKey, contribution: Contribution) {
        if let Some(attempt) = self.attempt_mut() {
            attempt.contribute(shard, contribution);
        }
    }

    /// A shard signs a proposal.
    pub(crate) fn endorse(
        &mut self,
        shard: IdentityKey,
        epoch: Epoch,
        (document, signature): (Digest, Signature),
    ) {
        if let Some(attempt) = self.attempt_at(epoch) {
            attempt.endorse(shard, document, signature);
        }
    }

    /// A shard asks for a contribution to the proposal.
    pub(crate) fn ask_contribution(&mut self, shard: IdentityKey, digest: &Digest) {
        let answer = self.attempt_mut().and_then(|attempt| attempt.contribution(shard, digest));
        if let Some(contribution) = answer {
            self.send(vec![shard], ToShard::Contribution { contribution });
        }
    }

    /// A shard refuses to send keys, or to sign.
    pub(crate) fn refuse(&mut self, shard: IdentityKey, epoch: Epoch, reason: &Blob) {
        if let Some(attempt) = self.attempt_at(epoch) {
            attempt.refuse(shard, printable(reason));
        }
    }

    /// A shard wants to be in no epoch that is still to come.
    pub(crate) fn leaving(&mut self, now: Timestamp, identity: IdentityKey) {
        let Some(member) = self.roster.member_mut(&identity) else { return };
        match member.stay {
            Stay::Staying | Stay::Needed(_) => {
                member.stay = Stay::Leaving(now);
                self.tell(Notice::ShardLeaving { shard: identity });
                self.leave_out(now, &identity, "is leaving");
            }
            Stay::Leaving(_) | Stay::Released => {}
        }
    }

    /// A shard stays after all.
    pub(crate) fn staying(&mut self, identity: IdentityKey) {
        let member = self.roster.member_mut(&identity).filter(|member| member.may_go());
        if let Some(member) = member {
            member.stay = Stay::Staying;
            self.tell(Notice::ShardStaying { shard: identity });
        }
    }

    /// Answers shards that are leaving: those of which nothing more is wanted are let go, and those without
    /// which no epoch could come about are told so. `is_needed` tells in which epochs and rounds they are.
    ///
    /// Whoever asked last is told first, so that the others may still leave. While a restored epoch waits for
    /// its shards, it is too early to say who is missing.
    pub(crate) fn release(
        &mut self,
        suspensions: &Suspensions,
        conduct: Conduct,
        is_needed: impl Fn(&IdentityKey) -> bool,
    ) {
        if conduct != Conduct::Resuming {
            self.reconsider(suspensions);
        }
        let since = |stay| match stay {
            Stay::Leaving(since) => Some(since),
            _ => None,
        };
        for (since, identity) in self.waiting_to_leave(since).into_iter().rev() {
            let is_called =
                self.attempt().is_some_and(|attempt| attempt.members.contains(&identity));
            let (stay, message) = if !(is_called || is_needed(&identity)) {
                (Stay::Released, ToShard::Release)
            } else if conduct != Conduct::Resuming
                && let Some(reason) = self.lack(suspensions)
            {
                (Stay::Needed(since), ToShard::Needed { reason: Blob(reason.into_bytes()) })
            } else {
                continue;
            };
            self.set_stay(&identity, stay);
            self.send(vec![identity], message);
        }
    }

    /// Shards that were needed when they asked may leave once others have come, those that asked first before others.
    fn reconsider(&mut self, suspensions: &Suspensions) {
        let since = |stay| match stay {
            Stay::Needed(since) => Some(since),
            _ => None,
        };
        for (since, identity) in self.waiting_to_leave(since) {
            self.set_stay(&identity, Stay::Leaving(since));
            if self.lack(suspensions).is_some() {
                self.set_stay(&identity, Stay::Needed(since));
            }
        }
    }

    /// The shards for which `since` has a time, by it.
    fn waiting_to_leave(
        &self,
        since: impl Fn(Stay) -> Option<Timestamp>,
    ) -> Vec<(Timestamp, IdentityKey)> {
        let of = |(identity, member): (&IdentityKey, &Member)| {
            since(member.stay).map(|since| (since, *identity))
        };
        let mut waiting: Vec<_> = self.roster.members().filter_map(of).collect();
        waiting.sort_unstable();
        waiting
    }

    fn set_stay(&mut self, identity: &IdentityKey, stay: Stay) {
        if let Some(member) = self.roster.member_mut(identity) {
            member.stay = stay;
        }
    }

    /// What an epoch without the shards that are leaving would lack, in words; `None` if it can come about.
    fn lack(&self, suspensions: &Suspensions) -> Option<String> {
        let selection = self.choose(suspensions);
        if selection.is_quorum {
            return None;
        }
        let Presence { present_weight, total_weight, shards, absent } = selection.presence;
        let least = quorum::least_weight(&self.rules.network);
        let least_shards = self.rules.config.least_shards;
        Some(format!(
            "without it there are {shards} shards, of operators with weight {present_weight} of {total_weight}; \
             an epoch takes {least_shards} shards and weight {least}; absent would be: {}",
            absent.join(", ")
        ))
    }

    /// Takes a shard out of the epoch on its way, if it is in it.
    pub(crate) fn leave_out(&mut self, now: Timestamp, identity: &IdentityKey, what: &str) {
        let Some(attempt) = self.attempt_mut() else { return };
        if !attempt.leave_out(identity) {
            return self.fail(now, &format!("shard {identity} {what}"), Again::AtOnce);
        }
        // Nobody is waited for whose keys are of no use.
        let lacks_quorum = self.attempt().is_some_and(|attempt| {
            let members = attempt.members.iter().copied().collect();
            !self.select(&attempt.call, &members).is_quorum
        });
        if lacks_quorum {
            self.give_up_for_lack(now);
            self.gathering = Gathering::again(now, self.rules.config.gather_ms.into());
        }
    }

    /// Ends the attempt because too few shards are left for it.
    pub(crate) fn give_up_for_lack(&mut self, now: Timestamp) {
        self.fail(now, "too few shards are left", Again::AtOnce);
    }

    fn attempt_at(&mut self, epoch: Epoch) -> Option<&mut Attempt> {
        self.attempt_mut().filter(|attempt| attempt.call.epoch == epoch)
    }
}

/// A shard's text, fit for a log.
fn printable(text: &Blob) -> String {
    let text = String::from_utf8_lossy(&text.0);
    text.chars().filter(|c| !c.is_control()).take(LONGEST_TEXT).collect()
}
