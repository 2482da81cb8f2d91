//! What is seen of the onions on their way.

use antiphon_wire::ShardIndex;

/// The onions of a layer. A place is an onion's position among all those of its layer; it is that of a
/// ciphertext, and says nothing about the layer before.
#[derive(Clone, Debug, Default)]
pub struct TraceLayer {
    /// Who sent each; for layer 0 the gateway.
    pub from: Vec<ShardIndex>,
    /// Who holds each.
    pub at: Vec<ShardIndex>,
    /// For onions at a malicious shard: their place in the next layer, unless dropped.
    pub next: Vec<Option<u32>>,
}

/// Layer 0, the gateways, to layer L.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// In order.
    pub layers: Vec<TraceLayer>,
    /// The places at layer 0 of each user's two onions, unless dropped there.
    pub users: Vec<[Option<u32>; 2]>,
}

impl Trace {
    /// The adversary's posterior over the place at layer L of the onion that is at place `start` of
    /// layer 0: an honest shard spreads what it holds evenly over what it sends on, a shard that
    /// can be looked into does not. The share of dropped onions is lost.
    pub fn posterior(&self, start: u32, seen_through: impl Fn(ShardIndex) -> bool) -> Vec<f64> {
        let Some(first) = self.layers.first() else { return Vec::new() };
        let mut now = vec![0.0; first.at.len()];
        now[start as usize] = 1.0;
        for (layer, after) in self.layers.iter().zip(self.layers.iter().skip(1)) {
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
            for from in &after.from {
                held[from.position()].1 += 1.0;
            }
            for (p, from) in then.iter_mut().zip(&after.from) {
                if !seen_through(*from) {
                    let (mass, sent) = held[from.position()];
                    *p = mass / sent;
                }
            }
            now = then;
        }
        now
    }
}
