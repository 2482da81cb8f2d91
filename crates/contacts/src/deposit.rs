//! What the onions of call and invitation rounds open to: a box, and what is for it.

use crate::invitation::INVITATION_BYTES;
use crate::{BoxAddress, Invitation, Token};

/// Boxes of a service at most, as many as addresses tell apart.
pub const MOST_BOXES: u16 = 256;
/// Bytes of a box's number.
const NUMBER_BYTES: usize = 2;
/// Bytes of a deposit of a call round.
pub const CALL_DEPOSIT_BYTES: usize = NUMBER_BYTES + 5;
/// Bytes of a deposit of an invitation round.
pub const INVITATION_DEPOSIT_BYTES: usize = NUMBER_BYTES + INVITATION_BYTES;

/// Where a deposit goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BoxNumber {
    /// The box that is thrown away: dummies, and the rest of each shard's noise. `ffff` on the wire.
    Null,
    /// A box that is published.
    Published(u16),
}

impl BoxNumber {
    const NULL: u16 = 0xffff;

    /// The box of an address, of `boxes` that the network has.
    #[must_use]
    pub fn of(address: BoxAddress, boxes: u16) -> Self {
        let boxes = u32::from(boxes.clamp(1, MOST_BOXES));
        Self::Published((u32::from(address.0) * boxes / u32::from(MOST_BOXES)) as u16)
    }

    /// The box of a deposit's first two bytes, of `boxes` that the network has. Those that are none go to the null box:
    /// an answer could tell their sender something.
    #[must_use]
    pub fn from_bytes(bytes: [u8; NUMBER_BYTES], boxes: u16) -> Self {
        let number = u16::from_be_bytes(bytes);
        if number < boxes.min(MOST_BOXES) { Self::Published(number) } else { Self::Null }
    }

    /// The number's two bytes.
    #[must_use]
    pub fn to_bytes(self) -> [u8; NUMBER_BYTES] {
        match self {
            Self::Null => Self::NULL.to_be_bytes(),
            Self::Published(number) => number.to_be_bytes(),
        }
    }
}

/// The deposit of a call, or with a random token and the null box that of a dummy.
#[must_use]
pub fn call_deposit(number: BoxNumber, token: Token) -> [u8; CALL_DEPOSIT_BYTES] {
    let mut bytes = [0; CALL_DEPOSIT_BYTES];
    bytes[..NUMBER_BYTES].copy_from_slice(&number.to_bytes());
    bytes[NUMBER_BYTES..].copy_from_slice(&token.to_bytes());
    bytes
}

/// The deposit of an invitation, or with noise and the null box that of a dummy.
#[must_use]
pub fn invitation_deposit(
    number: BoxNumber,
    invitation: &Invitation,
) -> [u8; INVITATION_DEPOSIT_BYTES] {
    let mut bytes = [0; INVITATION_DEPOSIT_BYTES];
    bytes[..NUMBER_BYTES].copy_from_slice(&number.to_bytes());
    bytes[NUMBER_BYTES..].copy_from_slice(invitation.bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_address_has_a_box_and_every_box_an_address(boxes in 1..=MOST_BOXES, number: u16) {
            let number = number % boxes;
            let first = (0..=255).find(|&a| {
                BoxNumber::of(BoxAddress(a), boxes) == BoxNumber::Published(number)
            });
            prop_assert!(first.is_some());
            let published = BoxNumber::Published(number);
            prop_assert_eq!(BoxNumber::from_bytes(published.to_bytes(), boxes), published);
        }

        #[test]
        fn a_number_that_is_no_box_is_the_null_box(boxes in 1..=MOST_BOXES, number: u16) {
            let read = BoxNumber::from_bytes(number.to_be_bytes(), boxes);
            prop_assert_eq!(read == BoxNumber::Null, number >= boxes);
            prop_assert_eq!(BoxNumber::from_bytes(BoxNumber::Null.to_bytes(), boxes), BoxNumber::Null);
        }
    }
}
