//! Peeling: a shard opens its layer of a batch of onions, in place.

use antiphon_wire::{Layer, ShardIndex};
use zeroize::Zeroizing;

use crate::dh::{self, CHUNK, Kernel};
use crate::layout::{CIPHERTEXT, NEXT_HOP, TAG, ephemeral_of};
use crate::suite::HopKdf;
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

    /// Forgets all onions and erases their reply keys; keeps the room.
    pub fn clear(&mut self) {
        self.opened.clear();
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
    for (chunk, onions) in onions.chunks_mut(CHUNK * onion_bytes).enumerate() {
        let count = onions.len() / onion_bytes;
        for (ephemeral, onion) in ephemerals.iter_mut().zip(onions.chunks_exact(onion_bytes)) {
            *ephemeral = *ephemeral_of(onion);
        }
        dh::receive_batch(kernel, key.multiplier(), &ephemerals[..count], &mut shared[..count]);

        for (i, onion) in onions.chunks_exact_mut(onion_bytes).enumerate() {
            if shared[i] == [0; 32] {
                continue;
            }
            let keys = kdf.derive(&shared[i], layer, key.u(), &ephemerals[i]);
            let mut tag = [0; TAG.end - TAG.start];
            tag.copy_from_slice(&onion[TAG]);
            if keys.open(&tag, &mut onion[CIPHERTEXT..]) {
                let index = chunk * CHUNK + i;
                out.opened[index] = true;
                out.reply_keys[index] = ReplyKey::from_bytes(*keys.reply_key());
                if !out.last_layer {
                    let next = &onion[NEXT_HOP];
                    out.next_hops[index] = ShardIndex(u16::from_be_bytes([next[0], next[1]]));
                }
            }
        }
    }
    Ok(())
}
