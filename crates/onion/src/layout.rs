//! The places of things inside an onion.

use std::ops::Range;

use antiphon_wire::{EPHEMERAL_BYTES, Geometry, Layer, NEXT_HOP_BYTES, TAG_BYTES};

/// Place of the ephemeral key.
pub(crate) const EPHEMERAL: Range<usize> = 0..EPHEMERAL_BYTES;

/// The places that depend on the suite.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    /// Start of the ciphertext.
    pub(crate) ciphertext: usize,
    /// Bytes from the start of an onion to the one inside.
    hop_bytes: usize,
}

impl Places {
    pub(crate) fn of(geometry: Geometry) -> Self {
        Self { ciphertext: geometry.header_bytes(), hop_bytes: geometry.hop_bytes() }
    }

    /// Place of the ML-KEM ciphertext, which suite 1 has not.
    pub(crate) fn kem(self) -> Range<usize> {
        EPHEMERAL_BYTES..self.ciphertext - TAG_BYTES
    }

    /// Place of the tag.
    pub(crate) fn tag(self) -> Range<usize> {
        self.ciphertext - TAG_BYTES..self.ciphertext
    }

    /// Place of the next hop, once a layer below L is open.
    pub(crate) fn next_hop(self) -> Range<usize> {
        self.ciphertext..self.ciphertext + NEXT_HOP_BYTES
    }

    /// Start of the onion that enters `layer`, in a slot that holds an onion from layer `first` on.
    pub(crate) fn of_layer(self, first: Layer, layer: Layer) -> usize {
        self.hop_bytes * usize::from(layer.0 - first.0)
    }
}

/// Start of the inside of an opened onion of `layer`, in bytes: of the next onion, or at layer L of the
/// deposit.
pub fn inner_offset(geometry: Geometry, layer: Layer) -> usize {
    if layer < geometry.last_layer() { geometry.hop_bytes() } else { geometry.header_bytes() }
}

/// The inside of an opened onion of `layer`: the onion that enters the next layer, or at layer L the
/// deposit (dead drop, then body).
///
/// # Panics
/// If `onion` is shorter than [`inner_offset`].
pub fn inner_of(geometry: Geometry, layer: Layer, onion: &[u8]) -> &[u8] {
    &onion[inner_offset(geometry, layer)..]
}

/// The ephemeral key of an onion, opened or not, as received.
///
/// # Panics
/// If `onion` has fewer than 32 bytes.
pub fn ephemeral_of(onion: &[u8]) -> &[u8; EPHEMERAL_BYTES] {
    onion.first_chunk().expect("an onion starts with its ephemeral key, as the panics section says")
}
