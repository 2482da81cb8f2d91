//! Where one onion can be.

use antiphon_wire::ShardIndex;

use crate::ideal::Trace;

/// The adversary's posterior over the place at layer L of the onion that is at place `start` of
/// layer 0, by the trace alone: an honest shard spreads what it holds evenly over what it sends on, a
/// shard that can be looked into does not. If the adversary is `told` about onions, those are left out. The
/// share of dropped onions is lost.
pub(super) fn posterior(
    trace: &Trace,
    start: u32,
    told: bool,
    seen_through: impl Fn(ShardIndex) -> bool,
) -> Vec<f64> {
    let Some(first) = trace.layers.first() else { return Vec::new() };
    let mut now = vec![0.0; first.at.len()];
    now[start as usize] = 1.0;
    for (layer, after) in trace.layers.iter().zip(trace.layers.iter().skip(1)) {
        let shards = layer.at.iter().chain(&after.from).map(|shard| shard.position() + 1);
        let mut held = vec![(0.0, 0.0); shards.max().unwrap_or(0)];
        let mut then = vec![0.0; after.at.len()];
        for ((&p, at), next) in now.iter().zip(&layer.at).zip(&layer.next) {
            if !seen_through(*at) {
                held[at.position()].0 += p;
            } else if let Some(next) = next {
                then[*next as usize] += p;
            }
        }
        for (from, hidden) in after.from.iter().zip(&after.hidden) {
            held[from.position()].1 += f64::from(u8::from(*hidden || !told));
        }
        for ((p, from), hidden) in then.iter_mut().zip(&after.from).zip(&after.hidden) {
            if (*hidden || !told) && !seen_through(*from) {
                let (mass, sent) = held[from.position()];
                *p = mass / sent;
            }
        }
        now = then;
    }
    now
}
