//! Peeling: a shard opens its layer of onions, in place.

use antiphon_wire::{Geometry, Layer, NEXT_HOP_BYTES, ShardIndex, Suite, TAG_BYTES};
use zeroize::{Zeroizing, optimization_barrier};

use crate::dh::{self, Kernel, ONIONS_AT_ONCE};
use crate::layout::{Places, ephemeral_of};
use crate::suite::{self, AT_ONCE, Agreed, CircuitKdf, Encapsulated, HopKdf, HopKeys};
use crate::{CircuitKey, KemSecretKey, PeelKey, ReplyKey, RoundContext};

/// Results of peeling for each onion. Reused from block to block, it does not allocate.
#[derive(Default)]
pub struct Peeled {
    opened: Vec<bool>,
    next_hops: Vec<ShardIndex>,
    reply_keys: Vec<ReplyKey>,
    /// One an onion in a round that sets circuits up, else none.
    circuit_keys: Vec<CircuitKey>,
    circuits: bool,
    last_layer: bool,
}

impl Peeled {
    /// Room for `onions` onions.
    pub fn with_capacity(onions: usize) -> Self {
        Self {
            opened: Vec::with_capacity(onions),
            next_hops: Vec::with_capacity(onions),
            reply_keys: Vec::with_capacity(onions),
            circuit_keys: Vec::new(),
            circuits: false,
            last_layer: false,
        }
    }

    /// The same, for a round that sets circuits up: it will have a circuit key for each onion that opens.
    #[must_use]
    pub fn with_circuits(mut self) -> Self {
        self.circuits = true;
        self
    }

    /// Number of onions that were peeled, opened or not.
    pub fn len(&self) -> usize {
        self.opened.len()
    }

    /// Returns `true` if there were no onions.
    pub fn is_empty(&self) -> bool {
        self.opened.is_empty()
    }

    /// Returns `true` if onion `onion` opened.
    ///
    /// # Panics
    /// If there are not that many onions.
    pub fn opened(&self, onion: usize) -> bool {
        self.opened[onion]
    }

    /// Number of onions that opened.
    pub fn opened_count(&self) -> usize {
        self.opened.iter().filter(|opened| **opened).count()
    }

    /// Shard that onion `onion` goes to next. It is whatever number the onion's maker wrote, so check it
    /// against the roster. `None` if it did not open or this was layer L.
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

    /// The key of the circuit that onion `onion` leaves behind. `None` if it did not open, or the round sets
    /// no circuits up.
    ///
    /// # Panics
    /// If there are not that many onions.
    pub fn circuit_key(&self, onion: usize) -> Option<&CircuitKey> {
        (self.opened[onion] && self.circuits).then(|| &self.circuit_keys[onion])
    }

    /// Forgets all onions, and erases their next hops and keys; keeps the room.
    pub fn clear(&mut self) {
        self.opened.clear();
        self.next_hops.fill(ShardIndex(0));
        optimization_barrier(&self.next_hops[..]);
        self.next_hops.clear();
        self.reply_keys.clear();
        self.circuit_keys.clear();
    }

    fn restart(&mut self, onions: usize, last_layer: bool) {
        self.clear();
        self.last_layer = last_layer;
        self.opened.resize(onions, false);
        self.next_hops.resize(onions, ShardIndex(0));
        self.reply_keys.resize_with(onions, ReplyKey::default);
        if self.circuits {
            self.circuit_keys.resize_with(onions, CircuitKey::default);
        }
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

/// Reason why a buffer cannot be peeled.
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
    /// The onions are of suite 2, and the key has one half.
    #[error("onions of suite 2 need a key with an ML-KEM half")]
    NoKem,
}

/// Opens the onions of `layer` that lie behind each other in `onions`, in place, and writes to `out` what
/// came of each. Whatever `out` held before is erased.
///
/// Call it block by block as bytes arrive, with an `out` of its own for every block that is kept. Blocks are
/// independent and may run on different cores. A multiple of 128 onions wastes least. An onion that does not
/// open keeps its bytes.
///
/// # Errors
/// If there is no such layer, the buffer is not a whole number of onions, or the key lacks the half that the
/// suite adds.
pub fn peel_batch(
    key: &PeelKey,
    context: RoundContext,
    layer: Layer,
    onions: &mut [u8],
    out: &mut Peeled,
) -> Result<(), PeelError> {
    let geometry = context.geometry;
    out.clear();
    let onion_bytes = size_of_each(geometry, layer, onions)?;
    let receiver = Receiver::new(key, geometry, layer)?;
    out.restart(onions.len() / onion_bytes, layer == geometry.last_layer());

    let mut opener = Opener::new(receiver, context, out.circuits);
    let mut ephemerals = [[0; 32]; ONIONS_AT_ONCE];
    let mut shared = Zeroizing::new([[0; 32]; ONIONS_AT_ONCE]);
    for (part, onions) in onions.chunks_mut(ONIONS_AT_ONCE * onion_bytes).enumerate() {
        let count = onions.len() / onion_bytes;
        for (ephemeral, onion) in ephemerals.iter_mut().zip(onions.chunks_exact(onion_bytes)) {
            *ephemeral = *ephemeral_of(onion);
        }
        // This costs more than all the rest, and the kernels do several onions side by side.
        dh::receive_batch(
            opener.kernel,
            key.multiplier(),
            &ephemerals[..count],
            &mut shared[..count],
        );
        // The cipher's kernel takes up to AT_ONCE texts of one length.
        let groups = onions.chunks_mut(AT_ONCE * onion_bytes);
        for (start, onions) in (0..).step_by(AT_ONCE).zip(groups) {
            let first = part * ONIONS_AT_ONCE + start;
            opener.open(&ephemerals[start..], &mut shared[start..], onions, first, out);
        }
    }
    Ok(())
}

/// The receiver's side of the hops of one layer.
struct Receiver<'a> {
    key: &'a PeelKey,
    layer: Layer,
    places: Places,
    /// In suite 2, and in no other.
    kems: Option<Kems<'a>>,
}

/// What a shard has of ML-KEM for up to [`AT_ONCE`] onions.
struct Kems<'a> {
    key: &'a KemSecretKey,
    shared: Zeroizing<[[u8; 32]; AT_ONCE]>,
}

impl<'a> Receiver<'a> {
    fn new(key: &'a PeelKey, geometry: Geometry, layer: Layer) -> Result<Self, PeelError> {
        let kems = match geometry.suite() {
            Suite::Classic => None,
            Suite::Hybrid => {
                let key = key.kem().ok_or(PeelError::NoKem)?;
                Some(Kems { key, shared: Zeroizing::new([[0; 32]; AT_ONCE]) })
            }
        };
        Ok(Self { key, layer, places: Places::of(geometry), kems })
    }

    /// Finishes what X25519 began: in suite 2, gets the ML-KEM half of each onion's secret.
    fn decapsulate<'b>(&mut self, shared: &mut [[u8; 32]], onions: impl Iterator<Item = &'b [u8]>) {
        let Some(kems) = &mut self.kems else { return };
        for ((onion, shared), kem) in onions.zip(shared).zip(kems.shared.iter_mut()) {
            kems.key.replace_zeros(shared);
            *kem = kems.key.decapsulate(&onion[self.places.kem()]);
        }
    }

    /// What is shared with the maker of onion `i` of those that were decapsulated last.
    fn agreed<'b>(
        &'b self,
        i: usize,
        ephemeral: &'b [u8; 32],
        shared: &'b [u8; 32],
        onion: &'b [u8],
    ) -> Agreed<'b> {
        let kem = self.kems.as_ref().map(|kems| Encapsulated {
            shared: &kems.shared[i],
            key: kems.key.public_key().hash(),
            ciphertext: &onion[self.places.kem()],
        });
        Agreed { shared, layer: self.layer, hop_u: self.key.u(), ephemeral, kem }
    }
}

/// Bytes of one of the onions in a buffer, once it is found to hold whole ones.
fn size_of_each(geometry: Geometry, layer: Layer, onions: &[u8]) -> Result<usize, PeelError> {
    if layer < Layer::FIRST || layer > geometry.last_layer() {
        return Err(PeelError::Layer(layer));
    }
    let onion_bytes = geometry.onion_bytes(layer);
    if !onions.len().is_multiple_of(onion_bytes) {
        return Err(PeelError::Length { found: onions.len(), onion: onion_bytes });
    }
    Ok(onion_bytes)
}

/// Opens up to [`AT_ONCE`] onions side by side, with buffers that serve a whole block.
struct Opener<'a> {
    kernel: Kernel,
    kdf: HopKdf,
    /// In a round that sets circuits up.
    circuits: Option<CircuitKdf>,
    keys: [HopKeys; AT_ONCE],
    receiver: Receiver<'a>,
    onion_bytes: usize,
}

impl<'a> Opener<'a> {
    fn new(receiver: Receiver<'a>, context: RoundContext, circuits: bool) -> Self {
        Self {
            kernel: Kernel::selected(),
            kdf: HopKdf::new(context),
            circuits: circuits.then(|| CircuitKdf::new(context)),
            keys: std::array::from_fn(|_| HopKeys::empty()),
            onion_bytes: context.geometry.onion_bytes(receiver.layer),
            receiver,
        }
    }

    /// Opens `onions`, the first of which is number `first` of `out`. `ephemerals` and `shared` begin with
    /// theirs.
    fn open(
        &mut self,
        ephemerals: &[[u8; 32]],
        shared: &mut [[u8; 32]],
        onions: &mut [u8],
        first: usize,
        out: &mut Peeled,
    ) {
        let count = onions.len() / self.onion_bytes;
        self.receiver.decapsulate(shared, onions.chunks_exact(self.onion_bytes));
        let opened = &mut out.opened[first..][..count];
        let places = self.receiver.places;
        let mut tags = [[0; TAG_BYTES]; AT_ONCE];
        let mut texts: [&mut [u8]; AT_ONCE] = Default::default();
        for (i, onion) in onions.chunks_exact_mut(self.onion_bytes).enumerate() {
            let agreed = self.receiver.agreed(i, &ephemerals[i], &shared[i], onion);
            self.kdf.derive_into(agreed, &mut self.keys[i]);
            if let Some(kdf) = &mut self.circuits {
                kdf.derive_into(agreed, &mut out.circuit_keys[first + i]);
            }
            // A shared secret of zeros comes of a key of small order, which anybody could have sent.
            opened[i] = shared[i] != [0; 32];
            tags[i].copy_from_slice(&onion[places.tag()]);
            texts[i] = &mut onion[places.ciphertext..];
        }
        let (keys, tags) = (&self.keys[..count], &tags[..count]);
        suite::open_batch(self.kernel, keys, tags, &mut texts[..count], opened);
        // What did not open has no keys and no next hop: nothing is taken from bytes that failed their tag.
        for i in (0..count).filter(|i| opened[*i]) {
            out.reply_keys[first + i] = ReplyKey::from_bytes(*keys[i].reply_key());
            if !out.last_layer {
                let next = &texts[i][..NEXT_HOP_BYTES];
                out.next_hops[first + i] = ShardIndex(u16::from_be_bytes([next[0], next[1]]));
            }
        }
    }
}
