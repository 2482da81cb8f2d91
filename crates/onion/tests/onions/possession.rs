//! Proofs of possession.

use antiphon_onion::{
    Claim, ClaimError, OnionSecretKey, ProofOfPossession, SealPublicKey, SealSecretKey,
    verify_claims,
};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use sha2::{Digest, Sha512};

use crate::support::rng;

const CONTEXT: &[u8] = b"operator 1 shard 2 epoch 3 round 4 seal";

#[test]
fn a_proof_holds_for_its_own_key_and_context_only() {
    let rng = &mut rng(1);
    let (seal, other) = (SealSecretKey::generate(rng), SealSecretKey::generate(rng));
    let onion = OnionSecretKey::generate(rng);
    let proof = seal.prove(CONTEXT, rng);
    assert!(Claim::seal(&seal.public_key(), CONTEXT, proof).holds());
    assert!(!Claim::seal(&seal.public_key(), b"another round", proof).holds());
    assert!(!Claim::seal(&other.public_key(), CONTEXT, proof).holds());
    assert!(!Claim::onion(&onion.public_key(), CONTEXT, proof).holds());
    let proof = onion.prove(CONTEXT, rng);
    assert!(Claim::onion(&onion.public_key(), CONTEXT, proof).holds());
}

#[test]
fn a_proof_is_an_ed25519_signature() {
    let rng = &mut rng(2);
    let seal = SealSecretKey::generate(rng);
    let proof = seal.prove(CONTEXT, rng);
    let key = ed25519_dalek::VerifyingKey::from_bytes(&seal.public_key().to_bytes()).unwrap();
    key.verify_strict(CONTEXT, &ed25519_dalek::Signature::from_bytes(&proof.0)).unwrap();
}

#[test]
fn a_batch_names_the_first_proof_that_fails() {
    let rng = &mut rng(3);
    let seals: Vec<_> = (0..40).map(|_| SealSecretKey::generate(rng)).collect();
    let keys: Vec<_> = seals.iter().map(SealSecretKey::public_key).collect();
    let contexts: Vec<_> = (0..40u8).map(|i| [i; 3]).collect();
    let proofs: Vec<_> =
        seals.iter().zip(&contexts).map(|(seal, context)| seal.prove(context, rng)).collect();
    let claims = |proofs: &[ProofOfPossession]| -> Vec<Claim<'_>> {
        keys.iter()
            .zip(&contexts)
            .zip(proofs)
            .map(|((key, context), proof)| Claim::seal(key, context, *proof))
            .collect()
    };
    assert_eq!(verify_claims(&claims(&proofs), rng), Ok(()));
    assert_eq!(verify_claims(&[], rng), Ok(()));
    for byte in [0, 40, 63] {
        let mut bad = proofs.clone();
        bad[17].0[byte] ^= 1;
        bad[30].0[byte] ^= 1;
        assert_eq!(verify_claims(&claims(&bad), rng), Err(ClaimError { position: 17 }));
    }
    let mut swapped = proofs.clone();
    swapped.swap(5, 6);
    assert_eq!(verify_claims(&claims(&swapped), rng), Err(ClaimError { position: 5 }));
}

/// Whoever knows the secret can add torsion to R; both ways of checking then agree.
#[test]
fn checking_alone_and_in_a_batch_agree_on_torsion() {
    let rng = &mut rng(4);
    let secret = Scalar::random(rng);
    let nonce = Scalar::random(rng);
    let key = EdwardsPoint::mul_base(&secret).compress().0;
    let public = SealPublicKey::from_bytes(key).unwrap();
    for torsion in EIGHT_TORSION {
        let r = (EdwardsPoint::mul_base(&nonce) + torsion).compress().0;
        let hash = Sha512::new().chain_update(r).chain_update(key).chain_update(CONTEXT);
        let h = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
        let mut proof = [0; 64];
        proof[..32].copy_from_slice(&r);
        proof[32..].copy_from_slice(&(nonce + h * secret).to_bytes());
        let claim = Claim::seal(&public, CONTEXT, ProofOfPossession(proof));
        assert!(claim.holds());
        for _ in 0..8 {
            assert_eq!(verify_claims(&[claim], rng), Ok(()));
        }
    }
}

proptest! {
    #[test]
    fn arbitrary_bytes_prove_nothing(head: [u8; 32], tail: [u8; 32]) {
        let key = SealSecretKey::generate(&mut rng(5)).public_key();
        let mut proof = [0; 64];
        proof[..32].copy_from_slice(&head);
        proof[32..].copy_from_slice(&tail);
        let claim = Claim::seal(&key, CONTEXT, ProofOfPossession(proof));
        prop_assert!(!claim.holds());
        prop_assert!(verify_claims(&[claim], &mut rng(6)).is_err());
    }
}
