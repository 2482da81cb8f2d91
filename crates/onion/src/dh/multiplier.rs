//! A receiver's factor for ephemeral keys, in the shape that X25519 takes.

use curve25519_dalek::scalar::Scalar;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// k = 8 (s / 8 mod l), for the sum s of a receiver's secrets, as a clamped scalar where there is one.
///
/// k is a multiple of 8 below 8 l = 2^255 + d, where d < 2^128, and X25519 libraries take multiples
/// of 8 from 2^254 up to but not including 2^255. On the curve every point's order divides 8 l, and
/// X25519 yields a u-coordinate, which a point shares with its negative: k and 8 l - k give the same
/// result. One of the two is in range unless k <= d or 8 l - k <= d. If 2^254 <= k < 2^255, k is;
/// if d < k < 2^254, then 2^254 < 8 l - k < 2^255. Neither is for two keys in 2^127; those take the
/// ladder over all 256 bits of k.
///
/// On the twist, k and 8 l - k differ. What X25519 gives for the one taken here *is* the result
/// there, with every kernel; no sender can know it, for that takes the secret.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(crate) struct Multiplier {
    bytes: [u8; 32],
    clamped: bool,
}

impl Multiplier {
    pub(crate) fn new(secret: &Scalar) -> Self {
        let mut eighth = secret * Scalar::from(8u8).invert();
        let mut k = times_8(&eighth);
        let mut other = times_8(&-eighth);
        let mut bytes = k;
        let in_range = |k: &[u8; 32]| (k[31] >> 6).ct_eq(&1);
        let take_other = !in_range(&k) & in_range(&other);
        // Chosen without a branch: which of the two it is would tell a bit of the secret.
        for (byte, other) in bytes.iter_mut().zip(&other) {
            byte.conditional_assign(other, take_other);
        }
        let clamped = in_range(&bytes).into();
        eighth.zeroize();
        k.zeroize();
        other.zeroize();
        Self { bytes, clamped }
    }

    /// The scalar, if it is one that X25519 takes as it is.
    pub(crate) fn clamped(&self) -> Option<&[u8; 32]> {
        self.clamped.then_some(&self.bytes)
    }

    /// The scalar as 256 bits, little-endian.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }
}

/// 8 times a reduced scalar, not reduced: below 8 l < 2^256.
fn times_8(scalar: &Scalar) -> [u8; 32] {
    let mut bytes = scalar.to_bytes();
    let mut carry = 0;
    for byte in &mut bytes {
        let shifted = u16::from(*byte) << 3 | carry;
        *byte = shifted as u8;
        carry = shifted >> 8;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use curve25519_dalek::edwards::EdwardsPoint;
    use curve25519_dalek::montgomery::MontgomeryPoint;
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    fn ladder(k: &[u8; 32], point: MontgomeryPoint) -> MontgomeryPoint {
        point.mul_bits_be((0..256).rev().map(|i| k[i / 8] >> (i % 8) & 1 == 1))
    }

    #[test]
    fn it_is_the_multiple_of_eight_congruent_to_the_secret_on_every_point_of_the_curve() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut secrets: Vec<_> = (0..40).map(|_| Scalar::random(&mut rng)).collect();
        let eight = Scalar::from(8u8);
        let unclamped = [Scalar::ONE, eight, -eight, eight * Scalar::from(u64::MAX)];
        secrets.extend(unclamped);
        for (i, secret) in secrets.iter().enumerate() {
            let multiplier = Multiplier::new(secret);
            let k = times_8(&(secret * eight.invert()));
            assert_eq!(multiplier.clamped().is_some(), i < 41, "{i}");
            assert_eq!(multiplier.bytes()[0] & 7, 0);
            for torsion in EIGHT_TORSION {
                let point =
                    (EdwardsPoint::mul_base(&Scalar::random(&mut rng)) + torsion).to_montgomery();
                assert_eq!(ladder(multiplier.bytes(), point), ladder(&k, point));
            }
            let point = EdwardsPoint::mul_base(&Scalar::random(&mut rng));
            let shared = ladder(multiplier.bytes(), point.to_montgomery());
            assert_eq!(shared, (point * secret).to_montgomery());
        }
    }
}
