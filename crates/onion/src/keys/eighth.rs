//! Points that travel as an eighth of themselves.
//!
//! Eight times any point of the curve is in the prime-order group: whatever is read stands for a key
//! without a component of small order, and nobody spends a multiplication on finding out.

use std::sync::LazyLock;

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use zeroize::Zeroize;

use super::KeyError;

/// A point whose eightfold is not the identity, with its compressed Edwards encoding.
#[derive(Clone, Copy)]
pub(crate) struct Eighth {
    point: EdwardsPoint,
    bytes: [u8; 32],
}

impl Eighth {
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        if !is_reduced(&bytes) {
            return Err(KeyError::Encoding);
        }
        let point = CompressedEdwardsY(bytes).decompress().ok_or(KeyError::Encoding)?;
        // The other second encodings, a sign where x is 0, are of points of small order.
        Self { point, bytes }.checked()
    }

    pub(crate) fn from_point(point: EdwardsPoint) -> Result<Self, KeyError> {
        Self { point, bytes: point.compress().0 }.checked()
    }

    /// Of the key with this secret, which is not 0.
    pub(crate) fn of_secret(secret: &Scalar) -> Self {
        let mut part = secret * eighth();
        let point = EdwardsPoint::mul_base(&part);
        part.zeroize();
        Self { point, bytes: point.compress().0 }
    }

    fn checked(self) -> Result<Self, KeyError> {
        if self.whole().is_identity() { Err(KeyError::Identity) } else { Ok(self) }
    }

    /// The key that it stands for.
    pub(crate) fn whole(&self) -> EdwardsPoint {
        self.point.mul_by_cofactor()
    }

    pub(crate) fn point(&self) -> &EdwardsPoint {
        &self.point
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// The inverse of 8 modulo the group order.
pub(crate) fn eighth() -> Scalar {
    static EIGHTH: LazyLock<Scalar> = LazyLock::new(|| Scalar::from(8_u8).invert());
    *EIGHTH
}

/// Returns `true` if the y of an encoding is below p = 2^255 - 19.
fn is_reduced(bytes: &[u8; 32]) -> bool {
    let [lowest, middle @ .., highest] = bytes;
    *lowest < 0xed || highest & 0x7f != 0x7f || middle.iter().any(|byte| *byte != 0xff)
}
