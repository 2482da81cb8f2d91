//! Proofs of possession: nobody lists a key whose secret it does not know.
//!
//! One proof is for all keys of a contribution. With secrets s₀ (onion key) and s₁ ... s_R (seal keys), a
//! secret k drawn for the proof, and the challenge e, a hash of k B, all keys and a context, the proof is e
//! and z = k + e s₀ + e² s₁ + ... + e^(R+1) s_R. Whoever checks it computes k B from z, e and the keys, and hashes
//! again. Nothing in that depends on chance, nor on components of small order: seal keys travel as eighths, so
//! that all of the equation is multiplied by 8. The book proves what it is worth.

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::VartimeMultiscalarMul;
use rand::CryptoRng;
use zeroize::Zeroize;

use crate::keys::eighth;
use crate::{OnionPublicKey, OnionSecretKey, SealPublicKey, SealSecretKey};

/// Context of the challenge's hash.
const CHALLENGE: &str = "antiphon v2 proof of possession challenge";

/// A proof that its maker knows the secret halves of a set of keys: challenge and response, two canonical
/// scalars of 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofOfPossession(pub [u8; 64]);

/// The public keys that one proof is for.
#[derive(Clone, Copy, Debug)]
pub struct KeySet<'a> {
    /// The shard's onion key.
    pub onion: &'a OnionPublicKey,
    /// Its seal keys, by round.
    pub seals: &'a [SealPublicKey],
}

impl KeySet<'_> {
    /// Proves possession of these keys, whose secrets are given in the same order; `context` says whose they
    /// are and what for. With other secrets, the proof holds for nothing.
    pub fn prove<'s, R: CryptoRng + ?Sized>(
        &self,
        onion: &OnionSecretKey,
        seals: impl IntoIterator<Item = &'s SealSecretKey>,
        context: &[u8],
        rng: &mut R,
    ) -> ProofOfPossession {
        // Erased: with it, all secrets of the set but one give the last.
        let mut nonce = Scalar::random(rng);
        let commitment = EdwardsPoint::mul_base(&nonce);
        let challenge = self.challenge(&commitment, context);
        let mut response = nonce + challenge * onion.scalar();
        for (power, seal) in powers(challenge).skip(1).zip(seals) {
            response += power * seal.scalar();
        }
        nonce.zeroize();
        let mut proof = [0; 64];
        proof[..32].copy_from_slice(challenge.as_bytes());
        proof[32..].copy_from_slice(response.as_bytes());
        ProofOfPossession(proof)
    }

    /// Returns `true` if whoever made the proof for this context knew the secrets of all these keys.
    pub fn are_possessed(&self, context: &[u8], proof: &ProofOfPossession) -> bool {
        let Some((challenge, response)) = proof.scalars() else { return false };
        // An eighth of the commitment, up to a component of small order: that of the seal keys' eighths.
        let eighth = eighth();
        let mut scalars = vec![response * eighth, -challenge * eighth];
        scalars.extend(powers(challenge).skip(1).take(self.seals.len()).map(|power| -power));
        let points = [&ED25519_BASEPOINT_POINT, self.onion.group_point().point()].into_iter();
        let points = points.chain(self.seals.iter().map(SealPublicKey::eighth));
        let commitment = EdwardsPoint::vartime_multiscalar_mul(scalars, points).mul_by_cofactor();
        self.challenge(&commitment, context) == challenge
    }

    fn challenge(&self, commitment: &EdwardsPoint, context: &[u8]) -> Scalar {
        let mut hash = blake3::Hasher::new_derive_key(CHALLENGE);
        hash.update(&(self.seals.len() as u64).to_be_bytes());
        hash.update(&self.onion.to_bytes());
        for key in self.seals {
            hash.update(&key.to_bytes());
        }
        hash.update(commitment.compress().as_bytes());
        hash.update(context);
        let mut wide = [0; 64];
        hash.finalize_xof().fill(&mut wide);
        Scalar::from_bytes_mod_order_wide(&wide)
    }
}

impl ProofOfPossession {
    /// Challenge and response, if both are canonical.
    fn scalars(&self) -> Option<(Scalar, Scalar)> {
        let (challenge, response) = self.0.split_first_chunk::<32>()?;
        let canonical = |bytes| Option::from(Scalar::from_canonical_bytes(bytes));
        Some((canonical(*challenge)?, canonical(response.try_into().ok()?)?))
    }
}

/// e, e², e³ and so on.
fn powers(challenge: Scalar) -> impl Iterator<Item = Scalar> {
    std::iter::successors(Some(challenge), move |power| Some(power * challenge))
}
