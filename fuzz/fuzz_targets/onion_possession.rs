//! Proofs of possession from anybody: alone and in a batch they are judged alike, and a proof that
//! was not made for this context does not hold.
#![no_main]

use antiphon_onion::{Claim, OnionPublicKey, OnionSecretKey, ProofOfPossession, verify_claims};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

fuzz_target!(|input: ([u8; 32], [u8; 32], [u8; 32], [u8; 32], &[u8])| {
    let (public, secret, r, s, context) = input;
    let mut proof = [0; 64];
    proof[..32].copy_from_slice(&r);
    proof[32..].copy_from_slice(&s);
    let proof = ProofOfPossession(proof);
    let mut rng = ChaCha20Rng::from_seed([1; 32]);
    let Ok(key) = OnionPublicKey::from_bytes(public) else {
        // A key that exists, so that proofs are read even if random bytes give none.
        let Ok(secret) = OnionSecretKey::from_bytes(secret) else { return };
        let key = secret.public_key();
        let good = Claim::onion(&key, context, secret.prove(context, &mut rng));
        let bad = Claim::onion(&key, context, proof);
        assert!(!bad.holds());
        assert!(verify_claims(&[good, bad], &mut rng).is_err_and(|error| error.position == 1));
        return;
    };
    let claim = Claim::onion(&key, context, proof);
    let holds = claim.holds();
    assert_eq!(verify_claims(&[claim], &mut rng).is_ok(), holds);
});
