//! Peeling: a shard opens its layer of a batch of onions, in place.

use antiphon_wire::{Layer, NEXT_HOP_BYTES, ShardIndex, TAG_BYTES};
use zeroize::{Zeroizing, optimization_barrier};

use crate::dh::{self, CHUNK, Kernel};
use crate::layout::{CIPHERTEXT, TAG, ephemeral_of};
use crate::suite::{self, AT_ONCE, HopKdf, HopKeys};
use crate::{PeelKey, ReplyKey, RoundContext};

/// What peeling tells about each onion. Reused from batch to batch, it does not allocate.
#[derive(Default)]
pub struct Peeled {
    opened: Vec<bool>,
    next_hops: Vec<ShardIndex>,
    reply_keys: Vec<ReplyKey>,
    last_layer: bool,
}

impl Peeled {
    /// Room for `onions` onions.
    pub fn with_capacity(onions: usize) -> Self {
        Self {
            opened: Vec::with_capacity(onions),
            next_hops: Vec::with_capacity(onions),
            reply_keys: Vec::with_capacity(onions),
            last_layer: false,
        }
    }

    /// How many onions were looked at.
    pub fn len(&self) -> usize {
        self.opened.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty()
    }

    /// Whether onion `onion` opened.
    ///
    /// # Panics
    /// If there are not that many onions.
    pub fn opened(&self, onion: usize) -> bool {
        self.opened[onion]
    }

    /// How many onions opened.
    pub fn opened_count(&self) -> usize {
        self.opened.iter().filter(|opened| **opened).count()
    }

    /// Where onion `onion` goes next: whatever number its maker wrote, so check it against the roster.
    /// `None` if it did not open or this was layer L.
    ///
    /// # Panics
    /// If there are not that many onions.
    pub fn next_hop(&self, onion: usize) -> Option<ShardIndex> {
        (self.opened[onion] && !self.last_layer).then(|| self.next_hops[onion])
    }

    /// The key of the reply stream to apply to onion `onion`'s reply. `None` if it did not open.
    ///
    /// # Panics
    /// If there are not that many onions.
    pub fn reply_key(&self, onion: usize) -> Option<&ReplyKey> {
        self.opened[onion].then(|| &self.reply_keys[onion])
    }

    /// Forgets all onions and erases where they went and their reply keys; keeps the room.
    pub fn clear(&mut self) {
        self.opened.clear();
        self.next_hops.fill(ShardIndex(0));
        optimization_barrier(&self.next_hops[..]);
        self.next_hops.clear();
        self.reply_keys.clear();
    }

    fn restart(&mut self, onions: usize, last_layer: bool) {
        self.clear();
        self.last_layer = last_layer;
        self.opened.resize(onions, false);
        self.next_hops.resize(onions, ShardIndex(0));
        self.reply_keys.resize_with(onions, ReplyKey::default);
    }
}

impl Drop for Peeled {
    fn drop(&mut self) {
        self.clear();
    }
}

impl std::fmt::Debug for Peeled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Peeled").field("onions", &self.len()).finish_non_exhaustive()
    }
}

/// Why a buffer cannot be peeled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeelError {
    /// The layer is not in 1..=L.
    #[error("there is no layer {0}")]
    Layer(Layer),
    /// The buffer does not hold whole onions of this layer.
    #[error("{found} bytes are no whole number of onions of {onion} bytes")]
    Length {
        /// Bytes in the buffer.
        found: usize,
        /// Bytes of one onion.
        onion: usize,
    },
}

/// Opens the onions of `layer` that lie behind each other in `onions`, in place, and says in `out`
/// what came of each; whatever `out` held before is erased.
///
/// Call it chunk by chunk as bytes arrive, with an `out` of its own for every chunk that is kept;
/// chunks are independent and may run on different cores. A multiple of 128 onions wastes least.
/// An onion that does not open keeps its bytes.
///
/// # Errors
/// If there is no such layer, or the buffer is not a whole number of onions.
pub fn peel_batch(
    key: &PeelKey,
    context: RoundContext,
    layer: Layer,
    onions: &mut [u8],
    out: &mut Peeled,
) -> Result<(), PeelError> {
    let geometry = context.geometry;
    out.clear();
    if layer < Layer::FIRST || layer > geometry.last_layer() {
        return Err(PeelError::Layer(layer));
    }
    let onion_bytes = geometry.onion_bytes(layer);
    if !onions.len().is_multiple_of(onion_bytes) {
        return Err(PeelError::Length { found: onions.len(), onion: onion_bytes });
    }
    out.restart(onions.len() / onion_bytes, layer == geometry.last_layer());

    let kernel = Kernel::selected();
    let mut kdf = HopKdf::new(context);
    let mut ephemerals = [[0; 32]; CHUNK];
    let mut shared = Zeroizing::new([[0; 32]; CHUNK]);
    let mut keys: [_; AT_ONCE] = std::array::from_fn(|_| HopKeys::empty());
    for (chunk, onions) in onions.chunks_mut(CHUNK * onion_bytes).enumerate() {
        let count = onions.len() / onion_bytes;
        for (ephemeral, onion) in ephemerals.iter_mut().zip(onions.chunks_exact(onion_bytes)) {
            *ephemeral = *ephemeral_of(onion);
        }
        dh::receive_batch(kernel, key.multiplier(), &ephemerals[..count], &mut shared[..count]);

        let batches = onions.chunks_mut(AT_ONCE * onion_bytes);
        for (start, onions) in (0..).step_by(AT_ONCE).zip(batches) {
            let count = onions.len() / onion_bytes;
            let index = chunk * CHUNK + start;
            let opened = &mut out.opened[index..][..count];
            let mut tags = [[0; TAG_BYTES]; AT_ONCE];
            let mut texts: [&mut [u8]; AT_ONCE] = Default::default();
            for (i, onion) in onions.chunks_exact_mut(onion_bytes).enumerate() {
                let shared = &shared[start + i];
                kdf.derive_into(shared, layer, key.u(), &ephemerals[start + i], &mut keys[i]);
                opened[i] = *shared != [0; 32];
                tags[i].copy_from_slice(&onion[TAG]);
                texts[i] = &mut onion[CIPHERTEXT..];
            }
            suite::open_batch(kernel, &keys[..count], &tags[..count], &mut texts[..count], opened);
            for i in (0..count).filter(|i| opened[*i]) {
                out.reply_keys[index + i] = ReplyKey::from_bytes(*keys[i].reply_key());
                if !out.last_layer {
                    let next = &texts[i][..NEXT_HOP_BYTES];
                    out.next_hops[index + i] = ShardIndex(u16::from_be_bytes([next[0], next[1]]));
                }
            }
        }
    }
    Ok(())
}
