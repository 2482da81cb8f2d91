//! A shard's onion key of an epoch.

use curve25519_dalek::scalar::Scalar;
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::KeyError;
use super::point::{GroupPoint, parse_scalar, public_key, random_scalar};

/// The secret half of a shard's onion key: a uniform scalar, in memory for one epoch only.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct OnionSecretKey(Scalar);

impl OnionSecretKey {
    /// Draws a fresh key from `rng`.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(random_scalar(rng))
    }

    /// The key of a little-endian scalar: test vectors and simulations; a shard generates its own.
    ///
    /// # Errors
    /// If the scalar is 0 or not reduced.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        parse_scalar(bytes).map(Self)
    }

    /// Computes the public half, a torsion-free point.
    pub fn public_key(&self) -> OnionPublicKey {
        OnionPublicKey(GroupPoint::of_secret(&self.0))
    }

    pub(crate) fn scalar(&self) -> &Scalar {
        &self.0
    }
}

impl std::fmt::Debug for OnionSecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OnionSecretKey(..)")
    }
}

/// The public half of a shard's onion key.
#[derive(Clone, Copy)]
pub struct OnionPublicKey(GroupPoint);

public_key!(OnionPublicKey);

impl OnionPublicKey {
    /// The key of a compressed Edwards point.
    ///
    /// # Errors
    /// If the bytes are not the canonical encoding of a torsion-free point other than the identity.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        GroupPoint::from_bytes(bytes).map(Self)
    }

    pub(crate) fn group_point(&self) -> &GroupPoint {
        &self.0
    }
}
