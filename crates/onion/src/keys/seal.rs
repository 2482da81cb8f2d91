//! Seal keys: one per shard and round, whose sum locks the seal layer. Public halves and their sums travel
//! as an [eighth](super::eighth) of themselves.

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use rand::CryptoRng;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::KeyError;
use super::eighth::Eighth;
use super::point::{parse_scalar, public_key, random_scalar};

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

    /// Computes the public half.
    pub fn public_key(&self) -> SealPublicKey {
        SealPublicKey(Eighth::of_secret(&self.0))
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
pub struct SealPublicKey(Eighth);

public_key!(SealPublicKey);

impl SealPublicKey {
    /// The key of which the bytes encode an eighth.
    ///
    /// # Errors
    /// If the bytes are not the canonical encoding of a point, or the key is the identity.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        Eighth::from_bytes(bytes).map(Self)
    }

    /// Returns `true` if `released` is the secret half of this key.
    pub fn matches(&self, released: &SealSecretKey) -> bool {
        EdwardsPoint::mul_base(&released.0) == self.0.whole()
    }

    /// A point whose eightfold is the key.
    pub(crate) fn eighth(&self) -> &EdwardsPoint {
        self.0.point()
    }
}

/// The group sum of all shards' seal keys of one round.
#[derive(Clone, Copy)]
pub struct JointSealKey(Eighth);

public_key!(JointSealKey);

impl JointSealKey {
    /// The key of which the bytes encode an eighth.
    ///
    /// # Errors
    /// If the bytes are not the canonical encoding of a point, or the key is the identity.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        Eighth::from_bytes(bytes).map(Self)
    }

    /// The sum of the shards' seal keys.
    ///
    /// # Errors
    /// If the sum is the identity, as that of no keys is.
    pub fn sum<'a>(keys: impl IntoIterator<Item = &'a SealPublicKey>) -> Result<Self, KeyError> {
        let mut sum = SealKeySum::default();
        keys.into_iter().for_each(|key| sum.add(key));
        sum.key()
    }

    /// Returns `true` if both stand for the same key: it can travel in eight forms.
    pub fn is_the_key(&self, other: &Self) -> bool {
        self.point() == other.point()
    }

    /// The key itself, a torsion-free point.
    pub(crate) fn point(&self) -> EdwardsPoint {
        self.0.whole()
    }
}

/// A sum of seal keys that come one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct SealKeySum(EdwardsPoint);

impl SealKeySum {
    /// Adds a shard's seal key.
    pub fn add(&mut self, key: &SealPublicKey) {
        self.0 += key.eighth();
    }

    /// The sum of the keys added so far.
    ///
    /// # Errors
    /// If it is the identity, as that of no keys is.
    pub fn key(&self) -> Result<JointSealKey, KeyError> {
        Eighth::from_point(self.0).map(JointSealKey)
    }
}
