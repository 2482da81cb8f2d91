//! Sealing, and padding to a class of lengths.

use std::fmt;

use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// Bytes that sealing adds: a nonce in front and a tag behind.
pub(crate) const SEALED_MORE: usize = NONCE_BYTES + TAG_BYTES;
const NONCE_BYTES: usize = 24;
const TAG_BYTES: usize = 16;

/// Bytes of the shortest record and of the longest. Each class between them is twice the one before.
pub(crate) const LEAST_RECORD: usize = 256;
pub(crate) const MOST_RECORD: usize = 128 << 10;
/// Bytes of the length in front of what is padded.
const LENGTH_BYTES: usize = 4;

/// A key that is erased when it is dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key(pub(crate) [u8; 32]);

impl Key {
    pub(crate) fn draw(rng: &mut impl CryptoRng) -> Self {
        let mut key = Self([0; 32]);
        rng.fill_bytes(&mut key.0);
        key
    }

    /// Seals `content`. It opens only with the same `bound`: where it belongs.
    pub(crate) fn seal(&self, bound: &[u8], content: &[u8], rng: &mut impl CryptoRng) -> Vec<u8> {
        let mut nonce = [0; NONCE_BYTES];
        // Random, as 192 bits are enough for every record that anybody ever writes.
        rng.fill_bytes(&mut nonce);
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        let sealed = cipher
            .encrypt(&nonce.into(), Payload { msg: content, aad: bound })
            // Invariant: a record is far shorter than what the cipher can take.
            .expect("the content is shorter than 256 GiB");
        [&nonce[..], &sealed].concat()
    }

    /// Opens what [`seal`](Self::seal) made; `None` if it was changed, or is bound to something else.
    pub(crate) fn open(&self, bound: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE_BYTES>()?;
        let cipher = XChaCha20Poly1305::new(&self.0.into());
        let opened = cipher.decrypt(&(*nonce).into(), Payload { msg: sealed, aad: bound });
        opened.ok().map(Zeroizing::new)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

/// Bytes that fit into the longest record, of which `more` bytes are for something else.
pub(crate) const fn most_content(more: usize) -> usize {
    MOST_RECORD - more - SEALED_MORE - LENGTH_BYTES
}

/// Pads `content` so that it has, sealed and behind `more` bytes, the length of a class: 256 bytes, or twice, four times
/// and so on as many. Returns `None` if it does not fit into the longest.
pub(crate) fn pad(content: &[u8], more: usize) -> Option<Zeroizing<Vec<u8>>> {
    let around = more + SEALED_MORE;
    let needed = around + LENGTH_BYTES + content.len();
    let class = needed.next_power_of_two().max(LEAST_RECORD);
    if class > MOST_RECORD {
        return None;
    }
    let length = u32::try_from(content.len()).ok()?;
    // In one piece: a buffer that grows leaves copies behind.
    let mut padded = Zeroizing::new(Vec::with_capacity(class - around));
    padded.extend_from_slice(&length.to_be_bytes());
    padded.extend_from_slice(content);
    padded.resize(class - around, 0);
    Some(padded)
}

/// The content of what [`pad`] made.
pub(crate) fn unpad(padded: &[u8]) -> Option<&[u8]> {
    let (length, rest) = padded.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
    let (content, padding) = rest.split_at_checked(length)?;
    padding.iter().all(|byte| *byte == 0).then_some(content)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn a_record_shows_of_its_length_the_class_alone() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = Key::draw(&mut rng);
        let mut length_of = |length: usize| {
            let padded = pad(&vec![7; length], 4).unwrap();
            let sealed = key.seal(b"here", &padded, &mut rng);
            let opened = key.open(b"here", &sealed).unwrap();
            assert_eq!(unpad(&opened).unwrap(), vec![7; length]);
            4 + sealed.len()
        };
        let most = most_content(4);
        assert_eq!([0, 1, 208].map(&mut length_of), [256; 3]);
        assert_eq!([209, 464].map(&mut length_of), [512; 2]);
        assert_eq!([465, 976].map(&mut length_of), [1024; 2]);
        assert_eq!(length_of(most), MOST_RECORD);
        assert_eq!(pad(&vec![0; most + 1], 4), None);
    }

    #[test]
    fn what_was_changed_or_put_elsewhere_does_not_open() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let (key, other) = (Key::draw(&mut rng), Key::draw(&mut rng));
        let sealed = key.seal(b"here", b"content", &mut rng);
        assert_eq!(key.open(b"there", &sealed), None);
        assert_eq!(other.open(b"here", &sealed), None);
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(key.open(b"here", &changed), None, "byte {at}");
            assert_eq!(key.open(b"here", &sealed[..at]), None, "{at} bytes");
        }
    }
}
