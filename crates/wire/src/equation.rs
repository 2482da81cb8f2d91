//! The equation that an Ed25519 signature has to satisfy, wherever it is checked.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity as _;
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha512};

use crate::{Signable, Signature};

/// A signature (R, s) on m by A holds if 8 (s B - R - h A) is the neutral element, where h = H(R, A, m): the
/// equation of RFC 8032 with the cofactor. Batch verification needs the cofactor. Without it, points of small
/// order could cancel out in a sum, and signatures would hold together that do not hold alone.
///
/// A value of this type exists only for a canonical s, below the group's order, so that there is no second
/// signature for the same R, and for a key that is not of small order, for which anybody could sign.
pub(crate) struct Equation<'a> {
    pub(crate) r: EdwardsPoint,
    pub(crate) s: Scalar,
    /// h, before it is reduced.
    pub(crate) hash: [u8; 64],
    pub(crate) key: &'a VerifyingKey,
}

impl<'a> Equation<'a> {
    /// Returns `None` if `signature` is malformed, or `key` is of small order.
    pub(crate) fn of(
        statement: &impl Signable,
        signature: &Signature,
        key: &'a VerifyingKey,
    ) -> Option<Self> {
        if key.is_weak() {
            return None;
        }
        let (r, s) = signature.halves();
        let hash = Sha512::new().chain_update(r).chain_update(key.as_bytes());
        Some(Self {
            r: CompressedEdwardsY(*r).decompress()?,
            s: Option::from(Scalar::from_canonical_bytes(*s))?,
            hash: hash.chain_update(statement.signed_bytes()).finalize().into(),
            key,
        })
    }

    /// The challenge h, reduced modulo the group's order.
    pub(crate) fn h(&self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.hash)
    }

    /// Returns `true` if the signature is good. All of it is public, so it is not computed in constant time.
    pub(crate) fn holds(&self) -> bool {
        let minus_key = -self.key.to_edwards();
        let sum = EdwardsPoint::vartime_double_scalar_mul_basepoint(&self.h(), &minus_key, &self.s);
        (sum - self.r).mul_by_cofactor().is_identity()
    }
}
