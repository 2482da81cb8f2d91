//! Where the time of a round went, over all shards.

use std::time::Duration;

use antiphon_mix::{LayerTrace, RoundTrace};
use serde::Serialize;

/// One phase over all shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The median shard's time.
    pub median_ms: f64,
    /// The slowest shard's time.
    pub max_ms: f64,
}

/// One layer over all shards.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LayerPhases {
    /// The layer, from 1.
    pub layer: u8,
    /// Onions that entered it, at all shards together.
    pub onions: u64,
    /// Until its first bytes came.
    pub wait: Spread,
    /// From then until its last batch was complete.
    pub receive: Spread,
    /// From then until its last onion was peeled.
    pub peel: Spread,
    /// Leaving out copies, shuffling and gathering.
    pub shuffle: Spread,
    /// Handing the batches to the links.
    pub send: Spread,
    /// Processor time of peeling, at all shards together.
    pub peel_cpu_ms: f64,
}

/// One round over all shards. Each figure's median and maximum are taken on their own, so that they do
/// not add up to the round's latency.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Phases {
    /// Shards that said where their time went.
    pub shards: usize,
    /// From the opening until layer 1 is on its way.
    pub submit: Spread,
    /// Layers 1 to L.
    pub layers: Vec<LayerPhases>,
    /// From a complete seal layer until every seal key is in.
    pub verification: Spread,
    /// The exchange at the dead drops.
    pub exchange: Spread,
    /// From there until clients are answered.
    pub replies: Spread,
    /// Processor time that the round's noise took to build, at all shards together.
    pub noise_cpu_ms: f64,
}

impl Phases {
    /// Combines the shards' traces of one round; `None` without any.
    pub fn of(traces: &[RoundTrace]) -> Option<Self> {
        let layers = traces.iter().map(|trace| trace.layers.len()).max()?;
        let spread = |part: fn(&RoundTrace) -> Duration| Spread::of(traces.iter().map(part));
        Some(Self {
            shards: traces.len(),
            submit: spread(|trace| trace.submit),
            layers: (0..layers).map(|position| LayerPhases::of(traces, position)).collect(),
            verification: spread(|trace| trace.verification),
            exchange: spread(|trace| trace.exchange),
            replies: spread(|trace| trace.replies),
            noise_cpu_ms: ms(traces.iter().map(|trace| trace.noise_cpu).sum()),
        })
    }

    /// Onions peeled, over all layers and shards.
    pub fn hop_operations(&self) -> u64 {
        self.layers.iter().map(|layer| layer.onions).sum()
    }

    /// Processor time of peeling them.
    pub fn peel_cpu_ms(&self) -> f64 {
        self.layers.iter().map(|layer| layer.peel_cpu_ms).sum()
    }
}

impl LayerPhases {
    fn of(traces: &[RoundTrace], position: usize) -> Self {
        let layers: Vec<&LayerTrace> =
            traces.iter().filter_map(|trace| trace.layers.get(position)).collect();
        let spread =
            |part: fn(&LayerTrace) -> Duration| Spread::of(layers.iter().map(|layer| part(layer)));
        Self {
            layer: layers.first().map_or(0, |layer| layer.layer.0),
            onions: layers.iter().map(|layer| u64::from(layer.onions)).sum(),
            wait: spread(|layer| layer.wait),
            receive: spread(|layer| layer.receive),
            peel: spread(|layer| layer.peel),
            shuffle: spread(|layer| layer.shuffle),
            send: spread(|layer| layer.send),
            peel_cpu_ms: ms(layers.iter().map(|layer| layer.peel_cpu).sum()),
        }
    }
}

impl Spread {
    fn of(times: impl Iterator<Item = Duration>) -> Self {
        let mut times: Vec<_> = times.map(ms).collect();
        times.sort_by(f64::total_cmp);
        Self { median_ms: median(&times), max_ms: times.last().copied().unwrap_or_default() }
    }
}

/// The median of sorted values; 0 if there are none.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        count if count.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
        _ => sorted[middle],
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use antiphon_wire::Layer;

    use super::*;

    fn trace(ms: u64) -> RoundTrace {
        let time = Duration::from_millis(ms);
        let layer = |number| LayerTrace {
            layer: Layer(number),
            onions: 10,
            peel: time,
            peel_cpu: time,
            ..LayerTrace::default()
        };
        RoundTrace { submit: time, layers: vec![layer(1), layer(2)], ..RoundTrace::default() }
    }

    #[test]
    fn medians_and_maxima_are_taken_over_shards_and_work_is_summed() {
        let phases = Phases::of(&[trace(5), trace(1), trace(2), trace(100)]).unwrap();
        assert_eq!(phases.submit, Spread { median_ms: 3.5, max_ms: 100.0 });
        assert_eq!((phases.shards, phases.layers.len(), phases.layers[1].layer), (4, 2, 2));
        assert_eq!(phases.layers[0].peel, Spread { median_ms: 3.5, max_ms: 100.0 });
        assert_eq!(phases.hop_operations(), 80);
        assert!((phases.peel_cpu_ms() - 216.0).abs() < 1e-9);
        assert_eq!(Phases::of(&[]), None);
    }
}
