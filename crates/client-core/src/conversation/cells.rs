//! The keys of a circuit's cells, and their sealing from end to end.

use antiphon_onion::{BeatContext, CircuitKey, CircuitKeys, forward_cells};
use antiphon_wire::{Decode, DecodeError, Encode, Layer, Reader, TAG_BYTES};
use subtle::ConstantTimeEq;

use super::body::Content;
use super::kdf::{Key, expand};
use super::keys::Role;
use super::tree::ForwardTree;

const CELLS_CONTEXT: &str = "Antiphon 2026 conversation cells";

/// The key of one cell, from end to end.
///
/// A cell is sealed by one more layer of the circuit's cipher, as if the partner were a hop: content behind
/// which 16 zeros stand is enciphered as a whole, with the beat in the tweak. Every cell that opens was made
/// with the key, but for one in 2^128. Were a key ever used twice for one beat, no more would show than
/// whether both contents are equal: there is no nonce and no stream to reuse.
pub(crate) struct CellKey(Key);

impl CellKey {
    /// Enciphers a cell whose content is in place.
    pub(crate) fn seal(&self, context: BeatContext, cell: &mut [u8]) {
        CircuitKeys::of_circuits(1, vec![self.as_hop()]).wrap(context, cell);
    }

    /// Deciphers a cell in place and returns its content; `None` if it was not made with this key.
    pub(crate) fn open<'a>(&self, context: BeatContext, cell: &'a mut [u8]) -> Option<&'a [u8]> {
        forward_cells(&[self.as_hop()], context, Layer::FIRST, cell);
        let (content, check) = cell.split_last_chunk::<TAG_BYTES>()?;
        bool::from(check.ct_eq(&[0; TAG_BYTES])).then_some(content)
    }

    fn as_hop(&self) -> CircuitKey {
        CircuitKey::from_bytes(self.0.0)
    }
}

/// Writes `content` into a cell that is to be sealed.
pub(crate) fn write(content: &Content<'_>, cell: &mut [u8]) {
    let (plaintext, check) = cell.split_at_mut(cell.len() - TAG_BYTES);
    content.write(plaintext);
    check.fill(0);
}

/// Both ends' keys of one circuit's cell in one beat.
pub(crate) struct BeatKeys {
    pub(crate) mine: CellKey,
    pub(crate) partners: CellKey,
}

/// A circuit's keys in all beats of a round that are still to come.
pub(crate) struct CellKeys {
    mine: ForwardTree,
    partners: ForwardTree,
}

impl CellKeys {
    /// The keys that follow from a round's leaf, for one circuit: `place` says which round and circuit.
    pub(super) fn new(leaf: &Key, place: &[&[u8]], role: Role) -> Self {
        let inputs = [&[&leaf.0[..]], place].concat();
        let (mut first, mut second) = (Key([0; 32]), Key([0; 32]));
        expand(CELLS_CONTEXT, &inputs, &mut [&mut first.0, &mut second.0]);
        let (mine, partners) = match role {
            Role::First => (first, second),
            Role::Second => (second, first),
        };
        Self { mine: ForwardTree::new(mine), partners: ForwardTree::new(partners) }
    }

    /// Hands out the keys of beat `beat`, and erases all that could give them again, or those of an earlier
    /// beat. Returns `None` if that has happened already.
    pub(crate) fn take(&mut self, beat: u64) -> Option<BeatKeys> {
        let (mine, partners) = (self.mine.take(beat)?, self.partners.take(beat)?);
        Some(BeatKeys { mine: CellKey(mine), partners: CellKey(partners) })
    }
}

impl Encode for CellKeys {
    fn encode(&self, out: &mut Vec<u8>) {
        // The most beats that a round can have.
        let last = u64::from(u16::MAX);
        self.mine.encode_to(last, out);
        self.partners.encode_to(last, out);
    }
}

impl Decode for CellKeys {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self { mine: Decode::decode(input)?, partners: Decode::decode(input)? })
    }
}

#[cfg(test)]
mod tests {
    use antiphon_onion::CellBytes;
    use antiphon_wire::{Epoch, Round};

    use super::*;

    const CELL: usize = 256;

    fn keys(circuit: u8, role: Role) -> CellKeys {
        CellKeys::new(&Key([5; 32]), &[&[1], &[circuit]], role)
    }

    fn beat(beat: u64) -> BeatContext {
        BeatContext { epoch: Epoch(1), round: Round(2), beat, cell: CellBytes::DEFAULT }
    }

    #[test]
    fn a_cell_opens_for_the_partner_in_its_beat_and_for_nobody_else() {
        let (mut first, mut second) = (keys(0, Role::First), keys(0, Role::Second));
        let (made, opens) = (first.take(7).unwrap(), second.take(7).unwrap());
        let mut plain = [3; CELL];
        plain[CELL - TAG_BYTES..].fill(0);
        let mut cell = plain;
        made.mine.seal(beat(7), &mut cell);
        assert_ne!(cell[..16], plain[..16]);
        assert_eq!(
            opens.partners.open(beat(7), &mut cell.clone()),
            Some(&plain[..CELL - TAG_BYTES])
        );
        assert!(opens.partners.open(beat(8), &mut cell.clone()).is_none(), "another beat");
        assert!(opens.mine.open(beat(7), &mut cell.clone()).is_none(), "the other direction");
        let other = keys(1, Role::Second).take(7).unwrap();
        assert!(other.partners.open(beat(7), &mut cell.clone()).is_none(), "another circuit");
        let next = second.take(8).unwrap();
        assert!(next.partners.open(beat(7), &mut cell.clone()).is_none(), "the next step");
        for at in [0, 100, CELL - 1] {
            let mut garbled = cell;
            garbled[at] ^= 1;
            assert!(opens.partners.open(beat(7), &mut garbled).is_none());
        }
    }

    #[test]
    fn a_beats_keys_are_taken_once_and_earlier_ones_are_gone() {
        let mut keys = keys(0, Role::First);
        assert!(keys.take(70_000).is_some());
        assert!(keys.take(70_000).is_none());
        assert!(keys.take(69_999).is_none());
        assert!(keys.take(u64::MAX).is_some());
    }

    /// With a nonce or a stream, two contents under one key would give their difference away.
    #[test]
    fn a_key_that_is_used_twice_shows_no_more_than_equality() {
        let made = keys(0, Role::First).take(0).unwrap();
        let sealed = |byte: u8, last: u8| {
            let mut cell = [byte; CELL];
            cell[100] = last;
            made.mine.seal(beat(0), &mut cell);
            cell
        };
        assert_eq!(sealed(1, 1), sealed(1, 1));
        let (one, other) = (sealed(1, 1), sealed(1, 2));
        let same = one.iter().zip(&other).filter(|(a, b)| a == b).count();
        assert!(same < 8, "one byte of difference changes the whole cell: {same} of 256 alike");
    }
}
