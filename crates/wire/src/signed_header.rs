//! Batch headers and the signature that those of a layer share.

use ed25519_dalek::SigningKey;

use crate::codec::{Decode, DecodeError, Encode, Reader, record};
use crate::{BadSignature, BatchHeader, Digest, IdentityKey, Signable, Signature, Signed};

/// The most headers that one signature covers are 2 to the power of this.
const MOST_LEVELS: usize = 16;

record! {
    /// Statement that covers the headers of many batches at once, as the root of a hash tree.
    ///
    /// A leaf is the hash of a header, and a node that of its two children. At an odd end the last node goes
    /// up unchanged. A header takes 60 bytes and two children take 64, so that no leaf is a node.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct HeaderList {
        /// Root of the tree over the headers.
        pub root: Digest,
    }
}

impl Signable for HeaderList {
    const CONTEXT: &'static str = "antiphon v1 batch headers";
}

/// A batch header with its sender's signature, not yet verified. It stands by itself: whoever has it can
/// prove which batch its sender announced, without the other headers of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedHeader {
    unverified: BatchHeader,
    /// Sides of the siblings on the way from the leaf to the root: 1 if the sibling is on the left, the
    /// leaf's in the lowest bit.
    sides: u16,
    /// Siblings on that way, from the leaf up.
    siblings: Vec<Digest>,
    signature: Signature,
}

impl SignedHeader {
    /// Signs one header with `key`.
    pub fn new(header: BatchHeader, key: &SigningKey) -> Self {
        let signature = HeaderList { root: leaf(&header) }.sign_with(key);
        Self { unverified: header, sides: 0, siblings: Vec::new(), signature }
    }

    /// Signs all `headers` with `key`, for about as much as one costs. No two of them have to be for the
    /// same receiver, round or layer, and none tells its receiver more about the others than a hash.
    pub fn sign_all(headers: Vec<BatchHeader>, key: &SigningKey) -> Vec<Self> {
        let mut signed = Vec::with_capacity(headers.len());
        let mut headers = headers.into_iter();
        loop {
            let list: Vec<_> = headers.by_ref().take(1 << MOST_LEVELS).collect();
            if list.is_empty() {
                return signed;
            }
            signed.extend(sign_list(list, key));
        }
    }

    /// Header as claimed, for finding out whose key to verify it with.
    pub const fn claimed(&self) -> &BatchHeader {
        &self.unverified
    }

    /// The list that this header is in and the signature on it, to be checked: if its signer signed
    /// that, it signed the header.
    pub fn list(&self) -> Signed<HeaderList> {
        let mut hash = leaf(&self.unverified);
        // A node is hashed with its sibling, in the order that they have in the tree.
        for (level, sibling) in self.siblings.iter().enumerate() {
            let right = self.sides >> level & 1 == 1;
            hash = if right { node(sibling, &hash) } else { node(&hash, sibling) };
        }
        Signed::with_signature(HeaderList { root: hash }, self.signature)
    }

    /// The header, once its signature is checked against `signer`.
    ///
    /// # Errors
    /// If `signer` did not sign a list with this header.
    pub fn verify(&self, signer: &IdentityKey) -> Result<&BatchHeader, BadSignature> {
        self.list().verify(signer)?;
        Ok(&self.unverified)
    }
}

fn leaf(header: &BatchHeader) -> Digest {
    let mut bytes = Vec::with_capacity(64);
    header.encode(&mut bytes);
    Digest::of(&bytes)
}

fn node(left: &Digest, right: &Digest) -> Digest {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&left.0);
    bytes[32..].copy_from_slice(&right.0);
    Digest::of(&bytes)
}

/// Signs no more headers than fit under one root, and at least one.
fn sign_list(headers: Vec<BatchHeader>, key: &SigningKey) -> Vec<SignedHeader> {
    let mut level: Vec<Digest> = headers.iter().map(leaf).collect();
    let mut ways: Vec<(u16, Vec<Digest>)> = vec![(0, Vec::new()); headers.len()];
    // Leaves under one node of this level, a power of two.
    let mut width = 1;
    while level.len() > 1 {
        for (i, (sides, siblings)) in ways.iter_mut().enumerate() {
            let position = i / width;
            // The last node of an odd level has no sibling, and its leaves' way gets no step here.
            if let Some(sibling) = level.get(position ^ 1) {
                *sides |= ((position & 1) as u16) << siblings.len();
                siblings.push(*sibling);
            }
        }
        level = level
            .chunks(2)
            .map(|children| match children {
                [left, right] => node(left, right),
                _ => children[0],
            })
            .collect();
        width *= 2;
    }
    // All headers share the one signature: a list is never empty.
    let signature = level.first().map(|&root| HeaderList { root }.sign_with(key));
    let signed = headers.into_iter().zip(ways).zip(signature.into_iter().cycle());
    signed
        .map(|((unverified, (sides, siblings)), signature)| SignedHeader {
            unverified,
            sides,
            siblings,
            signature,
        })
        .collect()
}

impl Encode for SignedHeader {
    fn encode(&self, out: &mut Vec<u8>) {
        self.unverified.encode(out);
        self.sides.encode(out);
        self.siblings.encode(out);
        self.signature.encode(out);
    }
}

impl Decode for SignedHeader {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let unverified = BatchHeader::decode(input)?;
        let sides = u16::decode(input)?;
        let siblings = Vec::<Digest>::decode(input)?;
        let signature = Signature::decode(input)?;
        // A way is no longer than `sides` has bits.
        if siblings.len() > MOST_LEVELS {
            return Err(DecodeError::OutOfRange("the number of a header's siblings"));
        }
        // Bits without a sibling must be 0, or one header would have several encodings.
        if u32::from(sides) >> siblings.len() != 0 {
            return Err(DecodeError::OutOfRange("the side of a header's siblings"));
        }
        Ok(Self { unverified, sides, siblings, signature })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Direction, Epoch, Layer, Round, ShardIndex};

    fn headers(count: u16) -> Vec<BatchHeader> {
        let header = |receiver| BatchHeader {
            version: 1,
            epoch: Epoch(1),
            round: Round(2),
            layer: Layer(3),
            direction: Direction::Forward,
            sender: ShardIndex(4),
            receiver: ShardIndex(receiver),
            count: 5,
            hash: Digest([6; 32]),
        };
        (0..count).map(header).collect()
    }

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[7; 32])
    }

    #[test]
    fn each_of_a_list_is_signed_and_stands_by_itself() {
        let me = IdentityKey::of(&key());
        for count in [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 19, 20, 31, 32, 33, 100] {
            let all = SignedHeader::sign_all(headers(count), &key());
            assert_eq!(all.len(), usize::from(count));
            for (signed, header) in all.iter().zip(headers(count)) {
                assert_eq!(signed.verify(&me), Ok(&header));
                assert!(signed.siblings.len() <= count.next_power_of_two().ilog2() as usize);
                assert_eq!(SignedHeader::from_bytes(&signed.to_bytes()).as_ref(), Ok(signed));
            }
        }
        let alone = SignedHeader::new(headers(1)[0], &key());
        assert_eq!(SignedHeader::sign_all(headers(1), &key()), [alone]);
    }

    #[test]
    fn no_other_header_or_signer_or_place_holds() {
        let me = IdentityKey::of(&key());
        let other = IdentityKey::of(&SigningKey::from_bytes(&[8; 32]));
        let all = SignedHeader::sign_all(headers(7), &key());
        for (i, signed) in all.iter().enumerate() {
            assert!(signed.verify(&other).is_err());
            let mut changed = signed.clone();
            changed.unverified.count += 1;
            assert!(changed.verify(&me).is_err());
            let mut moved = signed.clone();
            moved.sides ^= 1;
            assert!(moved.verify(&me).is_err());
            let mut cut = signed.clone();
            cut.siblings.pop();
            assert!(cut.verify(&me).is_err());
            let mut swapped = signed.clone();
            swapped.unverified = *all[(i + 1) % 7].claimed();
            assert!(swapped.verify(&me).is_err());
        }
    }

    #[test]
    fn a_header_has_one_form() {
        let signed = SignedHeader::sign_all(headers(3), &key()).remove(0);
        assert_eq!(signed.siblings.len(), 2);
        let mut sides = signed.clone();
        sides.sides |= 1 << 2;
        assert!(SignedHeader::from_bytes(&sides.to_bytes()).is_err());
        let mut siblings = signed;
        siblings.siblings = vec![Digest::default(); MOST_LEVELS + 1];
        assert!(SignedHeader::from_bytes(&siblings.to_bytes()).is_err());
        siblings.siblings.pop();
        siblings.sides = u16::MAX;
        assert!(SignedHeader::from_bytes(&siblings.to_bytes()).is_ok());
    }
}
