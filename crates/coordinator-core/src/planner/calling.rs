//! Calling shards for their keys, and putting a document together of them.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_routing::{Draft, Offer};
use antiphon_wire::{Contribution, IdentityKey, Round, Timestamp, ToShard};

use super::attempt::{Attempt, Call, Phase};
use super::documents::Job;
use super::need::Need;
use super::quorum::{self, Presence};
use super::retry::Again;
use super::{Action, Numbers, Planner, Planning};
use crate::course::Course;
use crate::notice::Notice;

/// Shards that a failure names at most.
const TOLD: usize = 8;

/// Answers of shards to a call that is over.
pub(super) struct Answers {
    pub(super) until: Timestamp,
    pub(super) contributions: BTreeMap<IdentityKey, Contribution>,
    pub(super) refusals: BTreeMap<IdentityKey, String>,
}

impl Planner {
    /// Asks shards for their keys.
    pub(super) fn call(
        &mut self,
        now: Timestamp,
        course: &Course<'_>,
        need: Need,
        members: Vec<IdentityKey>,
    ) {
        debug_assert!(self.attempt().is_none(), "one epoch at a time");
        let first_round = self.first_round(course, need);
        let rounds = self.rules.config.rounds(members.len());
        let last_round = Round(first_round.0.saturating_add(rounds - 1));
        // Its number is used up, whatever becomes of it.
        let epoch = self.next_epoch();
        self.marks.last_epoch = epoch;
        self.actions.push(Action::Persist);
        self.tell(Notice::EpochCalled { epoch, first_round, shards: members.len() });
        self.send(members.clone(), ToShard::Call { epoch, first_round, last_round });
        self.planning = Planning::Underway(Attempt {
            call: Call { epoch, first_round, last_round, called_at: now, need },
            members,
            phase: Phase::Calling {
                until: now.plus_ms(self.rules.config.contribute_ms.into()),
                contributions: BTreeMap::new(),
                refusals: BTreeMap::new(),
            },
        });
    }

    /// Has a document put together from the keys that came.
    pub(super) fn compose(
        &mut self,
        now: Timestamp,
        course: &Course<'_>,
        (call, mut members): (Call, Vec<IdentityKey>),
        answers: Answers,
    ) {
        let missing = missing(&members, &answers);
        let Answers { until, contributions, refusals } = answers;
        let here: BTreeSet<_> = contributions.keys().copied().collect();
        let selection = self.select(&call, &here);
        if !selection.is_quorum {
            let reason = too_few(&missing, &selection.presence);
            return self.give_up(now, &call, &reason, Again::Later);
        }
        let offers = self.offers(&call, &selection.shards, &contributions);
        let work = self.work(Job::Compose { draft: self.draft(now, course, &call), offers });
        members.retain(|member| here.contains(member));
        let phase = Phase::Composing { work, until, contributions };
        self.planning = Planning::Underway(Attempt { call, members, phase });
        for (shard, reason) in missing {
            // Until an epoch has come about, it may be the numbers of this coordinator that are wrong.
            if self.numbers == Numbers::Settled || !refusals.contains_key(&shard) {
                self.actions.push(Action::Suspend { shard, reason });
            }
        }
    }

    /// Offers of `shards` that a document is put together of.
    fn offers(
        &self,
        call: &Call,
        shards: &[IdentityKey],
        contributions: &BTreeMap<IdentityKey, Contribution>,
    ) -> Vec<Offer> {
        let lists = quorum::lists(&self.roster, call.epoch);
        // With the list that holds for the epoch, which may not be the one that the shard registered with.
        let offer = |shard| {
            let (member, keys) = (self.roster.member(shard)?, contributions.get(shard)?);
            let mut registration = member.registration.clone();
            registration.list = (*lists.get(&member.operator())?).clone();
            Some(Offer { registration, contribution: keys.clone() })
        };
        let offers: Vec<_> = shards.iter().filter_map(offer).collect();
        debug_assert_eq!(offers.len(), shards.len(), "only those are selected who are here");
        offers
    }

    fn draft(&self, now: Timestamp, course: &Course<'_>, call: &Call) -> Draft {
        let before = call.first_round.0.saturating_sub(course.next_round().0);
        let until = before.saturating_mul(self.rules.interval_ms());
        Draft {
            epoch: call.epoch,
            first_round: call.first_round,
            last_round: call.last_round,
            starts_at: course.by_their_clocks(course.due.max(now).plus_ms(until)),
            previous: self.marks.previous,
            parameters: self.rules.config.parameters(&self.rules.network),
        }
    }
}

/// The shards that sent no keys, and why.
fn missing(members: &[IdentityKey], answers: &Answers) -> Vec<(IdentityKey, String)> {
    let silent = members.iter().filter(|member| !answers.contributions.contains_key(member));
    let why = |member: &IdentityKey| match answers.refusals.get(member) {
        Some(reason) => (*member, format!("sent no keys: {reason}")),
        None => (*member, "sent no keys in time".to_owned()),
    };
    silent.map(why).collect()
}

fn too_few(missing: &[(IdentityKey, String)], presence: &Presence) -> String {
    let missing = missing.iter().map(|(shard, reason)| format!("shard {shard} {reason}"));
    let missing: Vec<_> = missing.take(TOLD).collect();
    let Presence { present_weight, total_weight, .. } = presence;
    format!(
        "no quorum sent keys, but operators of weight {present_weight} of {total_weight}: {}",
        missing.join("; ")
    )
}
