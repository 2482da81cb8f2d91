//! One layer's onions when all are in and peeled.

use antiphon_onion::{CircuitKey, Peeled, ReplyKey, RoundContext, ephemeral_of, inner_offset};
use antiphon_wire::{Geometry, Layer};

use crate::buffers::Buffer;
use crate::copies::{copies, remove_all};
use crate::erased::Erased;
use crate::layer::block::{Block, Run};
use crate::layer::routes::{Leaving, Slot};

/// A layer whose onions are all in and peeled.
#[derive(Debug)]
pub(crate) struct ClosedLayer {
    context: RoundContext,
    layer: Layer,
    /// The first slot of each sender, and one more at the end.
    starts: Vec<Slot>,
    blocks: Vec<Block>,
    /// Whether its onions leave circuits behind.
    circuits: bool,
}

/// The part of a closed layer that goes on.
pub(crate) struct Admitted {
    /// The first slot of each sender, and one more at the end.
    pub(crate) starts: Vec<Slot>,
    /// For each slot; of no use where the onion was dropped.
    pub(crate) reply_keys: Vec<ReplyKey>,
    /// For each slot, in a round that sets circuits up; of no use where the onion was dropped.
    pub(crate) circuit_keys: Option<Vec<CircuitKey>>,
    /// The onions that opened, none twice. At layer L they all go to shard 0.
    pub(crate) leaving: Erased<Leaving>,
    /// The peeled onions.
    pub(crate) sources: Vec<Buffer>,
}

impl ClosedLayer {
    /// `counts` is for each sender how many onions came, 0 if its batch never completed.
    pub(crate) fn new(
        context: RoundContext,
        layer: Layer,
        counts: impl Iterator<Item = u32>,
        blocks: Vec<Block>,
        circuits: bool,
    ) -> Self {
        let mut starts = vec![0];
        let mut end = 0;
        starts.extend(counts.map(|count| {
            end += count;
            end
        }));
        Self { context, layer, starts, blocks, circuits }
    }

    /// Number of the layer that was closed.
    pub(crate) fn layer(&self) -> Layer {
        self.layer
    }

    /// Number of onions that came in.
    pub(crate) fn slots(&self) -> usize {
        self.starts.last().copied().unwrap_or(0) as usize
    }

    /// The first slot of each sender, and one more at the end.
    pub(crate) fn into_starts(self) -> Vec<Slot> {
        self.starts
    }

    /// Admits what opened, once for each ephemeral key.
    pub(crate) fn admit(self) -> Admitted {
        let arrived = self.blocks.iter().map(|block| Arrived {
            onions: &block.onions,
            runs: &block.runs,
            peeled: &block.peeled,
        });
        let arrived: Vec<_> = arrived.collect();
        let (reply_keys, leaving) =
            admit(self.context.geometry, self.layer, &self.starts, &arrived);
        let circuit_keys = self.circuits.then(|| circuit_keys(&self.starts, &arrived));
        let sources = self.blocks.into_iter().map(|block| block.onions).collect();
        Admitted { starts: self.starts, reply_keys, circuit_keys, leaving, sources }
    }
}

/// Peeled onions of a layer, and where in their senders' batches they came.
pub(crate) struct Arrived<'a> {
    pub(crate) onions: &'a [u8],
    pub(crate) runs: &'a [Run],
    pub(crate) peeled: &'a Peeled,
}

/// Admits what opened, once for each ephemeral key: a garbled copy, which does not open, must not
/// shadow the real onion. Returns for each slot the key of its reply, of no use where the onion was
/// dropped, and the onions that go on; their sources are those of `arrived`, in order.
///
/// Deep, as it walks batches, runs and slots together, once over all that arrived.
pub(crate) fn admit(
    geometry: Geometry,
    layer: Layer,
    starts: &[Slot],
    arrived: &[Arrived<'_>],
) -> (Vec<ReplyKey>, Erased<Leaving>) {
    let onion_bytes = geometry.onion_bytes(layer);
    let inner = inner_offset(geometry, layer);
    let slots = starts.last().copied().unwrap_or(0) as usize;
    let mut reply_keys = vec![ReplyKey::default(); slots];
    let mut leaving = Erased::<Leaving>::with_capacity(slots);
    for (source, Arrived { runs, peeled, .. }) in arrived.iter().enumerate() {
        let mut i = 0;
        for run in *runs {
            let (start, end) = (starts[run.sender.position()], starts[run.sender.position() + 1]);
            // A batch that never completed counts as empty.
            let counts = start < end;
            for slot in (start + run.first..).take(run.count as usize) {
                if let Some(key) = peeled.reply_key(i).filter(|_| counts) {
                    reply_keys[slot as usize].clone_from(key);
                    let next = peeled.next_hop(i).unwrap_or_default();
                    let at = i * onion_bytes + inner;
                    leaving.push(Leaving { slot, next, source: source as u32, at });
                }
                i += 1;
            }
        }
    }
    let ephemeral = |i: usize| {
        let Leaving { source, at, .. } = leaving[i];
        let onion = &arrived[source as usize].onions[at - inner..][..onion_bytes];
        ephemeral_of(onion).as_slice()
    };
    let again = copies(leaving.len(), ephemeral);
    remove_all(&mut leaving, &again);
    (reply_keys, leaving)
}

/// For each slot the key of the circuit that its onion leaves behind, of no use where the onion was dropped. Deep,
/// as blocks hold runs of onions of several senders, in the order in which they came.
fn circuit_keys(starts: &[Slot], arrived: &[Arrived<'_>]) -> Vec<CircuitKey> {
    let slots = starts.last().copied().unwrap_or(0) as usize;
    let mut keys = vec![CircuitKey::default(); slots];
    for Arrived { runs, peeled, .. } in arrived {
        let mut onions = 0..;
        for run in *runs {
            let (start, end) = (starts[run.sender.position()], starts[run.sender.position() + 1]);
            let counts = start < end;
            for (slot, onion) in (start + run.first..).take(run.count as usize).zip(&mut onions) {
                if let Some(key) = peeled.circuit_key(onion).filter(|_| counts) {
                    keys[slot as usize].clone_from(key);
                }
            }
        }
    }
    keys
}
