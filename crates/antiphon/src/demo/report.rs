//! Report of the demonstration, for `--json`.

use antiphon_client::Budget;
use antiphon_coordinator::{RoundReport, RoundResult};
use serde::Serialize;

use super::DemoArguments;
use super::beats::BeatsReport;
use crate::plan::Figures;

/// The report as `--json` writes it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    pub(super) network: NetworkReport,
    pub(super) rounds: Vec<Round>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) beats: Option<BeatsReport>,
    pub(super) spent: Spent,
    pub(super) messages: Messages,
}

/// Rounds that a client that talks was charged; beats are charged to nobody.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Spent {
    pub(super) rounds: u32,
    /// Rounds that may be charged before conversations rest: half of K.
    pub(super) of: u32,
}

impl Spent {
    pub(super) fn of(budget: Budget) -> Self {
        Self { rounds: budget.spent, of: budget.total }
    }
}

impl Report {
    /// Median latency of rounds that were delivered, in milliseconds; none if all were aborted.
    pub(super) fn round_latency_ms(&self) -> Option<u64> {
        let delivered = self.rounds.iter().filter(|round| round.outcome == Outcome::Delivered);
        let mut latencies: Vec<_> = delivered.map(|round| round.latency_ms).collect();
        latencies.sort_unstable();
        latencies.get(latencies.len() / 2).copied()
    }
}

/// Promise of the network, from the epoch document that its shards signed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NetworkReport {
    pub(super) shards: usize,
    pub(super) operators: usize,
    /// Mixing hops of a path.
    pub(super) hops: u8,
    /// Cryptographic suite of the onions.
    pub(super) suite: u8,
    pub(super) clients: usize,
    /// V, the noise deposits of a shard in a round.
    pub(super) noise_per_shard: u32,
    /// Canaries of a shard in a round, two onions each, which the onions of noise are counted with.
    pub(super) canaries_per_shard: u8,
    pub(super) epsilon: f64,
    pub(super) delta: f64,
    /// K, the disturbed rounds that the budget covers.
    pub(super) disturbed_rounds_budget: u32,
    /// Of one conversation in one round; proven.
    pub(super) delta_mix: f64,
    /// `delta_mix` by the conjecture, where the bound above is proven.
    pub(super) delta_mix_conjectured: f64,
    /// Gain from looking first, of one conversation in one round.
    pub(super) peek_round: f64,
    /// All that comes beside epsilon, over `total_over_days`.
    pub(super) delta_total: f64,
    pub(super) total_over_days: u32,
}

impl NetworkReport {
    pub(super) fn new(figures: &Figures, arguments: &DemoArguments) -> Self {
        Self {
            shards: figures.shards,
            operators: figures.operators,
            hops: figures.hops,
            suite: arguments.suite().number(),
            clients: arguments.clients.into(),
            noise_per_shard: figures.noise_per_shard,
            canaries_per_shard: if arguments.beats() > 0 { figures.canaries } else { 0 },
            epsilon: figures.epsilon,
            delta: figures.delta,
            disturbed_rounds_budget: figures.disturbed_rounds_budget,
            delta_mix: figures.delta_mix,
            delta_mix_conjectured: figures.delta_mix_conjectured,
            peek_round: figures.peek_round,
            delta_total: figures.delta_total,
            total_over_days: figures.total_over_days,
        }
    }
}

/// One round of the demonstration.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Round {
    pub(super) round: u64,
    pub(super) outcome: Outcome,
    /// Reason, if it was aborted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    pub(super) latency_ms: u64,
    pub(super) user_onions: u64,
    pub(super) noise_onions: u64,
    pub(super) filters_checked: u64,
    /// Bytes of all filters, each counted once.
    pub(super) filter_bytes: u64,
    pub(super) pairs: u64,
    pub(super) singles: u64,
}

/// End of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Outcome {
    /// Replies went back to the clients.
    Delivered,
    /// It was not opened everywhere.
    Aborted,
}

impl Round {
    pub(super) fn new(report: &RoundReport, shards: usize) -> Self {
        let (outcome, reason) = match &report.result {
            RoundResult::Delivered => (Outcome::Delivered, None),
            RoundResult::Aborted { reason: Some(reason), .. } => {
                (Outcome::Aborted, Some(reason.to_string()))
            }
            other => (Outcome::Aborted, Some(other.to_string())),
        };
        let totals = &report.totals;
        Self {
            round: report.round.0,
            outcome,
            reason,
            latency_ms: report.latency_ms,
            user_onions: totals.user_onions,
            noise_onions: totals.noise_onions,
            filters_checked: totals.filters_checked,
            // Every shard counts all filters.
            filter_bytes: totals.filter_bytes / shards.max(1) as u64,
            pairs: totals.pairs,
            singles: totals.singles,
        }
    }
}

/// Messages of the conversation.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Messages {
    pub(super) sent: u32,
    pub(super) received: u32,
    /// Bytes received, both ways together.
    pub(super) bytes: u64,
    /// `true` if all that was sent arrived, byte for byte.
    pub(super) intact: bool,
}
