//! A round that is open, and what its shards report of it.

use std::collections::{BTreeMap, BTreeSet};

use antiphon_wire::{
    Epoch, EpochDocument, IdentityKey, NetworkFile, Round, RoundCounts, RoundOutcome, Timestamp,
};

use super::circuits::Carried;
use crate::ended_round::{EndedRound, Weight};
use crate::notice::RoundTotals;
use crate::voters::Voters;

#[derive(Debug)]
pub(super) struct OpenRound {
    pub(super) epoch: Epoch,
    pub(super) round: Round,
    shards: Vec<IdentityKey>,
    opened_at: Timestamp,
    last_report: Timestamp,
    /// When it counts as ended whoever has not reported.
    pub(super) deadline: Timestamp,
    /// When every shard has to have reported. Until then nobody is late.
    reports_due: Timestamp,
    /// When shards erase the epoch's secrets, and with them what they know of the round.
    expires_at: Timestamp,
    /// Time for which a round goes on after an honest shard withheld its seal key, in milliseconds.
    follow_ms: u64,
    /// True if no other round has been open beside it.
    pub(super) alone: bool,
    /// The beats that follow it, if any do.
    pub(super) carries: Option<Carried>,
    voters: Voters,
    reports: BTreeMap<IdentityKey, (RoundOutcome, RoundCounts)>,
    lost: BTreeSet<IdentityKey>,
}

impl OpenRound {
    /// A round that opens `now`, and whose secrets are erased at `expires_at` by this machine's clock.
    pub(super) fn new(
        document: &EpochDocument,
        network: &NetworkFile,
        round: Round,
        (now, expires_at): (Timestamp, Timestamp),
    ) -> Self {
        let p = &document.parameters;
        let follow_ms = u64::from(p.layer_ms) + u64::from(p.verify_ms) + u64::from(p.interval_ms);
        let reports_due = now.plus_ms(p.longest_round_ms());
        Self {
            epoch: document.epoch,
            round,
            shards: document.shards.iter().map(|shard| shard.identity).collect(),
            opened_at: now,
            last_report: now,
            // It may end earlier, once a key was withheld.
            deadline: reports_due,
            reports_due,
            expires_at,
            follow_ms,
            alone: true,
            carries: None,
            voters: Voters::new(document, network),
            reports: BTreeMap::new(),
            lost: BTreeSet::new(),
        }
    }

    /// The shards in the order of the epoch's document.
    pub(super) fn shards(&self) -> &[IdentityKey] {
        &self.shards
    }

    /// Returns `true` if it is a round of this shard.
    pub(super) fn has(&self, shard: &IdentityKey) -> bool {
        self.shards.contains(shard)
    }

    /// Takes the first report of a shard of the round.
    pub(super) fn report(
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
    pub(super) fn lose(&mut self, shard: IdentityKey) {
        self.lost.insert(shard);
    }

    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        let accounted = |id| self.reports.contains_key(id) || self.lost.contains(id);
        now >= self.deadline || self.shards.iter().all(accounted)
    }

    /// Closes the books of the round, now that it is over.
    pub(super) fn into_ended(self, next_round: Round, weight: Weight) -> EndedRound {
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
