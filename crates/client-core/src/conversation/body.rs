//! The content of a conversation's body, and its encryption, after which it looks like random bytes.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use antiphon_wire::{Decode, DecodeError, Reader, Round, TAG_BYTES};
use subtle::ConstantTimeEq;

use super::instances::Instances;
use super::kdf::Key;
use crate::reliability::MOST_FRAGMENTS;

/// Bytes of a body's header: instances 4, acknowledgement 8, sequence number 4, kind and length 2.
pub(crate) const HEADER_BYTES: usize = 18;

/// Set in a body's `next` if it was made ahead.
const AHEAD: u32 = MOST_FRAGMENTS;

const KIND_SHIFT: u32 = 14;
const LENGTH_MASK: u16 = (1 << KIND_SHIFT) - 1;

/// The key of one body. The nonce is zero, so it encrypts once.
pub(crate) struct BodyKey(Key);

impl BodyKey {
    pub(crate) fn new(key: Key) -> Self {
        Self(key)
    }

    #[cfg(test)]
    pub(crate) fn same_as(&self, other: &Self) -> bool {
        self.0.0 == other.0.0
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> [u8; 32] {
        self.0.0
    }
}

/// The fragments that have arrived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Acknowledgement {
    /// Lowest sequence number that has not arrived.
    pub(crate) next: u32,
    /// Bit i is set if `next + 1 + i` has arrived.
    pub(crate) later: u32,
}

/// A part of a message that fits into one body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fragment<'a> {
    pub(crate) sequence: u32,
    /// `true` if the message ends with it.
    pub(crate) last: bool,
    pub(crate) payload: &'a [u8],
}

/// Content of a body besides its acknowledgement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item<'a> {
    Nothing,
    Fragment(Fragment<'a>),
    /// The sender meets no more from this round on.
    Closing(Round),
}

/// Content of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Content<'a> {
    pub(crate) instances: Instances,
    pub(crate) acknowledgement: Acknowledgement,
    /// It was made long before it is heard, for a sleep: that it does not acknowledge a fragment says nothing.
    pub(crate) is_ahead: bool,
    pub(crate) item: Item<'a>,
}

/// Bytes of payload in a body of `body_bytes` bytes.
pub(crate) const fn payload_bytes(body_bytes: usize) -> usize {
    body_bytes.saturating_sub(TAG_BYTES + HEADER_BYTES)
}

impl Content<'_> {
    /// Writes and encrypts this into all of `body`. A fragment's payload must have at most
    /// [`payload_bytes`].
    pub(crate) fn seal(&self, key: &BodyKey, body: &mut [u8]) {
        // The nonce is fixed: a key encrypts one body.
        let (plaintext, tag) = body.split_at_mut(body.len() - TAG_BYTES);
        self.write(plaintext);
        let sealed = Aes256Gcm::new((&key.0.0).into())
            .encrypt_inout_detached(&[0; 12].into(), &[], plaintext.into())
            .expect("bodies are far below AES-GCM's limit of 64 GiB");
        tag.copy_from_slice(&sealed);
    }

    /// Writes this into all of `plaintext`.
    pub(crate) fn write(&self, plaintext: &mut [u8]) {
        let closing;
        let (kind, sequence, payload) = match self.item {
            Item::Nothing => (0, 0, &[][..]),
            Item::Fragment(fragment) => {
                (1 + u16::from(fragment.last), fragment.sequence, fragment.payload)
            }
            Item::Closing(round) => {
                closing = round.0.to_be_bytes();
                (3, 0, &closing[..])
            }
        };
        // A body has at most 16384 bytes, so a payload's length takes 14 bits.
        let shape = kind << KIND_SHIFT | payload.len() as u16;
        let (head, rest) = plaintext.split_at_mut(HEADER_BYTES);
        head[..2].copy_from_slice(&self.instances.own.to_be_bytes());
        head[2..4].copy_from_slice(&self.instances.partners.to_be_bytes());
        let ahead = if self.is_ahead { AHEAD } else { 0 };
        head[4..8].copy_from_slice(&(self.acknowledgement.next | ahead).to_be_bytes());
        head[8..12].copy_from_slice(&self.acknowledgement.later.to_be_bytes());
        head[12..16].copy_from_slice(&sequence.to_be_bytes());
        head[16..].copy_from_slice(&shape.to_be_bytes());
        let (start, padding) = rest.split_at_mut(payload.len());
        start.copy_from_slice(payload);
        padding.fill(0);
    }
}

/// Decrypts a body in place and returns its plaintext; `None` if it was not made with this key.
pub(crate) fn open<'a>(key: &BodyKey, body: &'a mut [u8]) -> Option<&'a [u8]> {
    let (ciphertext, tag) = body.split_last_chunk_mut::<TAG_BYTES>()?;
    Aes256Gcm::new((&key.0.0).into())
        .decrypt_inout_detached(&[0; 12].into(), &[], (&mut *ciphertext).into(), &(*tag).into())
        .ok()?;
    Some(ciphertext)
}

/// Returns `true` if two bodies are equal, in constant time.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// Reads a partner's plaintext.
///
/// # Errors
/// If it is no such plaintext.
pub(crate) fn read(plaintext: &[u8]) -> Result<Content<'_>, DecodeError> {
    let mut input = Reader::new(plaintext);
    let instances =
        Instances { own: Decode::decode(&mut input)?, partners: Decode::decode(&mut input)? };
    let next = u32::decode(&mut input)?;
    let (next, is_ahead) = (next & !AHEAD, next & AHEAD != 0);
    let acknowledgement = Acknowledgement { next, later: Decode::decode(&mut input)? };
    let sequence = u32::decode(&mut input)?;
    let shape = u16::decode(&mut input)?;
    let payload = input.take(usize::from(shape & LENGTH_MASK))?;
    let item = match shape >> KIND_SHIFT {
        0 => Item::Nothing,
        3 => Item::Closing(Round::from_bytes(payload)?),
        kind => Item::Fragment(Fragment { sequence, last: kind == 2, payload }),
    };
    Ok(Content { instances, acknowledgement, is_ahead, item })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn content<'a>(item: Item<'a>) -> Content<'a> {
        let instances = Instances { own: 0xfff0, partners: 1 };
        Content {
            instances,
            acknowledgement: Acknowledgement { next: 7, later: 0x8000_0001 },
            is_ahead: matches!(item, Item::Closing(_)),
            item,
        }
    }

    #[test]
    fn what_is_sealed_is_read_back() {
        let payload = vec![9; payload_bytes(256)];
        assert!(payload.len() >= 220);
        let fragment =
            |last, payload| Item::Fragment(Fragment { sequence: u32::MAX, last, payload });
        for item in [
            Item::Nothing,
            fragment(false, &payload[..]),
            fragment(true, &[]),
            Item::Closing(Round(1 << 40)),
        ] {
            let mut body = [0xff; 256];
            content(item).seal(&BodyKey::new(Key([3; 32])), &mut body);
            assert!(open(&BodyKey::new(Key([4; 32])), &mut body.clone()).is_none());
            let plaintext = open(&BodyKey::new(Key([3; 32])), &mut body).unwrap();
            assert_eq!(read(plaintext), Ok(content(item)));
        }
    }

    #[test]
    fn the_largest_body_holds_its_payload() {
        let payload = vec![9; payload_bytes(16384)];
        let item = Item::Fragment(Fragment { sequence: 0, last: true, payload: &payload });
        let mut body = vec![0; 16384];
        content(item).seal(&BodyKey::new(Key([3; 32])), &mut body);
        assert_eq!(read(open(&BodyKey::new(Key([3; 32])), &mut body).unwrap()), Ok(content(item)));
    }

    proptest! {
        #[test]
        fn any_plaintext_is_read_or_refused(bytes: Vec<u8>) {
            let _ = read(&bytes);
        }

        #[test]
        fn any_body_is_opened_or_refused(mut bytes: Vec<u8>) {
            prop_assert!(open(&BodyKey::new(Key([0; 32])), &mut bytes).is_none());
        }
    }
}
