//! The life of a layer below L: batches come in and are peeled as they come; once all are in, what
//! opened goes on, shuffled.
//!
//! At the seal layer, [`sealing`](super::sealing) lies between the last batch and the peeling.

use antiphon_wire::{Layer, Reason, RoundOutcome, Timestamp};

use crate::round::arriving::Arriving;
use crate::round::cx::{Cx, Shared};
use crate::round::deadlines::Deadlines;
use crate::round::phase::{Deposits, Filtering, Own, Phase, SealLayers, Undecided};
use crate::work::{Departing, Left};

/// Onions are being shuffled, on their way to layer `next`.
#[derive(Debug)]
pub(in crate::round) struct Leaving {
    pub(super) deadlines: Deadlines,
    /// Shards that are ahead send for it already.
    pub(super) next: Arriving,
    pub(super) undecided: Undecided,
    pub(super) own: Own,
}

/// A layer whose onions come in.
#[derive(Debug)]
pub(in crate::round) struct Mixing {
    pub(super) deadlines: Deadlines,
    pub(super) onions: Arriving,
    /// The layer after it: shards that are ahead send for it already.
    pub(super) next: Arriving,
    pub(super) undecided: Undecided,
    pub(super) own: Own,
}

/// The seal layer once every shard's key is there: its onions are being peeled.
#[derive(Debug)]
pub(in crate::round) struct Opening {
    pub(super) deadlines: Deadlines,
    pub(super) layers: SealLayers,
}

/// The seal layer's onions are being shuffled, on their way to layer L.
#[derive(Debug)]
pub(in crate::round) struct Unsealed {
    pub(super) deadlines: Deadlines,
    pub(super) last: Arriving,
}

impl Leaving {
    /// The onions have been shuffled: they go to the other shards, whose own are expected in turn.
    pub(super) fn on_left(self, cx: &mut Cx<'_>, left: Left) -> Phase {
        let Self { deadlines, next: onions, undecided, mut own } = self;
        debug_assert_eq!(left.origin.next_layer(), onions.layer());
        let (origin, batches) = cx.departed(left);
        if onions.layer() == cx.geometry().seal_layer() {
            own.keep_sent(&batches);
        }
        let next = cx.arriving(onions.layer().next());
        let mut phase = Phase::Mixing(Mixing { deadlines, onions, next, undecided, own });
        phase.pass_on(cx, origin, batches);
        phase
    }
}

impl Mixing {
    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        let layer = self.onions.layer();
        if !self.onions.is_complete() {
            let late = cx.now >= self.deadlines.batches(layer);
            // Nobody is to blame before the deadline.
            let missing = self.onions.first_missing().filter(|_| late);
            let phase = Phase::Mixing(self);
            return match missing {
                Some(sender) => phase.withhold(cx, Reason::MissingBatch { layer, sender }),
                None => phase,
            };
        }
        let Self { deadlines, onions, next, undecided, own } = self;
        if layer == cx.geometry().seal_layer() {
            let layers = SealLayers { sealed: onions, last: next };
            return Filtering::begin(cx, deadlines, layers, undecided, own);
        }
        send_on(cx, onions);
        Phase::Leaving(Leaving { deadlines, next, undecided, own })
    }

    /// `None` while the end of peeling or of gathering comes first.
    pub(super) fn deadline(&self, shared: &Shared) -> Option<Timestamp> {
        let waits = !self.onions.is_peeling() && shared.traffic.unsent == 0;
        waits.then(|| self.deadlines.batches(self.onions.layer()))
    }
}

impl Opening {
    pub(super) fn on_time(self, cx: &mut Cx<'_>) -> Phase {
        if !self.layers.sealed.is_idle() {
            return Phase::Opening(self);
        }
        let Self { deadlines, layers: SealLayers { sealed, last } } = self;
        send_on(cx, sealed);
        Phase::Unsealed(Unsealed { deadlines, last })
    }
}

impl Unsealed {
    /// The onions have been shuffled: they go to the shards of layer L.
    pub(super) fn on_left(self, cx: &mut Cx<'_>, left: Left) -> Phase {
        let Self { deadlines, last } = self;
        let (origin, batches) = cx.departed(left);
        let outcome = RoundOutcome::Delivered;
        let mut phase = Phase::Deposits(Deposits { deadlines, last, outcome });
        phase.pass_on(cx, origin, batches);
        phase
    }
}

/// Closes a layer, and has what opened shuffled.
fn send_on(cx: &mut Cx<'_>, onions: Arriving) {
    let layer: Layer = onions.layer();
    let closed = onions.close();
    cx.shared.tracer.peeled(layer, closed.slots());
    cx.depart(Departing::Layer(closed));
}
