//! Batch verification: many signatures of few signers at once.

use std::collections::BTreeMap;
use std::iter::once;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity as _, VartimeMultiscalarMul as _};
use ed25519_dalek::VerifyingKey;

use crate::equation::Equation;
use crate::{Signable, Signed};

/// Domain of the factors' hash, apart from whatever else is hashed.
const FACTORS: &str = "antiphon v1 factors of signatures checked together";

/// Returns `true` if all of `signed` are signed with the keys beside them, as [`Signed::verify`] would find
/// of each. For many, this takes a third of the time, and a fifth if each signer signed a dozen of them.
///
/// The [equations](Equation) are added up, each times a random factor of its own, and terms with the same key
/// are gathered. If any equation does not hold, at most one factor in l makes the sum vanish, whatever the
/// others are. The factors, of 128 bits, are hashed from all that is checked, so that whoever would have a
/// wrong signature pass has to try 2^128 sets of signatures.
///
/// All of it is public: nothing is done in constant time.
pub fn verify_together<T: Signable>(signed: &[(&Signed<T>, VerifyingKey)]) -> bool {
    let equations =
        signed.iter().map(|(signed, key)| Equation::of(signed.claimed(), signed.signature(), key));
    let equations: Option<Vec<_>> = equations.collect();
    equations.is_some_and(|equations| sum_of(&equations).mul_by_cofactor().is_identity())
}

fn sum_of(equations: &[Equation<'_>]) -> EdwardsPoint {
    // The factors depend on every signature: nobody can choose one signature to suit another's factor.
    let mut all = blake3::Hasher::new_derive_key(FACTORS);
    for equation in equations {
        all.update(&equation.hash).update(equation.s.as_bytes());
    }
    let mut factors = all.finalize_xof();
    let mut base = Scalar::ZERO;
    let mut of_keys = BTreeMap::new();
    let mut scalars = Vec::with_capacity(2 * equations.len() + 1);
    let mut points = Vec::with_capacity(2 * equations.len() + 1);
    for equation in equations {
        let mut factor = [0; 16];
        factors.fill(&mut factor);
        let factor = Scalar::from(u128::from_le_bytes(factor));
        base -= factor * equation.s;
        scalars.push(factor);
        points.push(equation.r);
        // A signer of many batches costs one point in the sum, not one for each signature.
        let key = equation.key;
        let (of_key, _) = of_keys.entry(key.as_bytes()).or_insert((Scalar::ZERO, key));
        *of_key += factor * equation.h();
    }
    for (scalar, key) in of_keys.into_values() {
        scalars.push(scalar);
        points.push(key.to_edwards());
    }
    EdwardsPoint::vartime_multiscalar_mul(
        scalars.iter().chain(once(&base)),
        points.iter().chain(once(&ED25519_BASEPOINT_POINT)),
    )
}

#[cfg(test)]
mod tests {
    use curve25519_dalek::constants::EIGHT_TORSION;
    use ed25519_dalek::SigningKey;
    use ed25519_dalek::hazmat::ExpandedSecretKey;
    use sha2::{Digest as _, Sha512};

    use super::*;
    use crate::codec::Encode;
    use crate::{IdentityKey, Signature};

    #[derive(Clone)]
    struct Oath(u64);

    impl Encode for Oath {
        fn encode(&self, out: &mut Vec<u8>) {
            self.0.encode(out);
        }
    }
    impl Signable for Oath {
        const CONTEXT: &'static str = "test oath";
    }

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    /// A signed oath and the key that it is said to be signed with.
    type Made = (Signed<Oath>, VerifyingKey);

    /// `each` oaths of each of `signers`, the first one's oaths first.
    fn oaths(signers: u8, each: u64) -> Vec<Made> {
        let of = |seed| (0..each).map(move |i| Signed::new(Oath(i), &key(seed)));
        (0..signers)
            .flat_map(|seed| of(seed).map(move |o| (o, key(seed).verifying_key())))
            .collect()
    }

    fn together(oaths: &[Made]) -> bool {
        let oaths: Vec<_> = oaths.iter().map(|(oath, key)| (oath, *key)).collect();
        verify_together(&oaths)
    }

    fn alone((oath, key): &Made) -> bool {
        oath.verify(&IdentityKey(key.to_bytes())).is_ok()
    }

    /// With `change` made to the signature of one oath.
    fn changed((oath, by): &Made, change: impl Fn(&mut [u8; 64])) -> Made {
        let mut signature = *oath.signature();
        change(&mut signature.0);
        (Signed::with_signature(Oath(oath.claimed().0), signature), *by)
    }

    #[test]
    fn they_hold_together_if_each_does() {
        assert!(together(&[]));
        for (signers, each) in [(1, 1), (1, 20), (20, 1), (3, 5), (19, 14)] {
            assert!(together(&oaths(signers, each)), "{signers} signers of {each}");
        }
        let mut same = oaths(2, 3);
        same.extend(oaths(2, 3));
        assert!(together(&same), "the same ones again");
    }

    #[test]
    fn one_that_does_not_hold_spoils_them_all() {
        // Below and above where the sum is computed in another way.
        for (signers, each) in [(1, 1), (4, 5), (20, 14)] {
            let mut all = oaths(signers, each);
            let places = [0, all.len() / 2, all.len() - 1];
            for place in places {
                let good = all[place].clone();
                let other = Signed::with_signature(Oath(u64::MAX), *good.0.signature());
                let spoilt = [
                    (other, good.1),
                    (good.0.clone(), key(200).verifying_key()),
                    changed(&good, |signature| signature[3] ^= 1),
                    changed(&good, |signature| signature[40] ^= 1),
                    changed(&good, |signature| signature[..32].fill(0xff)),
                    changed(&good, |signature| signature.fill(0)),
                ];
                for spoilt in spoilt {
                    assert!(!alone(&spoilt));
                    all[place] = spoilt;
                    assert!(!together(&all), "place {place} of {}", all.len());
                }
                all[place] = good;
            }
            assert!(together(&all));
        }
    }

    #[test]
    fn faults_that_cancel_out_do_not_hold() {
        let mut all = oaths(1, 2);
        let add = |signature: &mut [u8; 64], more: Scalar| {
            let s = Scalar::from_bytes_mod_order(*signature[32..].first_chunk().unwrap());
            signature[32..].copy_from_slice(&(s + more).to_bytes());
        };
        all[0] = changed(&all[0], |signature| add(signature, Scalar::ONE));
        all[1] = changed(&all[1], |signature| add(signature, -Scalar::ONE));
        assert!(!together(&all));
        // Nor do signatures that change places.
        let mut all = oaths(2, 1);
        let second = *all[1].0.signature();
        all[1] = changed(&all[0], |_| {});
        all[0] = changed(&all[0], |signature| *signature = second.0);
        assert!(!together(&all));
    }

    /// What is s + l proves as much as s, but must not be a second signature.
    #[test]
    fn a_number_that_is_not_reduced_is_no_signature() {
        let order = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut all = oaths(3, 3);
        all[4] = changed(&all[4], |signature| {
            let mut carry = 0;
            for (byte, of_order) in signature[32..].iter_mut().zip(order) {
                let sum = u16::from(*byte) + of_order + carry;
                *byte = sum as u8;
                carry = sum >> 8;
            }
        });
        assert!(!alone(&all[4]) && !together(&all));
    }

    /// With a key of small order, everybody could sign everything.
    #[test]
    fn a_key_of_small_order_signs_nothing() {
        let weak = VerifyingKey::from_bytes(&{
            let mut one = [0; 32];
            one[0] = 1;
            one
        });
        let weak = weak.unwrap();
        let s = Scalar::from(5_u8);
        let mut signature = [0; 64];
        signature[..32].copy_from_slice((ED25519_BASEPOINT_POINT * s).compress().as_bytes());
        signature[32..].copy_from_slice(s.as_bytes());
        let oath = (Signed::with_signature(Oath(1), Signature(signature)), weak);
        assert!(!alone(&oath));
        let mut all = oaths(2, 2);
        all.push(oath);
        assert!(!together(&all));
    }

    /// A signature by `maker` whose R has `stray` added to it.
    fn astray(oath: Oath, maker: &SigningKey, nonce: Scalar, stray: EdwardsPoint) -> Made {
        let secret = ExpandedSecretKey::from(&maker.to_bytes());
        let by = maker.verifying_key();
        let r = (ED25519_BASEPOINT_POINT * nonce + stray).compress();
        let hash = Sha512::new().chain_update(r.as_bytes()).chain_update(by.as_bytes());
        let hash: [u8; 64] = hash.chain_update(oath.signed_bytes()).finalize().into();
        let s = nonce + Scalar::from_bytes_mod_order_wide(&hash) * secret.scalar;
        let mut signature = [0; 64];
        signature[..32].copy_from_slice(r.as_bytes());
        signature[32..].copy_from_slice(s.as_bytes());
        (Signed::with_signature(oath, Signature(signature)), by)
    }

    /// Checked without the cofactor, those with a point of small order would hold together in some
    /// company and not in other, and never alone.
    #[test]
    fn the_same_signatures_hold_alone_and_together() {
        let company = oaths(2, 2);
        for (i, small) in (0..).zip(EIGHT_TORSION) {
            for nonce in [Scalar::from(7_u8), Scalar::ZERO] {
                let made: Vec<Made> =
                    (0..4).map(|j| astray(Oath(4 * i + j), &key(1), nonce, small)).collect();
                assert!(made.iter().all(alone));
                assert!(made.iter().all(|one| together(std::slice::from_ref(one))));
                assert!(together(&made));
                assert!(together(&[&made[..1], &company[..]].concat()));
                for one in made {
                    let for_other = (one.0, key(2).verifying_key());
                    assert!(!alone(&for_other) && !together(std::slice::from_ref(&for_other)));
                }
            }
            // What strays by more than that holds nowhere.
            let stray = small + ED25519_BASEPOINT_POINT;
            let one = astray(Oath(i), &key(1), Scalar::ONE, stray);
            assert!(!alone(&one) && !together(std::slice::from_ref(&one)));
        }
    }
}
