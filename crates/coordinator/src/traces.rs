//! Rounds of this coordinator as they are told to a collector of traces: each as a whole, to which shards' phases belong.

use std::time::Duration;

use antiphon_process::clock::SystemClock;
use antiphon_process::metrics::labels::{Cause, Ending, Label as _};
use antiphon_process::telemetry::{self, RoundSpans, Span};
use antiphon_wire::Timestamp;

use crate::{Notice, RoundReport, RoundResult};

/// Tells of a round that ended.
pub(crate) fn note(notice: &Notice) {
    if let Notice::RoundEnded(report) = notice {
        telemetry::tell(|| spans(report, SystemClock::now()));
    }
}

/// The number of clients' onions is on no trace: what is told round by round is kept round by round.
fn spans(report: &RoundReport, now: Timestamp) -> RoundSpans {
    let whole = Span::new("round", Duration::from_millis(report.latency_ms))
        .with("antiphon.epoch", report.epoch.0)
        .with("antiphon.round", report.round.0)
        .with("antiphon.silent_shards", report.silent.len() as u64);
    let failed = match &report.result {
        RoundResult::Delivered => None,
        RoundResult::Partial { .. } => Some(Ending::Partial.value()),
        RoundResult::Aborted { reason, .. } => {
            Some(reason.as_ref().map_or(Cause::Unsaid, Cause::from).value())
        }
    };
    RoundSpans { round: report.round, ended: now, whole, failed }
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Epoch, Reason, Round};

    use super::*;
    use crate::RoundTotals;

    #[test]
    fn a_round_is_told_by_its_outcome_and_not_by_how_many_onions_were_clients() {
        let report = |result| RoundReport {
            epoch: Epoch(2),
            round: Round(7),
            result,
            totals: RoundTotals { user_onions: 4711, noise_onions: 4712, ..RoundTotals::default() },
            latency_ms: 300,
            silent: Vec::new(),
        };
        let aborted = |reason| RoundResult::Aborted { missing: Vec::new(), reason };
        for (result, failed) in [
            (RoundResult::Delivered, None),
            (aborted(None), Some("unsaid")),
            (aborted(Some(Reason::NotPrepared)), Some("not_prepared")),
            (RoundResult::Partial { missing: Vec::new() }, Some("partial")),
        ] {
            let told = spans(&report(result), Timestamp(9));
            assert_eq!((told.failed, told.round), (failed, Round(7)));
            assert_eq!(told.whole.took, Duration::from_millis(300));
            let shown = format!("{told:?}");
            assert!(!shown.contains("4711") && !shown.contains("4712"), "{shown}");
        }
    }
}
