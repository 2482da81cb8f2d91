//! The Diffie-Hellman of a whole batch.
//!
//! Everything else in the crate sees 32-byte strings. An all-zero shared secret means "refused".

mod portable;

use curve25519_dalek::scalar::Scalar;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::HopKey;

/// How many onions, or hops, go into one call: enough that their shared field inversion costs next to
/// nothing each, few enough that their points stay in the cache.
pub(crate) const CHUNK: usize = 128;

/// What a receiver multiplies ephemeral keys by: k = 8 (s / 8 mod l), for the sum s of its secrets.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Multiplier {
    eighth: Scalar,
}

impl Multiplier {
    pub(crate) fn new(secret: &Scalar) -> Self {
        Self { eighth: secret * Scalar::from(8u8).invert() }
    }

    /// s / 8 mod l.
    pub(crate) fn eighth(&self) -> &Scalar {
        &self.eighth
    }

    /// k as 256 bits, little-endian: below 8 l < 2^256, neither clamped nor reduced.
    #[cfg(test)]
    pub(crate) fn to_bytes(&self) -> [u8; 32] {
        let mut bytes = self.eighth.to_bytes();
        let mut carry = 0;
        for byte in &mut bytes {
            let shifted = u16::from(*byte) << 3 | carry;
            *byte = shifted as u8;
            carry = shifted >> 8;
        }
        bytes
    }
}

/// The receiver's side: `shared[i]` is the u-coordinate of k times `ephemerals[i]`, all-zero if that
/// is the identity or the ephemeral key lies on the twist.
///
/// Ephemeral keys are read as in RFC 7748: bit 255 ignored, the rest reduced mod p.
pub(crate) fn receive_batch(
    multiplier: &Multiplier,
    ephemerals: &[[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    assert_eq!(ephemerals.len(), shared.len());
    portable::receive_batch(multiplier, ephemerals, shared);
}

/// The sender's side: for each clamped ephemeral secret its public key and the secret shared with
/// the hop it goes to.
pub(crate) fn send_batch<'a>(
    secrets: &[[u8; 32]],
    keys: impl Iterator<Item = &'a HopKey>,
    ephemerals: &mut [[u8; 32]],
    shared: &mut [[u8; 32]],
) {
    assert!(secrets.len() == ephemerals.len() && secrets.len() == shared.len());
    portable::send_batch(secrets, keys, ephemerals, shared);
}

#[cfg(test)]
mod tests;
