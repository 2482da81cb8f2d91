//! Trace of the onions on their way, as the adversary sees it.

use antiphon_wire::ShardIndex;

/// The onions of a layer. A place is an onion's position among all those of its layer; it is that of a
/// ciphertext, and says nothing about the layer before.
#[derive(Clone, Debug, Default)]
pub struct TraceLayer {
    /// Who sent each; for layer 0 the gateway.
    pub from: Vec<ShardIndex>,
    /// Shard that holds each onion.
    pub at: Vec<ShardIndex>,
    /// For onions at a malicious shard: their place in the next layer, unless dropped.
    pub next: Vec<Option<u32>>,
    /// True for onions in question and for single noise: an adversary that knows everything else is not told
    /// about them.
    pub hidden: Vec<bool>,
}

/// Layer 0, the gateways, to layer L.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// Layers in order, that of the gateways first.
    pub layers: Vec<TraceLayer>,
    /// The places at layer 0 of each user's two onions, unless dropped there.
    pub users: Vec<[Option<u32>; 2]>,
}
