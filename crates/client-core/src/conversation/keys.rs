//! The dead drops and body keys of one round, from a shared secret.

use antiphon_wire::{DEAD_DROP_BYTES, Decode, DecodeError, Encode, Epoch, Reader, Round};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use super::body::BodyKey;
use super::cells::CellKeys;
use super::kdf::{Key, expand};
use super::tree::ForwardTree;

const EPOCHS_CONTEXT: &str = "Antiphon 2026 conversation epochs";
const ROUNDS_CONTEXT: &str = "Antiphon 2026 conversation rounds of an epoch";
const SCHEDULE_CONTEXT: &str = "Antiphon 2026 conversation schedule";
const DEPOSIT_CONTEXT: &str = "Antiphon 2026 conversation deposit";

/// Secret that the two ends of a conversation share, 32 bytes.
///
/// A secret serves one conversation: sequence numbers start afresh with each, so open a later conversation
/// from a secret of its own.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct ConversationSecret(pub [u8; 32]);

impl std::fmt::Debug for ConversationSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ConversationSecret(..)")
    }
}

/// End of a conversation. The two ends must take different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// For instance the one who invited.
    First,
    /// The end that the first invited.
    Second,
}

/// The dead drop of one deposit and the keys of the two bodies that meet there.
pub(crate) struct DepositKeys {
    pub(crate) dead_drop: Zeroizing<[u8; DEAD_DROP_BYTES]>,
    pub(crate) mine: BodyKey,
    pub(crate) partners: BodyKey,
    /// The keys of the circuit that the deposit's onion leaves behind, in a round that sets circuits up.
    pub(crate) cells: Option<CellKeys>,
}

/// A conversation's keys of all rounds to come.
pub(crate) struct ConversationKeys {
    role: Role,
    epochs: ForwardTree,
    rounds: Option<(Epoch, ForwardTree)>,
}

impl ConversationKeys {
    /// The keys, and the key of the schedule, which is the same in all rounds.
    pub(crate) fn new(secret: &ConversationSecret, role: Role) -> (Self, Key) {
        let epochs = ForwardTree::new(Key::derive(EPOCHS_CONTEXT, &secret.0));
        let schedule = Key::derive(SCHEDULE_CONTEXT, &secret.0);
        (Self { role, epochs, rounds: None }, schedule)
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Hands out the keys of `2 * pairs` deposits in a round, in order, and erases all that could give them
    /// again, or those of an earlier round. Returns `None` if that has happened already.
    pub(crate) fn take(
        &mut self,
        epoch: Epoch,
        round: Round,
        pairs: u8,
    ) -> Option<Vec<DepositKeys>> {
        self.take_with(epoch, round, pairs, false)
    }

    /// The same, with the keys of their circuits if the round sets any up.
    pub(crate) fn take_with(
        &mut self,
        epoch: Epoch,
        round: Round,
        pairs: u8,
        circuits: bool,
    ) -> Option<Vec<DepositKeys>> {
        if self.rounds.as_ref().is_none_or(|(of, _)| *of != epoch) {
            let leaf = self.epochs.take(epoch.0)?;
            let root = Key::derive(ROUNDS_CONTEXT, &leaf.0);
            self.rounds = Some((epoch, ForwardTree::new(root)));
        }
        let (_, rounds) = self.rounds.as_mut()?;
        let leaf = rounds.take(round.0)?;
        let deposits = (0..pairs).flat_map(|pair| [(pair, 0), (pair, 1)]);
        let role = self.role;
        let keys = deposits.map(|(pair, drop)| {
            let (epoch, round) = (epoch.0.to_be_bytes(), round.0.to_be_bytes());
            let place: [&[u8]; 3] = [&epoch, &round, &[pair, drop]];
            let mut keys = deposit(&leaf, &place, role);
            keys.cells = circuits.then(|| CellKeys::new(&leaf, &place, role));
            keys
        });
        Some(keys.collect())
    }

    /// Erases the keys of a round in which the conversation does not meet, and of all before it.
    pub(crate) fn skip(&mut self, epoch: Epoch, round: Round) {
        self.take(epoch, round, 0);
    }
}

impl Encode for ConversationKeys {
    fn encode(&self, out: &mut Vec<u8>) {
        self.role.encode(out);
        self.epochs.encode_to(u64::MAX, out);
        out.push(u8::from(self.rounds.is_some()));
        if let Some((epoch, rounds)) = &self.rounds {
            epoch.encode(out);
            rounds.encode_to(u64::MAX, out);
        }
    }
}

impl Decode for ConversationKeys {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (role, epochs) = (Decode::decode(input)?, Decode::decode(input)?);
        let rounds = match u8::decode(input)? {
            0 => None,
            _ => Some((Decode::decode(input)?, Decode::decode(input)?)),
        };
        Ok(Self { role, epochs, rounds })
    }
}

impl Encode for Role {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self == Self::Second));
    }
}

impl Decode for Role {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if u8::decode(input)? == 0 { Self::First } else { Self::Second })
    }
}

/// The keys of one deposit, which follow from its round's leaf.
fn deposit(leaf: &Key, place: &[&[u8]], role: Role) -> DepositKeys {
    let mut dead_drop = Zeroizing::new([0; DEAD_DROP_BYTES]);
    let (mut first, mut second) = (Key([0; 32]), Key([0; 32]));
    expand(
        DEPOSIT_CONTEXT,
        &[&[&leaf.0[..]], place].concat(),
        &mut [&mut dead_drop[..], &mut first.0, &mut second.0],
    );
    let (first_ends, second_ends) = (BodyKey::new(first), BodyKey::new(second));
    let (mine, partners) = match role {
        Role::First => (first_ends, second_ends),
        Role::Second => (second_ends, first_ends),
    };
    DepositKeys { dead_drop, mine, partners, cells: None }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn keys(secret: u8, role: Role) -> ConversationKeys {
        ConversationKeys::new(&ConversationSecret([secret; 32]), role).0
    }

    #[test]
    fn both_ends_meet_and_each_reads_what_the_other_writes() {
        let mut first = keys(1, Role::First);
        let mut second = keys(1, Role::Second);
        second.skip(Epoch(3), Round(70));
        for (epoch, round) in [(3, 71), (3, 90), (9, 91)] {
            let a = first.take(Epoch(epoch), Round(round), 2).unwrap();
            let b = second.take(Epoch(epoch), Round(round), 2).unwrap();
            assert_eq!((a.len(), b.len()), (4, 4));
            for (a, b) in a.iter().zip(&b) {
                assert_eq!(a.dead_drop, b.dead_drop);
                assert!(a.mine.same_as(&b.partners) && a.partners.same_as(&b.mine));
                assert!(!a.mine.same_as(&a.partners));
            }
        }
    }

    #[test]
    fn every_deposit_has_keys_of_its_own() {
        let mut seen = BTreeSet::new();
        let mut count = 0;
        for secret in 0..3 {
            let mut keys = keys(secret, Role::First);
            for epoch in 0..3 {
                for round in 10..14 {
                    for deposit in keys.take(Epoch(epoch), Round(round), 2).unwrap() {
                        seen.insert(deposit.dead_drop.to_vec());
                        seen.insert(deposit.mine.bytes().to_vec());
                        seen.insert(deposit.partners.bytes().to_vec());
                        count += 3;
                    }
                }
            }
        }
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn used_and_skipped_rounds_and_left_epochs_are_gone() {
        let mut keys = keys(5, Role::First);
        assert!(keys.take(Epoch(2), Round(10), 1).is_some());
        assert!(keys.take(Epoch(2), Round(10), 1).is_none());
        keys.skip(Epoch(2), Round(20));
        assert!(keys.take(Epoch(2), Round(20), 1).is_none());
        assert!(keys.take(Epoch(3), Round(21), 1).is_some());
        assert!(keys.take(Epoch(2), Round(22), 1).is_none());
        // An older epoch's number changes nothing.
        assert!(keys.take(Epoch(3), Round(22), 1).is_some());
    }
}
