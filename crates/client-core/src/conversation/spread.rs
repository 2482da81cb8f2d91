//! Whether the two circuits of a pair carry the same fragment or two.

use antiphon_wire::{Decode, DecodeError, Encode, Reader};

/// Cells lost among the last 32 beyond which a pair's circuits carry the same: more than a quarter.
const MOST_LOST: u32 = 8;

/// The partner's cells of late, as far as they arrived. A circuit that an end hears nothing on hardly carries
/// anything the other way: both directions pass the same hops. So the loss of one tells that of the other.
#[derive(Default)]
pub(crate) struct Spread {
    /// One bit for each of the last 32 cells, 1 if it was lost.
    lost: u32,
}

impl Spread {
    /// Takes note whether the partner's cell came on one circuit in one beat.
    pub(crate) fn heed(&mut self, came: bool) {
        self.lost = self.lost << 1 | u32::from(!came);
    }

    /// Returns `true` if a pair's circuits are to carry the same fragment, so that it arrives if one of them
    /// does: with one of two circuits dead, half of all that was sent once would wait to be sent again.
    pub(crate) fn repeats(&self) -> bool {
        self.lost.count_ones() > MOST_LOST
    }
}

impl Encode for Spread {
    fn encode(&self, out: &mut Vec<u8>) {
        self.lost.encode(out);
    }
}

impl Decode for Spread {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { lost: Decode::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_circuit_makes_both_carry_the_same_and_single_losses_do_not() {
        let mut spread = Spread::default();
        for beat in 0..100 {
            spread.heed(true);
            spread.heed(beat % 5 > 0);
            assert!(!spread.repeats(), "one cell in ten");
        }
        for _ in 0..16 {
            spread.heed(true);
            spread.heed(false);
        }
        assert!(spread.repeats());
        (0..32).for_each(|_| spread.heed(true));
        assert!(!spread.repeats());
    }
}
