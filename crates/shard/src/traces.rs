//! Rounds of this shard as they are told to a collector of traces: the phases that are measured anyway, and nothing about
//! clients.

use std::time::Duration;

use antiphon_mix::{LayerTrace, Notice, RoundTrace};
use antiphon_process::clock::SystemClock;
use antiphon_process::metrics::labels::{Cause, Label as _, Outcome};
use antiphon_process::telemetry::{self, RoundSpans, Span};
use antiphon_wire::{Round, RoundOutcome, Timestamp};

/// Puts together what comes in two notices: how a round ended, and its phases.
#[derive(Debug, Default)]
pub(crate) struct Traces {
    ended: Option<Ended>,
}

/// How a round ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    round: Round,
    took: Duration,
    failed: Option<&'static str>,
}

impl Traces {
    /// Tells of a round when all of it is known.
    pub(crate) fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::RoundEnded { round, outcome, took_ms, .. } => {
                let (round, took) = (*round, Duration::from_millis(*took_ms));
                self.ended = Some(Ended { round, took, failed: failed(outcome) });
            }
            Notice::RoundTraced(trace) => {
                let ended = self.ended.take().filter(|ended| ended.round == trace.round);
                if let Some(ended) = ended {
                    telemetry::tell(|| spans(trace, ended, SystemClock::now()));
                }
            }
            _ => {}
        }
    }
}

fn failed(outcome: &RoundOutcome) -> Option<&'static str> {
    match outcome {
        RoundOutcome::Delivered => None,
        RoundOutcome::Withheld { reason } => Some(Cause::from(reason).value()),
        RoundOutcome::NotOpened { .. } => Some(Outcome::NotOpened.value()),
    }
}

fn spans(trace: &RoundTrace, ended: Ended, now: Timestamp) -> RoundSpans {
    // Those before the last one are sealed until every shard's verdict is there.
    let sealed = trace.layers.len().checked_sub(2);
    let layers = trace.layers.iter().enumerate().map(|(at, layer)| {
        let verification = if sealed == Some(at) { trace.verification } else { Duration::ZERO };
        of_layer(layer, verification)
    });
    let parts = std::iter::once(Span::new("submit", trace.submit))
        .chain(layers)
        .chain([Span::new("exchange", trace.exchange), Span::new("replies", trace.replies)]);
    let whole = Span { took: ended.took, ..Span::of("round", reached(parts)) }
        .with("antiphon.epoch", trace.epoch.0)
        .with("antiphon.round", trace.round.0)
        .with("antiphon.noise_cpu_us", microseconds(trace.noise_cpu));
    RoundSpans { round: trace.round, ended: now, whole, failed: ended.failed }
}

fn of_layer(layer: &LayerTrace, verification: Duration) -> Span {
    let parts = [
        Span::new("wait", layer.wait),
        Span::new("receive", layer.receive),
        Span::new("verification", verification),
        Span::new("peel", layer.peel),
        Span::new("shuffle", layer.shuffle),
    ];
    Span::of("layer", reached(parts))
        .with("antiphon.layer", layer.layer.0.into())
        .with("antiphon.onions", layer.onions.into())
        .with("antiphon.peel_cpu_us", microseconds(layer.peel_cpu))
        .with("antiphon.send_us", microseconds(layer.send))
}

/// A phase that was not reached took no time, and is none.
fn reached(spans: impl IntoIterator<Item = Span>) -> Vec<Span> {
    spans.into_iter().filter(|span| !span.took.is_zero()).collect()
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use antiphon_wire::{Epoch, Layer};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn names(spans: &[Span]) -> Vec<&str> {
        spans.iter().map(|span| span.name).collect()
    }

    fn ended() -> Ended {
        Ended { round: Round(7), took: 90 * MS, failed: None }
    }

    #[test]
    fn a_round_is_told_by_its_phases_in_their_order_with_verification_where_layers_are_sealed() {
        let layer = |number| LayerTrace {
            layer: Layer(number),
            wait: 2 * MS,
            receive: 3 * MS,
            peel: 4 * MS,
            shuffle: MS,
            ..LayerTrace::default()
        };
        let trace = RoundTrace {
            epoch: Epoch(3),
            round: Round(7),
            submit: 5 * MS,
            layers: vec![layer(1), layer(2), layer(3)],
            verification: 20 * MS,
            exchange: 6 * MS,
            replies: 7 * MS,
            ..RoundTrace::default()
        };
        let told = spans(&trace, ended(), Timestamp(1_000));
        let phases = ["submit", "layer", "layer", "layer", "exchange", "replies"];
        assert_eq!(names(&told.whole.parts), phases);
        assert_eq!((told.ended, told.whole.took), (Timestamp(1_000), 90 * MS));
        assert_eq!(names(&told.whole.parts[1].parts), ["wait", "receive", "peel", "shuffle"]);
        let sealed = &told.whole.parts[2];
        assert_eq!(names(&sealed.parts), ["wait", "receive", "verification", "peel", "shuffle"]);
        assert_eq!(sealed.took, 30 * MS);
    }

    #[test]
    fn a_round_that_broke_off_is_told_as_far_as_it_came() {
        let layers = vec![LayerTrace { wait: MS, ..LayerTrace::default() }, LayerTrace::default()];
        let trace = RoundTrace { submit: MS, layers, ..RoundTrace::default() };
        let told = spans(&trace, ended(), Timestamp(1_000));
        assert_eq!(names(&told.whole.parts), ["submit", "layer"]);
        assert_eq!(names(&told.whole.parts[1].parts), ["wait"]);
    }
}
