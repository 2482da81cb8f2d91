//! The two keys of a hop: a sender encrypts to one, and the receiver opens with the other.

use std::sync::Arc;

use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::dh::{Kernel, KeyTable, Multiplier};
use crate::keys::GroupPoint;
use crate::{
    JointSealKey, KemPublicKey, KemSecretKey, KeyError, OnionPublicKey, OnionSecretKey,
    SealSecretKey,
};

/// The key that a sender encrypts one hop to: a shard's onion key, or at the seal layer its sum with the
/// round's joint seal key.
pub struct HopKey {
    point: EdwardsPoint,
    /// The key's u-coordinate, which key derivation takes as "the shard's key".
    u: [u8; 32],
    sealed: bool,
    table: Option<KeyTable>,
    kem: Option<Arc<KemPublicKey>>,
}

impl HopKey {
    /// The key of an ordinary layer.
    pub fn plain(key: &OnionPublicKey) -> Self {
        Self::new(key.group_point(), false)
    }

    /// The key of the seal layer.
    ///
    /// # Errors
    /// If the two keys cancel each other.
    pub fn sealed(key: &OnionPublicKey, joint: &JointSealKey) -> Result<Self, KeyError> {
        let sum = key.group_point().point() + joint.point();
        Ok(Self::new(&GroupPoint::from_torsion_free(sum)?, true))
    }

    /// The keys of the seal layer of all these shards, in their order: [`HopKey::sealed`] of each, but
    /// with one field inversion for all, which leaves little of what a key costs.
    ///
    /// # Errors
    /// If one of the keys and the joint key cancel each other.
    pub fn sealed_each(
        keys: &[OnionPublicKey],
        joint: &JointSealKey,
    ) -> Result<Vec<Self>, KeyError> {
        let joint = joint.point();
        let sums: Vec<_> = keys.iter().map(|key| key.group_point().point() + joint).collect();
        if sums.iter().any(EdwardsPoint::is_identity) {
            return Err(KeyError::Identity);
        }
        let us = EdwardsPoint::to_montgomery_batch(&sums);
        let key = |(point, u): (EdwardsPoint, MontgomeryPoint)| Self {
            point,
            u: u.to_bytes(),
            sealed: true,
            table: None,
            kem: None,
        };
        Ok(sums.into_iter().zip(us).map(key).collect())
    }

    fn new(key: &GroupPoint, sealed: bool) -> Self {
        let point = *key.point();
        Self { point, u: point.to_montgomery().to_bytes(), sealed, table: None, kem: None }
    }

    /// The same key with the shard's ML-KEM key beside it, if it has one: suite 2 encrypts to both.
    #[must_use]
    pub fn with_kem(self, key: impl Into<Option<Arc<KemPublicKey>>>) -> Self {
        Self { kem: key.into(), ..self }
    }

    pub(crate) fn kem(&self) -> Option<&KemPublicKey> {
        self.kem.as_deref()
    }

    /// The same key with a table of its multiples (30 KiB), which makes building several times
    /// faster with the kernel that is selected now. Worth it for keys that many onions are built to:
    /// an epoch's onion keys.
    #[must_use]
    pub fn with_table(self) -> Self {
        self.with_table_for(Kernel::selected())
    }

    pub(crate) fn with_table_for(mut self, kernel: Kernel) -> Self {
        self.table = Some(KeyTable::new(kernel, &self.point));
        self
    }

    /// Returns `true` for a key of the seal layer.
    pub fn is_sealed(&self) -> bool {
        self.sealed
    }

    /// The u-coordinate that senders and receivers agree on, 32 bytes.
    pub fn u(&self) -> &[u8; 32] {
        &self.u
    }

    pub(crate) fn table(&self) -> Option<&KeyTable> {
        self.table.as_ref()
    }
}

impl std::fmt::Debug for HopKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HopKey").field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

/// The key that a shard opens one layer's onions with.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct PeelKey {
    multiplier: Multiplier,
    u: [u8; 32],
    /// Erases itself with the last key that has it.
    #[zeroize(skip)]
    kem: Option<Arc<KemSecretKey>>,
}

impl PeelKey {
    /// The key of an ordinary layer.
    pub fn plain(key: &OnionSecretKey) -> Self {
        Self::new(key.scalar())
    }

    /// The key of the seal layer: the shard's own onion key and the released seal keys of *all*
    /// shards, its own included.
    ///
    /// # Errors
    /// If the secrets cancel each other.
    pub fn sealed<'a>(
        key: &OnionSecretKey,
        seals: impl IntoIterator<Item = &'a SealSecretKey>,
    ) -> Result<Self, KeyError> {
        let mut sum = seals.into_iter().fold(*key.scalar(), |sum, seal| sum + seal.scalar());
        if sum == Scalar::ZERO {
            return Err(KeyError::Identity);
        }
        let peel = Self::new(&sum);
        sum.zeroize();
        Ok(peel)
    }

    fn new(secret: &Scalar) -> Self {
        let u = EdwardsPoint::mul_base(secret).to_montgomery().to_bytes();
        Self { multiplier: Multiplier::new(secret), u, kem: None }
    }

    /// The same key with the shard's ML-KEM key beside it, if it has one: suite 2 needs both.
    #[must_use]
    pub fn with_kem(mut self, key: impl Into<Option<Arc<KemSecretKey>>>) -> Self {
        self.kem = key.into();
        self
    }

    pub(crate) fn kem(&self) -> Option<&KemSecretKey> {
        self.kem.as_deref()
    }

    /// The u-coordinate that senders and receivers agree on, 32 bytes.
    pub fn u(&self) -> &[u8; 32] {
        &self.u
    }

    pub(crate) fn multiplier(&self) -> &Multiplier {
        &self.multiplier
    }
}

impl std::fmt::Debug for PeelKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PeelKey(..)")
    }
}
