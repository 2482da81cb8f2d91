//! The levels that a conversation's charged meetings of late still forbid.

use antiphon_wire::{Decode, DecodeError, Encode, Reader};

use super::Level;

/// Rounds for which a charged meeting is remembered: as many as lie between two meetings at the sparsest
/// level, so that the debt of one that meets as rarely as that does not grow.
const ROUNDS_EACH: u32 = Level::SPARSEST.rounds() as u32;
/// Charged meetings that forbid nothing: as many as an hour's outage of the partner costs.
const FREE: u32 = 16;
/// Charged meetings beyond those for each level that is forbidden.
const A_LEVEL: u32 = 4;

/// A bucket that charged meetings fill and rounds empty: each meeting adds [`ROUNDS_EACH`], each
/// round takes one off.
///
/// However good meetings and spoilt ones alternate, all levels but the sparsest are forbidden after
/// `FREE` + 7 `A_LEVEL` = 44 charged meetings more than one for each 128 rounds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Debt(u32);

impl Debt {
    pub(super) fn charge(&mut self) {
        self.0 = self.0.saturating_add(ROUNDS_EACH);
    }

    pub(super) fn pay(&mut self) {
        self.0 = self.0.saturating_sub(1);
    }

    /// The densest level that is not forbidden.
    pub(super) fn densest(self) -> Level {
        let beyond = self.0.saturating_sub(FREE * ROUNDS_EACH);
        let levels = beyond.div_ceil(A_LEVEL * ROUNDS_EACH);
        Level(levels.min(Level::SPARSEST.0.into()) as u8)
    }
}

impl Encode for Debt {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Debt {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(input).map(Self)
    }
}
