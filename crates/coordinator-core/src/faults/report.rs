//! A round's end as it is told, and what blame found in it.

use antiphon_wire::{IdentityKey, RoundOutcome};

use super::blame::{self, Finding};
use crate::ended_round::EndedRound;
use crate::notice::{RoundReport, RoundResult};

/// Judgement of a round that is over.
#[derive(Clone, Debug)]
pub(crate) struct Judgement {
    pub(crate) finding: Finding,
    pub(crate) report: RoundReport,
}

impl Judgement {
    /// Judges a round by its shards' reports.
    pub(crate) fn of(ended: &EndedRound) -> Self {
        debug_assert!(!ended.shards.is_empty(), "an epoch has shards");
        debug_assert_eq!(ended.shards.len(), ended.outcomes.len());
        let finding = blame::judge(&ended.voters, &ended.outcomes);
        let silent = ended.silent();
        let report = RoundReport {
            epoch: ended.epoch,
            round: ended.round,
            result: result(ended, &silent, &finding),
            totals: ended.totals,
            latency_ms: ended.latency_ms,
            silent,
        };
        Self { finding, report }
    }

    /// Returns `true` if a shard withheld its seal key.
    pub(crate) fn is_aborted(&self) -> bool {
        matches!(self.report.result, RoundResult::Aborted { .. })
    }
}

fn result(ended: &EndedRound, silent: &[IdentityKey], finding: &Finding) -> RoundResult {
    let outcomes = &ended.outcomes;
    let withheld = outcomes.iter().enumerate().any(|(position, outcome)| {
        // Who says that it withheld a key without which others opened has not aborted the round.
        matches!(outcome, Some(RoundOutcome::Withheld { .. })) && !finding.liars.contains(&position)
    });
    let mut missing = ended.identities(&finding.named);
    if withheld || outcomes.iter().all(Option::is_none) {
        // With nobody named, those who did not report are the likeliest cause.
        if missing.is_empty() {
            missing = silent.to_vec();
        }
        return RoundResult::Aborted { missing, reason: finding.reason };
    }
    if ended.is_delivered() {
        return RoundResult::Delivered;
    }
    let others: Vec<_> = silent.iter().filter(|shard| !missing.contains(shard)).copied().collect();
    missing.extend(others);
    RoundResult::Partial { missing }
}
