//! Checking many signatures of few signers at once.

use std::collections::BTreeMap;
use std::iter::once;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity as _, VartimeMultiscalarMul as _};
use ed25519_dalek::VerifyingKey;
use sha2::{Digest as _, Sha512};

use crate::{Signable, Signed};

/// Keeps the factors apart from whatever else is hashed.
const FACTORS: &str = "antiphon v1 factors of signatures checked together";

/// Whether all of `signed` are signed with the keys beside them. For many, this takes a third of the
/// time that [`Signed::verify`] takes for each, and a fifth if each signer signed a dozen of them.
///
/// One difference remains: a signer can make a signature, of its own, that holds here and not there,
/// by adding a point of small order. Nobody can sign for others either way.
///
/// A signature (R, s) on m by A holds if s B - R - h A is nothing, where h = H(R, A, m). All of those,
/// each times a factor of its own, are added up: terms with the same A come to one. As long as one of
/// them is anything but nothing, only one factor in l makes the sum nothing, whatever the others are,
/// and the factors, of 128 bits, are hashed from all that is checked. So whoever would have a wrong
/// signature pass has to try 2^128 sets of signatures.
///
/// All of it is public: nothing is done in constant time.
pub fn verify_together<T: Signable>(signed: &[(&Signed<T>, VerifyingKey)]) -> bool {
    sum_of(signed).is_some_and(|sum| sum.is_identity())
}

/// `None` if something is no signature, or no key that only one can sign with.
fn sum_of<T: Signable>(signed: &[(&Signed<T>, VerifyingKey)]) -> Option<EdwardsPoint> {
    let mut all = blake3::Hasher::new_derive_key(FACTORS);
    let mut hashes = Vec::with_capacity(signed.len());
    for (signed, key) in signed {
        let (r, s) = signed.signature().halves();
        let hash = Sha512::new().chain_update(r).chain_update(key.as_bytes());
        let hash: [u8; 64] = hash.chain_update(signed.claimed().signed_bytes()).finalize().into();
        all.update(&hash).update(s);
        hashes.push(hash);
    }
    let mut factors = all.finalize_xof();
    let mut base = Scalar::ZERO;
    let mut of_keys = BTreeMap::new();
    let mut scalars = Vec::with_capacity(2 * signed.len() + 1);
    let mut points = Vec::with_capacity(2 * signed.len() + 1);
    for ((signed, key), hash) in signed.iter().zip(&hashes) {
        let mut factor = [0; 16];
        factors.fill(&mut factor);
        let factor = Scalar::from(u128::from_le_bytes(factor));
        let (r, s) = signed.signature().halves();
        base -= factor * Option::<Scalar>::from(Scalar::from_canonical_bytes(*s))?;
        scalars.push(factor);
        points.push(CompressedEdwardsY(*r).decompress());
        let (of_key, _) = of_keys.entry(key.as_bytes()).or_insert((Scalar::ZERO, key));
        *of_key += factor * Scalar::from_bytes_mod_order_wide(hash);
    }
    for (scalar, key) in of_keys.into_values() {
        if key.is_weak() {
            return None;
        }
        scalars.push(scalar);
        points.push(Some(key.to_edwards()));
    }
    let scalars = scalars.into_iter().chain(once(base));
    let points = points.into_iter().chain(once(Some(ED25519_BASEPOINT_POINT)));
    EdwardsPoint::optional_multiscalar_mul(scalars, points)
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;
    use ed25519_dalek::hazmat::ExpandedSecretKey;

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

    /// `each` oaths of each of `signers`, the first one's oaths first.
    fn oaths(signers: u8, each: u64) -> Vec<(Signed<Oath>, VerifyingKey)> {
        let of = |seed| (0..each).map(move |i| Signed::new(Oath(i), &key(seed)));
        (0..signers)
            .flat_map(|seed| of(seed).map(move |o| (o, key(seed).verifying_key())))
            .collect()
    }

    fn together(oaths: &[(Signed<Oath>, VerifyingKey)]) -> bool {
        let oaths: Vec<_> = oaths.iter().map(|(oath, key)| (oath, *key)).collect();
        verify_together(&oaths)
    }

    fn alone((oath, key): &(Signed<Oath>, VerifyingKey)) -> bool {
        oath.verify(&IdentityKey(key.to_bytes())).is_ok()
    }

    /// With `change` made to the signature of one oath.
    fn changed(
        (oath, by): &(Signed<Oath>, VerifyingKey),
        change: impl Fn(&mut [u8; 64]),
    ) -> (Signed<Oath>, VerifyingKey) {
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

    /// The one difference: its maker alone can make such a signature, and it never holds for others.
    #[test]
    fn a_point_of_small_order_may_pass_with_its_maker_only() {
        // -1, a point of order two.
        let mut small = [0xff; 32];
        (small[0], small[31]) = (0xec, 0x7f);
        let small = CompressedEdwardsY(small).decompress().unwrap();
        let maker = key(1);
        let secret = ExpandedSecretKey::from(&maker.to_bytes());
        let nonce = Scalar::from(7_u8);
        let r = (ED25519_BASEPOINT_POINT * nonce + small).compress();
        let passed = (0..32).filter(|i| {
            let oath = Oath(*i);
            let by = maker.verifying_key();
            let hash = Sha512::new().chain_update(r.as_bytes()).chain_update(by.as_bytes());
            let hash: [u8; 64] = hash.chain_update(oath.signed_bytes()).finalize().into();
            let s = nonce + Scalar::from_bytes_mod_order_wide(&hash) * secret.scalar;
            let mut signature = [0; 64];
            signature[..32].copy_from_slice(r.as_bytes());
            signature[32..].copy_from_slice(s.as_bytes());
            let oath = (Signed::with_signature(oath, Signature(signature)), by);
            assert!(!alone(&oath));
            let passed = together(std::slice::from_ref(&oath));
            let for_other = (oath.0, key(2).verifying_key());
            assert!(!together(&[for_other]));
            passed
        });
        assert!((1..32).contains(&passed.count()), "as its factor is even or odd");
    }
}
