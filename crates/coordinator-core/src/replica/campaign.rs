//! Standing by, and campaigning when shards hear no leader.

use std::collections::BTreeSet;

use antiphon_wire::{Digest, IdentityKey, Term, Timestamp, ToShard};

use super::leading::Leader;
use super::word::Ear;
use super::{Elected, Role};
use crate::notice::Notice;

/// Longest wait before a first campaign, in milliseconds. Each coordinator waits a time of its own in each term,
/// so that two seldom campaign at once, and not in the terms after that.
const WAIT_MS: u64 = 400;
/// Campaigns that a candidate counts as failed if shards do not even answer in time: it waits so long then that
/// others, whom shards are nearer to, come first.
const UNHEARD: u32 = 5;
/// Time in which a quorum has to let a candidate lead, in milliseconds.
const CAMPAIGN_MS: u64 = 1000;
/// Time for which one that is elected waits for documents in force, in milliseconds.
const DOCUMENTS_MS: u64 = 1000;

/// A coordinator that does not lead.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Standby {
    /// Campaigns in a row that failed.
    failed: u32,
    /// When it campaigns, while a quorum of shards hears no leader.
    campaigns_at: Option<Timestamp>,
}

impl Standby {
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        self.campaigns_at
    }

    /// A shard has come: with it, another campaign may have success.
    pub(super) fn encouraged(&mut self) {
        *self = Self::default();
    }
}

/// A coordinator that wants to lead.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) term: Term,
    since: Timestamp,
    failed: u32,
    granted: BTreeSet<IdentityKey>,
    declined: BTreeSet<IdentityKey>,
    /// Since when a quorum lets it lead.
    elected: Option<Timestamp>,
}

impl Candidate {
    pub(super) fn granted(&mut self, shard: IdentityKey) {
        self.declined.remove(&shard);
        self.granted.insert(shard);
    }

    /// A shard follows another, or says that it hears nobody: which it may have said before it was asked.
    pub(super) fn declined(&mut self, shard: IdentityKey, term: Term, ear: Ear) {
        if ear == Ear::Leader || term >= self.term {
            self.granted.remove(&shard);
            self.declined.insert(shard);
        }
    }

    pub(super) fn gone(&mut self, shard: &IdentityKey) {
        self.granted.remove(shard);
        self.declined.remove(shard);
    }

    /// The shards that let it lead.
    pub(super) fn followers(&self) -> impl Iterator<Item = &IdentityKey> {
        self.granted.iter()
    }

    pub(super) fn deadline(&self) -> Timestamp {
        match self.elected {
            Some(at) => at.plus_ms(DOCUMENTS_MS),
            None => self.since.plus_ms(CAMPAIGN_MS),
        }
    }
}

impl Elected {
    /// Campaigns if a quorum of shards has heard no leader for long enough.
    pub(super) fn stand_by(&mut self) {
        let is_free = self.electorate.is_quorum(|_, word| word.ear == Ear::Nobody);
        let term = self.next_term();
        let Role::Standby(standby) = &mut self.role else { return };
        if !is_free {
            standby.campaigns_at = None;
            return;
        }
        let wait = wait_ms(&self.me, term, standby.failed);
        let at = *standby.campaigns_at.get_or_insert(self.now.plus_ms(wait));
        if self.now >= at {
            let failed = standby.failed;
            self.campaign(term, failed);
        }
    }

    fn next_term(&self) -> Term {
        Term(self.electorate.term().max(self.last_term).0.saturating_add(1))
    }

    fn campaign(&mut self, term: Term, failed: u32) {
        self.last_term = term;
        let shards: Vec<_> = self.electorate.words().map(|(shard, _)| *shard).collect();
        shards.into_iter().for_each(|shard| self.send(shard, ToShard::Campaign { term }));
        self.role = Role::Candidate(Candidate {
            term,
            since: self.now,
            failed,
            granted: BTreeSet::new(),
            declined: BTreeSet::new(),
            elected: None,
        });
    }

    /// Leads once a quorum lets it, and gives up when it is clear that none will.
    pub(super) fn pursue(&mut self) {
        let Role::Candidate(candidate) = &mut self.role else { return };
        let now = self.now;
        if self.electorate.is_quorum(|shard, _| candidate.granted.contains(shard)) {
            let elected = *candidate.elected.get_or_insert(now);
            let waited = now >= elected.plus_ms(DOCUMENTS_MS);
            if waited || self.library.is_complete(&self.electorate) {
                let (term, since) = (candidate.term, candidate.since);
                let granted = std::mem::take(&mut candidate.granted);
                self.lead(term, since, granted);
            }
            return;
        }
        candidate.elected = None;
        let answered =
            |shard| candidate.granted.contains(shard) || candidate.declined.contains(shard);
        let all = self.electorate.words().all(|(shard, _)| answered(shard));
        let failed = candidate.failed.saturating_add(1).min(UNHEARD);
        if all {
            self.give_up(failed);
        } else if now >= candidate.since.plus_ms(CAMPAIGN_MS) {
            self.give_up(UNHEARD);
        }
    }

    /// Lets those go at once that would have let this coordinator lead.
    fn give_up(&mut self, failed: u32) {
        let Role::Candidate(candidate) = &self.role else { return };
        let term = candidate.term;
        let shards: Vec<_> = candidate.followers().copied().collect();
        shards.into_iter().for_each(|shard| self.send(shard, ToShard::Resign));
        self.notice(Notice::NotElected { term });
        self.role = Role::Standby(Standby { failed, campaigns_at: None });
    }

    /// Leads from now on.
    fn lead(&mut self, term: Term, since: Timestamp, granted: BTreeSet<IdentityKey>) {
        self.notice(Notice::Elected { term, shards: granted.len() });
        let state = self.taken_over(&granted);
        let mut leader = Leader::new(&self.rules, term, (since, self.now), state);
        for shard in granted {
            if let Some(word) = self.electorate.word(&shard) {
                leader.granted(self.now, shard, word);
            }
        }
        self.role = Role::Leader(Box::new(leader));
        self.lead_on();
    }
}

/// Time that a coordinator waits before it campaigns for `term`, in milliseconds: as good as random to all others,
/// and another one in every term, without any randomness.
fn wait_ms(me: &IdentityKey, term: Term, failed: u32) -> u64 {
    let mut name = me.0.to_vec();
    name.extend(term.0.to_be_bytes());
    let Digest(hash) = Digest::of(&name);
    let [a, b, c, d, ..] = hash;
    let longest = WAIT_MS << failed;
    let least = if failed == 0 { 0 } else { longest / 2 };
    least + u64::from(u32::from_be_bytes([a, b, c, d])) % (longest - least)
}
