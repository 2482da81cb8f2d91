//! Collects the moments of a round.

use std::time::Duration;

use antiphon_wire::{Epoch, Layer, Round};

use super::{LayerTrace, RoundTrace};
use crate::layer::origin::Origin;

/// The moments of one round, by a clock that only ever goes forward.
#[derive(Debug)]
pub(crate) struct Tracer {
    now: Duration,
    trace: RoundTrace,
    /// Of the gateway, then of layers 1 to L.
    layers: Vec<LayerMoments>,
    opened: Option<Duration>,
    keys_in: Option<Duration>,
    answered: Option<Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct LayerMoments {
    first_bytes: Option<Duration>,
    complete: Option<Duration>,
    peeled: Option<Duration>,
    /// The moment its onions were handed out, on their way to the next layer.
    left: Option<Duration>,
}

impl Tracer {
    pub(crate) fn new(epoch: Epoch, round: Round, layers: u8) -> Self {
        let layers = 1..=layers;
        Self {
            now: Duration::ZERO,
            layers: vec![LayerMoments::default(); layers.len() + 1],
            trace: RoundTrace {
                epoch,
                round,
                layers: layers
                    .map(|layer| LayerTrace { layer: Layer(layer), ..LayerTrace::default() })
                    .collect(),
                ..RoundTrace::default()
            },
            opened: None,
            keys_in: None,
            answered: None,
        }
    }

    /// Sets the clock.
    pub(crate) fn set_clock(&mut self, now: Duration) {
        self.now = self.now.max(now);
    }

    fn layer(&mut self, layer: Layer) -> Option<&mut LayerTrace> {
        self.trace.layers.get_mut(usize::from(layer.0).checked_sub(1)?)
    }

    fn mark(&mut self, at: Origin, moment: impl Fn(&mut LayerMoments) -> &mut Option<Duration>) {
        let now = self.now;
        if let Some(moments) = self.layers.get_mut(usize::from(at.layers_passed())) {
            moment(moments).get_or_insert(now);
        }
    }

    pub(crate) fn opened(&mut self) {
        self.opened.get_or_insert(self.now);
    }

    /// Another shard's first bytes for `layer` are in.
    pub(crate) fn first_bytes(&mut self, layer: Layer) {
        self.mark(Origin::Layer(layer), |moments| &mut moments.first_bytes);
    }

    /// The last batch of `layer` is in.
    pub(crate) fn complete(&mut self, layer: Layer) {
        self.mark(Origin::Layer(layer), |moments| &mut moments.complete);
    }

    /// The last seal key is in.
    pub(crate) fn keys_in(&mut self) {
        self.keys_in.get_or_insert(self.now);
    }

    /// The last of `onions` onions of `layer` is peeled.
    pub(crate) fn peeled(&mut self, layer: Layer, onions: usize) {
        self.mark(Origin::Layer(layer), |moments| &mut moments.peeled);
        if let Some(trace) = self.layer(layer) {
            trace.onions = u32::try_from(onions).unwrap_or(u32::MAX);
        }
    }

    /// A piece of peeling is done.
    pub(crate) fn peeling_took(&mut self, layer: Layer, took: Duration) {
        if let Some(trace) = self.layer(layer) {
            trace.peel_cpu += took;
        }
    }

    /// A piece of what it takes to send a layer's onions on is done. The gateway's is part of the time
    /// of submissions.
    pub(crate) fn shuffling_took(&mut self, origin: Origin, took: Duration) {
        if let Origin::Layer(layer) = origin
            && let Some(trace) = self.layer(layer)
        {
            trace.shuffle += took;
        }
    }

    pub(crate) fn noise_took(&mut self, took: Duration) {
        self.trace.noise_cpu += took;
    }

    /// The batches with the onions of `origin` are handed out.
    pub(crate) fn sent(&mut self, origin: Origin) {
        self.mark(origin, |moments| &mut moments.left);
    }

    /// The replies of layer L are handed out.
    pub(crate) fn answered(&mut self) {
        self.answered.get_or_insert(self.now);
    }

    /// The round has ended.
    pub(crate) fn finish(&mut self) -> RoundTrace {
        let mut trace = std::mem::take(&mut self.trace);
        let last = trace.layers.len();
        trace.submit = between(self.opened, self.layers[0].left);
        for layer in &mut trace.layers {
            let number = usize::from(layer.layer.0);
            let sealed = number + 1 == last;
            let moments = self.layers[number];
            let complete = moments.complete;
            layer.wait = between(self.layers[number - 1].left, moments.first_bytes);
            // A shard's own batch may be the last to be in, or the only one.
            layer.receive = between(moments.first_bytes, complete);
            layer.peel = between(if sealed { self.keys_in } else { complete }, moments.peeled);
            if sealed {
                trace.verification = between(complete, self.keys_in);
            }
        }
        trace.exchange = between(self.layers[last].peeled, self.answered);
        trace.replies = between(self.answered, Some(self.now));
        trace
    }
}

/// The time from one moment to another; none if there is not both.
fn between(from: Option<Duration>, to: Option<Duration>) -> Duration {
    match (from, to) {
        (Some(from), Some(to)) => to.saturating_sub(from),
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(tracer: &mut Tracer, ms: u32) -> &mut Tracer {
        tracer.set_clock(ms * MS);
        tracer
    }

    #[test]
    fn a_round_is_cut_into_its_phases() {
        let mut tracer = Tracer::new(Epoch(1), Round(2), 3);
        at(&mut tracer, 10).opened();
        at(&mut tracer, 40).sent(Origin::Gateway);
        for (layer, start) in [(1, 50), (2, 110), (3, 250)] {
            let layer = Layer(layer);
            at(&mut tracer, start).first_bytes(layer);
            at(&mut tracer, start + 1).first_bytes(layer);
            at(&mut tracer, start + 20).complete(layer);
            if layer == Layer(2) {
                at(&mut tracer, 180).keys_in();
            }
            tracer.peeling_took(layer, 7 * MS);
            tracer.peeling_took(layer, 8 * MS);
            let now = tracer.now + 5 * MS;
            tracer.set_clock(now);
            tracer.peeled(layer, 9);
            tracer.shuffling_took(Origin::Layer(layer), MS);
            let now = tracer.now + 2 * MS;
            tracer.set_clock(now);
            tracer.sent(Origin::Layer(layer));
        }
        at(&mut tracer, 300).answered();
        at(&mut tracer, 400).noise_took(3 * MS);
        let trace = tracer.finish();
        assert_eq!((trace.epoch, trace.round), (Epoch(1), Round(2)));
        assert_eq!((trace.submit, trace.noise_cpu), (30 * MS, 3 * MS));
        let waits: Vec<_> = trace.layers.iter().map(|layer| layer.wait).collect();
        assert_eq!(waits, [10 * MS, 33 * MS, 63 * MS]);
        for layer in &trace.layers {
            assert_eq!((layer.onions, layer.receive, layer.peel), (9, 20 * MS, 5 * MS));
            assert_eq!((layer.peel_cpu, layer.shuffle), (15 * MS, MS));
        }
        assert_eq!(trace.verification, 50 * MS);
        assert_eq!((trace.exchange, trace.replies), (25 * MS, 100 * MS));
    }

    #[test]
    fn what_never_happened_took_no_time() {
        let mut tracer = Tracer::new(Epoch(1), Round(2), 3);
        at(&mut tracer, 10).opened();
        let trace = at(&mut tracer, 90).finish();
        assert_eq!(trace.layers.len(), 3);
        assert!(trace.layers.iter().all(|layer| layer.wait + layer.receive == Duration::ZERO));
        assert_eq!(trace.verification + trace.exchange + trace.replies, Duration::ZERO);
    }
}
