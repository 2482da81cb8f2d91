//! Seal keys: one per shard and round, whose sum locks the seal layer.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::Identity;
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::KeyError;
use super::point::{GroupPoint, parse_scalar, public_key, random_scalar};

/// The secret half of a shard's seal key of one round. Drawn independently of every other, so that
/// erasing it erases it; released when the round is approved.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct SealSecretKey(Scalar);

impl SealSecretKey {
    /// Draws a fresh key from `rng`.
    pub fn generate<R: CryptoRng + ?Sized>(rng: &mut R) -> Self {
        Self(random_scalar(rng))
    }

    /// A released key. Check it with [`SealPublicKey::matches`] before use.
    ///
    /// # Errors
    /// If the bytes are not the canonical encoding of a scalar other than 0.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        parse_scalar(bytes).map(Self)
    }

    /// The scalar, little-endian, 32 bytes: what releasing the key publishes.
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Computes the public half, a torsion-free point.
    pub fn public_key(&self) -> SealPublicKey {
        SealPublicKey(GroupPoint::of_secret(&self.0))
    }

    pub(crate) fn scalar(&self) -> &Scalar {
        &self.0
    }
}

impl std::fmt::Debug for SealSecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealSecretKey(..)")
    }
}

/// The public half of a shard's seal key of one round.
#[derive(Clone, Copy)]
pub struct SealPublicKey(GroupPoint);

public_key!(SealPublicKey);

impl SealPublicKey {
    /// Returns `true` if `released` is the secret half of this key.
    pub fn matches(&self, released: &SealSecretKey) -> bool {
        released.public_key() == *self
    }
}

/// The group sum of all shards' seal keys of one round.
#[derive(Clone, Copy)]
pub struct JointSealKey(GroupPoint);

public_key!(JointSealKey);

impl JointSealKey {
    /// The sum of the shards' seal keys.
    ///
    /// # Errors
    /// If the sum is the identity, as that of no keys is.
    pub fn sum<'a>(keys: impl IntoIterator<Item = &'a SealPublicKey>) -> Result<Self, KeyError> {
        let sum = keys.into_iter().fold(EdwardsPoint::identity(), |sum, key| sum + key.0.point());
        GroupPoint::from_torsion_free(sum).map(Self)
    }
}
