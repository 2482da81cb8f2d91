//! A round that is open, and what its shards report of it.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{
    Epoch, EpochDocument, IdentityKey, NetworkFile, Round, RoundCounts, RoundOutcome, Timestamp,
};

use super::ended_round::{EndedRound, Weight};
use super::notice::RoundTotals;
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
    reports_due: Timestamp,
    /// When shards erase the epoch's secrets, and with them what they know of the round.
    pub(crate) expires_at: Timestamp,
    /// How long a round goes on after an honest shard withheld its seal key, in milliseconds.
    follow_ms: u64,
    /// Whether no other round has been open beside it.
    pub(crate) alone: bool,
    voters: Voters,
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

    /// What is known of the round now that it is over.
    pub(crate) fn into_ended(self, next_round: Round, weight: Weight) -> EndedRound {
        let outcome = |shard: &IdentityKey| self.reports.get(shard).map(|(outcome, _)| *outcome);
        let outcomes = self.shards.iter().map(outcome).collect();
        let mut totals = RoundTotals::default();
        self.reports.values().for_each(|(_, counts)| totals.add(counts));
        EndedRound {
            epoch: self.epoch,
            round: self.round,
            outcomes,
            lost: self.lost,
            voters: self.voters,
            totals,
            latency_ms: self.last_report.ms_since(self.opened_at),
            reports_due: self.reports_due,
            expires_at: self.expires_at,
            next_round,
            weight,
            shards: self.shards,
        }
    }
}
