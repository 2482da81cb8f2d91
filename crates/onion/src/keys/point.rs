//! Points of the prime-order group, as onion keys travel.

use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::IsIdentity;
use rand::CryptoRng;

use super::KeyError;

/// A torsion-free point other than the identity, with its compressed Edwards encoding.
#[derive(Clone, Copy)]
pub(crate) struct GroupPoint {
    point: EdwardsPoint,
    bytes: [u8; 32],
}

impl GroupPoint {
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let point = CompressedEdwardsY(bytes).decompress().ok_or(KeyError::Encoding)?;
        // Second encodings: y not reduced, or a sign where x is 0.
        if point.compress().0 != bytes {
            return Err(KeyError::Encoding);
        }
        if point.is_identity() {
            return Err(KeyError::Identity);
        }
        if !point.is_torsion_free() {
            return Err(KeyError::Torsion);
        }
        Ok(Self { point, bytes })
    }

    /// Of a point known to be torsion-free: a sum or multiple of such points.
    pub(crate) fn from_torsion_free(point: EdwardsPoint) -> Result<Self, KeyError> {
        if point.is_identity() {
            return Err(KeyError::Identity);
        }
        Ok(Self { point, bytes: point.compress().0 })
    }

    /// The public point of a secret, which is not 0.
    pub(crate) fn of_secret(secret: &Scalar) -> Self {
        let point = EdwardsPoint::mul_base(secret);
        Self { point, bytes: point.compress().0 }
    }

    pub(crate) fn point(&self) -> &EdwardsPoint {
        &self.point
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// A uniform scalar other than 0.
pub(super) fn random_scalar<R: CryptoRng + ?Sized>(rng: &mut R) -> Scalar {
    loop {
        let scalar = Scalar::random(rng);
        if scalar != Scalar::ZERO {
            return scalar;
        }
    }
}

/// The canonical encoding of a scalar other than 0.
pub(super) fn parse_scalar(bytes: [u8; 32]) -> Result<Scalar, KeyError> {
    match Option::<Scalar>::from(Scalar::from_canonical_bytes(bytes)) {
        Some(scalar) if scalar != Scalar::ZERO => Ok(scalar),
        _ => Err(KeyError::Scalar),
    }
}

/// Traits that every public key type shares: identity by encoding, printing in hexadecimal.
macro_rules! public_key {
    ($name:ident) => {
        impl $name {
            /// The encoding, 32 bytes.
            pub fn to_bytes(&self) -> [u8; 32] {
                *self.0.bytes()
            }
        }

        impl PartialEq for $name {
            fn eq(&self, other: &Self) -> bool {
                self.0.bytes() == other.0.bytes()
            }
        }

        impl Eq for $name {}

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(concat!(stringify!($name), "("))?;
                for byte in self.0.bytes() {
                    write!(f, "{byte:02x}")?;
                }
                f.write_str(")")
            }
        }
    };
}
pub(super) use public_key;
