//! Boxes of the mailbox services: where an item goes, and what a host publishes.

mod calls;
mod invitations;

use crate::codec::record;
use crate::{Blob, DEAD_DROP_BYTES, Digest, Epoch, Round, RoundKind, ShardIndex, Signable};

pub use calls::{CallBox, MOST_TOKENS, TOKEN_BITS, TOKEN_BYTES, Token};
pub use invitations::{INVITATION_BYTES, InvitationBox, MOST_INVITATIONS};

/// The BLAKE3 context under which the dead drop of a box is derived.
pub const BOX_CONTEXT: &str = "Antiphon 2026 box of a mailbox round";

/// The most boxes that a service may have, as many as addresses tell apart.
pub const MOST_BOXES: u16 = 256;

/// The dead drop at which a round's deposits for box `number` meet. It is no secret: everybody deposits at the same one,
/// and it draws the shard that hosts the box. Any other dead drop of a mailbox round is the null box, which is thrown away.
pub fn box_dead_drop(
    kind: RoundKind,
    epoch: Epoch,
    round: Round,
    number: u16,
) -> [u8; DEAD_DROP_BYTES] {
    let mut hasher = blake3::Hasher::new_derive_key(BOX_CONTEXT);
    hasher.update(&[kind.byte()]);
    hasher.update(&epoch.0.to_be_bytes());
    hasher.update(&round.0.to_be_bytes());
    hasher.update(&number.to_be_bytes());
    let mut dead_drop = [0; DEAD_DROP_BYTES];
    hasher.finalize_xof().fill(&mut dead_drop);
    dead_drop
}

/// The number of the box in which an address is, of `boxes`.
pub const fn box_of_address(address: u8, boxes: u16) -> u16 {
    let boxes = if boxes > MOST_BOXES { MOST_BOXES } else { boxes };
    // Both below 257.
    (address as u32 * boxes as u32 / MOST_BOXES as u32) as u16
}

record! {
    /// A box as its host publishes it, once the deposits of its round are known.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct BoxStatement {
        /// The network file's id, so that a statement proves something on its own.
        pub network: Digest,
        /// Epoch that the round belongs to.
        pub epoch: Epoch,
        /// Round whose items are in the box.
        pub round: Round,
        /// Shard that hosts the box.
        pub shard: ShardIndex,
        /// Number of the box among those of its service.
        pub number: u16,
        /// The items, in the form of [`CallBox`] or [`InvitationBox`].
        pub content: Blob,
    }
}

impl Signable for BoxStatement {
    const CONTEXT: &'static str = "antiphon v1 published box";
}

/// Reason why bytes are no published box.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BoxError {
    /// A version that this program does not know.
    #[error("this box has version {0}, which this program does not know: update the program")]
    Version(u8),
    /// More items than a box may have.
    #[error("this box claims to hold {0} items, more than any may")]
    TooMany(u32),
    /// Too short, too long, not in order, or not written in the one way there is.
    #[error("this box is damaged, or its host wrote it wrongly")]
    Damaged,
}

/// The items of a published box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BoxContent {
    /// Tokens of a call round.
    Calls(CallBox),
    /// Items of an invitation round.
    Invitations(InvitationBox),
}

impl BoxContent {
    /// The items that `bytes` hold, in a round of this kind.
    ///
    /// # Errors
    /// If they are no such box, or the round has none.
    pub fn parse(kind: RoundKind, bytes: &[u8]) -> Result<Self, BoxError> {
        match kind {
            RoundKind::Calls => CallBox::from_bytes(bytes).map(Self::Calls),
            RoundKind::Invitations => InvitationBox::from_bytes(bytes).map(Self::Invitations),
            RoundKind::DeadDrops => Err(BoxError::Damaged),
        }
    }

    /// The box of the items at the beginning of `bodies`, in a round of this kind. Of more than a box may have, those
    /// that come first count, whose order says nothing about where they are from. `None` if the round has no boxes.
    pub fn collect<'a>(kind: RoundKind, bodies: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        match kind {
            RoundKind::Calls => {
                let tokens = bodies.filter_map(|body| body.first_chunk().copied());
                let tokens = tokens.map(Token::from_bytes).take(MOST_TOKENS).collect();
                CallBox::new(tokens).map(Self::Calls)
            }
            RoundKind::Invitations => {
                let items = bodies.filter_map(|body| body.first_chunk().copied());
                let items: Vec<[u8; INVITATION_BYTES]> = items.take(MOST_INVITATIONS).collect();
                InvitationBox::new(items).map(Self::Invitations)
            }
            RoundKind::DeadDrops => None,
        }
    }

    /// The form in which it is published.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Calls(calls) => calls.to_bytes(),
            Self::Invitations(invitations) => invitations.to_bytes(),
        }
    }

    /// Returns `true` if the item at the beginning of `body` is among them.
    pub fn holds(&self, body: &[u8]) -> bool {
        match self {
            Self::Calls(calls) => {
                body.first_chunk().is_some_and(|token| calls.holds(Token::from_bytes(*token)))
            }
            Self::Invitations(invitations) => {
                body.first_chunk().is_some_and(|item| invitations.holds(item))
            }
        }
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        match self {
            Self::Calls(calls) => calls.tokens().len(),
            Self::Invitations(invitations) => invitations.items().len(),
        }
    }

    /// Returns `true` if it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// The count of a box's items, and all behind it.
fn head(bytes: &[u8], version: u8, head_bytes: usize) -> Result<(u32, &[u8]), BoxError> {
    match bytes.first() {
        Some(found) if *found == version => {}
        Some(found) => return Err(BoxError::Version(*found)),
        None => return Err(BoxError::Damaged),
    }
    let (head, body) = bytes.split_at_checked(head_bytes).ok_or(BoxError::Damaged)?;
    let count = head[1..].try_into().map_err(|_| BoxError::Damaged)?;
    Ok((u32::from_be_bytes(count), body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_has_a_box_and_every_box_an_address() {
        for boxes in 1..=MOST_BOXES {
            let mut numbers: Vec<u16> = (0..=255).map(|a| box_of_address(a, boxes)).collect();
            assert!(numbers.is_sorted());
            numbers.dedup();
            assert!(numbers.into_iter().eq(0..boxes), "{boxes}");
        }
    }

    #[test]
    fn boxes_of_other_rounds_and_services_are_elsewhere() {
        let dead_drop = |kind, round, number| box_dead_drop(kind, Epoch(1), Round(round), number);
        let all = [
            dead_drop(RoundKind::Calls, 7, 0),
            dead_drop(RoundKind::Calls, 7, 1),
            dead_drop(RoundKind::Calls, 8, 0),
            dead_drop(RoundKind::Invitations, 7, 0),
        ];
        assert!((1..4).all(|i| !all[..i].contains(&all[i])));
        // Whoever finds another one looks for the box at another host.
        assert_eq!(hex::encode(all[0]), "5fda8a6f7e4fdd47c9cdc8755b8fd37f");
    }

    #[test]
    fn a_box_holds_what_bodies_begin_with() {
        let bodies: Vec<Vec<u8>> = (1..9).map(|i| vec![i; 160]).collect();
        for kind in [RoundKind::Calls, RoundKind::Invitations] {
            let made = BoxContent::collect(kind, bodies.iter().map(Vec::as_slice)).unwrap();
            assert_eq!(made.len(), 8);
            let read = BoxContent::parse(kind, &made.to_bytes()).unwrap();
            assert!(bodies.iter().all(|body| read.holds(body)) && !read.holds(&[9; 160]));
        }
        assert_eq!(BoxContent::collect(RoundKind::DeadDrops, [].into_iter()), None);
    }
}
