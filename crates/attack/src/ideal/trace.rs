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
    /// Whether the onion is one in question, or noise that is single: what an adversary is not told about
    /// that knows everything else.
    pub hidden: Vec<bool>,
}

/// Layer 0, the gateways, to layer L.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// In order.
    pub layers: Vec<TraceLayer>,
    /// The places at layer 0 of each user's two onions, unless dropped there.
    pub users: Vec<[Option<u32>; 2]>,
}
