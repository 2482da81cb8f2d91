//! The part of an onion's key derivation that all onions of a round share.

use antiphon_wire::{Epoch, Geometry, Round};

/// The round that onions belong to. Bound into every key derivation, so that an onion opens in this
/// round of this epoch only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundContext {
    /// The shape of the epoch's onions.
    pub geometry: Geometry,
    /// The epoch whose keys are used.
    pub epoch: Epoch,
    /// The round that the onions are sent in.
    pub round: Round,
}
