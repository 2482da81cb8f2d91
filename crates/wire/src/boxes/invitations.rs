//! The published box of an invitation round: its items in the order of their bytes.

use super::{BoxError, head};

/// Bytes of an invitation.
pub const INVITATION_BYTES: usize = 144;

/// Invitations of a box at most: as many as a message between shards holds.
pub const MOST_INVITATIONS: usize = 1 << 14;

const VERSION: u8 = 1;
/// Version and count.
const HEAD_BYTES: usize = 1 + 4;

/// The items of a box, in the order of their bytes, which says nothing about who came first.
#[derive(Clone, PartialEq, Eq)]
pub struct InvitationBox(Vec<[u8; INVITATION_BYTES]>);

impl std::fmt::Debug for InvitationBox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "InvitationBox({} items)", self.0.len())
    }
}

impl InvitationBox {
    /// The box of these items; `None` for more than [`MOST_INVITATIONS`].
    #[must_use]
    pub fn new<I: Into<[u8; INVITATION_BYTES]>>(items: Vec<I>) -> Option<Self> {
        let mut items: Vec<_> = items.into_iter().map(Into::into).collect();
        items.sort_unstable();
        (items.len() <= MOST_INVITATIONS).then_some(Self(items))
    }

    /// The items in order.
    #[must_use]
    pub fn items(&self) -> &[[u8; INVITATION_BYTES]] {
        &self.0
    }

    /// Returns `true` if the item is among them.
    #[must_use]
    pub fn holds(&self, item: &[u8; INVITATION_BYTES]) -> bool {
        self.0.binary_search(item).is_ok()
    }

    /// Version, count, and the items.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.0.len()).expect("a box has at most 2^14 invitations");
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.0.len() * INVITATION_BYTES);
        bytes.push(VERSION);
        bytes.extend(count.to_be_bytes());
        self.0.iter().for_each(|item| bytes.extend(item));
        bytes
    }

    /// The box with these bytes.
    ///
    /// # Errors
    /// [`BoxError`] for all that [`Self::to_bytes`] does not write.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BoxError> {
        let (count, body) = head(bytes, VERSION, HEAD_BYTES)?;
        let (items, behind) = body.as_chunks::<INVITATION_BYTES>();
        if count as usize > MOST_INVITATIONS {
            return Err(BoxError::TooMany(count));
        }
        if !behind.is_empty() || items.len() != count as usize || !items.is_sorted() {
            return Err(BoxError::Damaged);
        }
        Ok(Self(items.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Items that differ, as random ones do.
    fn items(count: usize, seed: u64) -> Vec<[u8; INVITATION_BYTES]> {
        let mut expanded = blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof();
        let item = |_| {
            let mut item = [0; INVITATION_BYTES];
            expanded.fill(&mut item);
            item
        };
        (0..count).map(item).collect()
    }

    proptest! {
        #[test]
        fn a_box_is_read_as_it_was_written_whatever_order_its_items_came_in(
            seed: u64, count in 0..20_usize, turn in 0..20_usize,
        ) {
            let mut items = items(count, seed);
            let written = InvitationBox::new(items.clone()).unwrap();
            items.rotate_left(turn.min(count));
            prop_assert!(items.iter().all(|item| written.holds(item)));
            prop_assert_eq!(&written, &InvitationBox::new(items).unwrap());
            prop_assert_eq!(InvitationBox::from_bytes(&written.to_bytes()), Ok(written));
        }

        #[test]
        fn what_is_read_is_written_the_same(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(read) = InvitationBox::from_bytes(&bytes) {
                prop_assert_eq!(read.to_bytes(), bytes);
            }
        }
    }

    #[test]
    fn items_out_of_order_and_bytes_too_many_are_refused() {
        let bytes = InvitationBox::new(items(3, 1)).unwrap().to_bytes();
        assert!(InvitationBox::from_bytes(&bytes).is_ok());
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(InvitationBox::from_bytes(&longer), Err(BoxError::Damaged));
        assert_eq!(InvitationBox::from_bytes(&bytes[..bytes.len() - 1]), Err(BoxError::Damaged));
        let (head, body) = bytes.split_at(5);
        let (first, rest) = body.split_at(INVITATION_BYTES);
        let turned = [head, rest, first].concat();
        assert_eq!(InvitationBox::from_bytes(&turned), Err(BoxError::Damaged));
        let newer = [&[2], &bytes[1..]].concat();
        assert_eq!(InvitationBox::from_bytes(&newer), Err(BoxError::Version(2)));
        let claims = [1, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(InvitationBox::from_bytes(&claims), Err(BoxError::TooMany(u32::MAX)));
    }
}
