//! A round that is open, and what its shards report of it.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{
    Epoch, EpochDocument, IdentityKey, NetworkFile, Round, RoundCounts, RoundOutcome, Timestamp,
};

use super::settings::longest_round_ms;
use super::voters::Voters;

#[derive(Debug)]
pub(crate) struct OpenRound {
    pub(crate) epoch: Epoch,
    pub(crate) round: Round,
    pub(crate) shards: Vec<IdentityKey>,
    opened_at: Timestamp,
    last_report: Timestamp,
    /// When it counts as ended whoever has not reported.
    pub(crate) deadline: Timestamp,
    /// When every shard has to have reported. Until then nobody is late.
    pub(crate) reports_due: Timestamp,
    /// When shards erase the epoch's secrets, and with them what they know of the round.
    pub(crate) expires_at: Timestamp,
    /// How long a round goes on after an honest shard withheld its seal key, in milliseconds.
    follow_ms: u64,
    /// Whether no other round has been open beside it.
    pub(crate) alone: bool,
    pub(crate) voters: Voters,
    reports: BTreeMap<IdentityKey, (RoundOutcome, RoundCounts)>,
    lost: BTreeSet<IdentityKey>,
}

impl OpenRound {
    pub(crate) fn new(
        document: &EpochDocument,
        network: &NetworkFile,
        round: Round,
        now: Timestamp,
    ) -> Self {
        let p = &document.parameters;
        let follow_ms = u64::from(p.layer_ms) + u64::from(p.verify_ms) + u64::from(p.interval_ms);
        let reports_due = now.plus_ms(longest_round_ms(p));
        Self {
            epoch: document.epoch,
            round,
            shards: document.shards.iter().map(|shard| shard.identity).collect(),
            opened_at: now,
            last_report: now,
            deadline: reports_due,
            reports_due,
            expires_at: document.expires_at,
            follow_ms,
            alone: true,
            voters: Voters::new(document, network),
            reports: BTreeMap::new(),
            lost: BTreeSet::new(),
        }
    }

    /// Takes the first report of a shard of the round.
    pub(crate) fn report(
        &mut self,
        shard: IdentityKey,
        outcome: RoundOutcome,
        counts: RoundCounts,
        now: Timestamp,
    ) {
        if !self.shards.contains(&shard) || self.reports.contains_key(&shard) {
            return;
        }
        self.reports.insert(shard, (outcome, counts));
        self.last_report = now;
        // One shard alone may say so of a round that goes on without a fault.
        let withheld =
            |id| matches!(self.reports.get(id), Some((RoundOutcome::Withheld { .. }, _)));
        let by = self.shards.iter().enumerate().filter(|(_, id)| withheld(id)).map(|(i, _)| i);
        if matches!(outcome, RoundOutcome::Withheld { .. }) && self.voters.convince(&by.collect()) {
            self.deadline = self.deadline.min(now.plus_ms(self.follow_ms));
        }
    }

    /// Expects no report of this shard any more.
    pub(crate) fn lose(&mut self, shard: IdentityKey) {
        self.lost.insert(shard);
    }

    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        let accounted = |id| self.reports.contains_key(id) || self.lost.contains(id);
        now >= self.deadline || self.shards.iter().all(accounted)
    }

    /// How the round ended at each shard, in the document's order; `None` where nothing is known.
    pub(crate) fn outcomes(&self) -> Vec<Option<RoundOutcome>> {
        self.shards.iter().map(|id| self.reports.get(id).map(|(outcome, _)| *outcome)).collect()
    }

    pub(crate) fn counts(&self) -> impl Iterator<Item = &RoundCounts> {
        self.reports.values().map(|(_, counts)| counts)
    }

    /// Shards that did not report.
    pub(crate) fn silent(&self) -> Vec<IdentityKey> {
        self.shards.iter().filter(|id| !self.reports.contains_key(id)).copied().collect()
    }

    /// The identities of shards, given by position.
    pub(crate) fn identities<'a>(
        &self,
        positions: impl IntoIterator<Item = &'a usize>,
    ) -> Vec<IdentityKey> {
        positions.into_iter().filter_map(|&position| self.shards.get(position).copied()).collect()
    }

    pub(crate) fn is_lost(&self, shard: &IdentityKey) -> bool {
        self.lost.contains(shard)
    }

    /// Whether nobody can be asked for a report any more.
    pub(crate) fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.expires_at
    }

    /// Milliseconds from the opening to the last report.
    pub(crate) fn latency_ms(&self) -> u64 {
        self.last_report.ms_since(self.opened_at)
    }
}
