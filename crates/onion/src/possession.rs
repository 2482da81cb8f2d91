//! Proofs of possession: nobody lists a key whose secret it does not know.
//!
//! A proof is an Ed25519 signature (RFC 8032) made by the key itself over a context that names
//! operator, shard, epoch, round and role. It is verified by the cofactored equation,
//! 8 s B = 8 R + 8 h A, so that checking one by one and checking many at once never disagree: all
//! honest shards accept the same documents.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use ed25519_dalek::VerifyingKey;
use ed25519_dalek::hazmat::{ExpandedSecretKey, raw_sign};
use rand::CryptoRng;
use sha2::{Digest, Sha512};

use crate::keys::GroupPoint;
use crate::{OnionPublicKey, OnionSecretKey, SealPublicKey, SealSecretKey};

/// A proof that its maker knows the secret half of a key, 64 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofOfPossession(pub [u8; 64]);

impl ProofOfPossession {
    fn new<R: CryptoRng + ?Sized>(
        secret: &Scalar,
        public: &GroupPoint,
        context: &[u8],
        rng: &mut R,
    ) -> Self {
        let mut signer = ExpandedSecretKey { scalar: *secret, hash_prefix: [0; 32] };
        rng.fill_bytes(&mut signer.hash_prefix);
        let key = VerifyingKey::from(*public.point());
        Self(raw_sign::<Sha512>(&signer, context, &key).to_bytes())
    }
}

impl OnionSecretKey {
    /// Proves possession of this key; `context` says whose it is and what for.
    pub fn prove<R: CryptoRng + ?Sized>(&self, context: &[u8], rng: &mut R) -> ProofOfPossession {
        let public = GroupPoint::of_secret(self.scalar());
        ProofOfPossession::new(self.scalar(), &public, context, rng)
    }
}

impl SealSecretKey {
    /// Proves possession of this key; `context` says whose it is and what for.
    pub fn prove<R: CryptoRng + ?Sized>(&self, context: &[u8], rng: &mut R) -> ProofOfPossession {
        let public = GroupPoint::of_secret(self.scalar());
        ProofOfPossession::new(self.scalar(), &public, context, rng)
    }
}

/// A key with a proof of possession that has to be checked.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    key: &'a GroupPoint,
    context: &'a [u8],
    proof: ProofOfPossession,
}

/// A proof of possession does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the proof of possession at position {position} does not hold for its key and context")]
pub struct ClaimError {
    /// Position of the first claim that fails, from 0.
    pub position: usize,
}

impl<'a> Claim<'a> {
    /// A claim to an onion key.
    pub fn onion(key: &'a OnionPublicKey, context: &'a [u8], proof: ProofOfPossession) -> Self {
        Self { key: key.group_point(), context, proof }
    }

    /// A claim to a seal key.
    pub fn seal(key: &'a SealPublicKey, context: &'a [u8], proof: ProofOfPossession) -> Self {
        Self { key: key.group_point(), context, proof }
    }

    /// Returns `true` if the proof holds.
    pub fn holds(&self) -> bool {
        self.terms().is_some_and(|terms| {
            EdwardsPoint::vartime_multiscalar_mul(
                [-terms.s, Scalar::ONE, terms.h],
                [ED25519_BASEPOINT_POINT, terms.r, *self.key.point()],
            )
            .mul_by_cofactor()
            .is_identity()
        })
    }

    fn terms(&self) -> Option<Terms> {
        let (r_bytes, s_bytes) = self.proof.0.split_first_chunk::<32>()?;
        let s = Option::from(Scalar::from_canonical_bytes(s_bytes.try_into().ok()?))?;
        let r = CompressedEdwardsY(*r_bytes).decompress()?;
        let hash = Sha512::new()
            .chain_update(r_bytes)
            .chain_update(self.key.bytes())
            .chain_update(self.context)
            .finalize();
        Some(Terms { s, r, h: Scalar::from_bytes_mod_order_wide(&hash.into()) })
    }
}

/// Terms of the equation -s B + R + h A = 0, but for A.
struct Terms {
    s: Scalar,
    r: EdwardsPoint,
    h: Scalar,
}

/// Batch verification of proofs, several times faster than one by one.
///
/// The equations are added up with random 128-bit factors from `rng`. A false proof passes with probability
/// 2^-128.
///
/// # Errors
/// Names the first proof that does not hold.
pub fn verify_claims<R: CryptoRng + ?Sized>(
    claims: &[Claim<'_>],
    rng: &mut R,
) -> Result<(), ClaimError> {
    if sum_is_zero(claims, rng) {
        return Ok(());
    }
    // A sum of equations that all hold is zero, so one of these fails.
    claims
        .iter()
        .position(|claim| !claim.holds())
        .map_or(Ok(()), |position| Err(ClaimError { position }))
}

fn sum_is_zero<R: CryptoRng + ?Sized>(claims: &[Claim<'_>], rng: &mut R) -> bool {
    let mut scalars = Vec::with_capacity(2 * claims.len() + 1);
    let mut points = Vec::with_capacity(2 * claims.len() + 1);
    let mut s_sum = Scalar::ZERO;
    for claim in claims {
        // A proof that is malformed is no term of the sum, and fails here.
        let Some(Terms { s, r, h }) = claim.terms() else { return false };
        // Drawn after the proofs are fixed: no maker of proofs can choose them to cancel out.
        let mut factor = [0; 16];
        rng.fill_bytes(&mut factor);
        let factor = Scalar::from(u128::from_le_bytes(factor));
        s_sum += factor * s;
        scalars.extend([factor, factor * h]);
        points.extend([r, *claim.key.point()]);
    }
    scalars.push(-s_sum);
    points.push(ED25519_BASEPOINT_POINT);
    EdwardsPoint::vartime_multiscalar_mul(scalars, points).mul_by_cofactor().is_identity()
}
