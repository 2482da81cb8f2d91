//! The time that each step of a round takes, at one shard.
//!
//! All of it is aggregate: when whole batches come and go, which anyone who watches the links can see,
//! and how long computing took.

mod tracer;

use std::time::Duration;

use antiphon_wire::{Epoch, Layer, Round};

pub(crate) use tracer::Tracer;

/// The time of one shard in one round, step by step. A step that was not reached takes none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoundTrace {
    /// Epoch that the round belongs to.
    pub epoch: Epoch,
    /// Round that was traced.
    pub round: Round,
    /// From the round's opening until the batches for layer 1 are handed to the links.
    pub submit: Duration,
    /// Layers 1 to L, in order.
    pub layers: Vec<LayerTrace>,
    /// From when the seal layer is complete until every seal key is in.
    pub verification: Duration,
    /// From when layer L is closed until its replies are handed to the links.
    pub exchange: Duration,
    /// From there until the clients are answered.
    pub replies: Duration,
    /// CPU time of building this round's noise.
    pub noise_cpu: Duration,
}

/// The time of one shard at one layer, step by step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LayerTrace {
    /// Layer that the times are of.
    pub layer: Layer,
    /// Onions that came in.
    pub onions: u32,
    /// From when the batches of the layer before are handed out until the first bytes come in.
    pub wait: Duration,
    /// From the first bytes until the last batch is complete.
    pub receive: Duration,
    /// From the last complete batch (at the seal layer, from the last seal key) until the last onion is
    /// peeled: the part of peeling that is not hidden behind receiving.
    pub peel: Duration,
    /// CPU time of peeling.
    pub peel_cpu: Duration,
    /// Leaving out copies, shuffling, and gathering onions into batches.
    pub shuffle: Duration,
    /// From handing out the batches for the next layer until the operating system has taken the last of
    /// them. A machine does not know: the process around it fills it in. Zero at layer L.
    pub send: Duration,
}
