//! A round that is over, with all that is known of it.

use std::collections::BTreeSet;

use antiphon_wire::{Epoch, IdentityKey, Round, RoundOutcome, Timestamp};

use super::notice::RoundTotals;
use super::voters::Voters;

/// A round that is over, as its shards reported it. The round clock makes it, and faults are found in
/// it.
#[derive(Clone, Debug)]
pub(crate) struct EndedRound {
    pub(crate) epoch: Epoch,
    pub(crate) round: Round,
    /// The shards in the order of the epoch's document.
    pub(crate) shards: Vec<IdentityKey>,
    /// Outcome at each of them, in the same order; `None` where nothing is known.
    pub(crate) outcomes: Vec<Option<RoundOutcome>>,
    /// Shards whose links were lost while it was open.
    pub(crate) lost: BTreeSet<IdentityKey>,
    pub(crate) voters: Voters,
    pub(crate) totals: RoundTotals,
    /// Milliseconds from the opening to the last report.
    pub(crate) latency_ms: u64,
    /// When every shard has to have reported. Until then nobody is late.
    pub(crate) reports_due: Timestamp,
    /// When shards erase the epoch's secrets, and with them what they know of the round.
    pub(crate) expires_at: Timestamp,
    /// The first round that was not open yet when this one ended.
    pub(crate) next_round: Round,
    pub(crate) weight: Weight,
}

/// Bearing of a round's end on disputes and on the pace of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    /// Its epoch ran on.
    Counts,
    /// Its epoch had been broken: what goes wrong in it decides nothing any more.
    Decided,
}

impl EndedRound {
    /// Shards that did not report.
    pub(crate) fn silent(&self) -> Vec<IdentityKey> {
        let reported = self.shards.iter().zip(&self.outcomes);
        reported.filter(|(_, outcome)| outcome.is_none()).map(|(shard, _)| *shard).collect()
    }

    /// The identities of shards, given by position.
    pub(crate) fn identities<'a>(
        &self,
        positions: impl IntoIterator<Item = &'a usize>,
    ) -> Vec<IdentityKey> {
        positions.into_iter().filter_map(|&position| self.shards.get(position).copied()).collect()
    }

    /// Returns `true` if every shard opened its seal layer.
    pub(crate) fn is_delivered(&self) -> bool {
        self.outcomes.iter().all(|outcome| *outcome == Some(RoundOutcome::Delivered))
    }
}
