//! Proofs of possession from anybody: bytes that were not made for these keys and this context prove
//! nothing, and one that was made for them holds until a bit of it, of a key or of the context changes.
#![no_main]

use antiphon_onion::{
    KeySet, OnionPublicKey, OnionSecretKey, ProofOfPossession, SealPublicKey, SealSecretKey,
};
use libfuzzer_sys::fuzz_target;
use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;

type Input<'a> = ([u8; 32], Vec<[u8; 32]>, [u8; 32], [u8; 32], u16, &'a [u8]);

fuzz_target!(|input: Input<'_>| {
    let (onion, seals, challenge, response, flip, context) = input;
    let mut proof = [0; 64];
    proof[..32].copy_from_slice(&challenge);
    proof[32..].copy_from_slice(&response);
    let proof = ProofOfPossession(proof);
    let seals = &seals[..seals.len().min(64)];
    if let Ok(onion) = OnionPublicKey::from_bytes(onion) {
        let seals: Vec<_> =
            seals.iter().filter_map(|key| SealPublicKey::from_bytes(*key).ok()).collect();
        let set = KeySet { onion: &onion, seals: &seals };
        assert!(!set.are_possessed(context, &proof));
    }
    let Ok(onion) = OnionSecretKey::from_bytes(onion) else { return };
    let secrets: Vec<_> =
        seals.iter().filter_map(|key| SealSecretKey::from_bytes(*key).ok()).collect();
    let public = onion.public_key();
    let seals: Vec<_> = secrets.iter().map(SealSecretKey::public_key).collect();
    let set = KeySet { onion: &public, seals: &seals };
    let made = set.prove(&onion, &secrets, context, &mut ChaCha20Rng::from_seed(response));
    assert!(set.are_possessed(context, &made));
    assert!(!set.are_possessed(context, &proof));
    let mut spoiled = made;
    spoiled.0[usize::from(flip / 8) % 64] ^= 1 << (flip % 8);
    assert!(!set.are_possessed(context, &spoiled));
    assert!(!set.are_possessed(&[context, b"+"].concat(), &made));
});
