//! The places of things inside an onion.

use std::ops::Range;

use antiphon_wire::{EPHEMERAL_BYTES, Geometry, HOP_BYTES, Layer, NEXT_HOP_BYTES, TAG_BYTES};

/// Place of the ephemeral key.
pub(crate) const EPHEMERAL: Range<usize> = 0..EPHEMERAL_BYTES;
/// Place of the tag.
pub(crate) const TAG: Range<usize> = EPHEMERAL_BYTES..CIPHERTEXT;
/// Start of the ciphertext.
pub(crate) const CIPHERTEXT: usize = EPHEMERAL_BYTES + TAG_BYTES;
/// Place of the next hop, once a layer below L is open.
pub(crate) const NEXT_HOP: Range<usize> = CIPHERTEXT..CIPHERTEXT + NEXT_HOP_BYTES;

/// Start of the inside of an opened onion of `layer`, in bytes: of the next onion, or at layer L of the
/// deposit.
pub fn inner_offset(geometry: Geometry, layer: Layer) -> usize {
    if layer < geometry.last_layer() { HOP_BYTES } else { CIPHERTEXT }
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

/// Start of the onion that enters `layer`, in a slot that holds an onion from layer `first` on.
pub(crate) fn layer_offset(first: Layer, layer: Layer) -> usize {
    HOP_BYTES * usize::from(layer.0 - first.0)
}
