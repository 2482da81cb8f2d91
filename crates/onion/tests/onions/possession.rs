//! Proofs of possession.

use antiphon_onion::{
    HopKey, JointSealKey, KeySet, OnionPublicKey, OnionSecretKey, ProofOfPossession, SealPublicKey,
    SealSecretKey,
};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;
use rand_chacha::ChaCha20Rng;

use crate::support::rng;

const CONTEXT: &[u8] = b"operator 1 shard 2 epoch 3 round 4";

/// A shard's secrets and their public halves.
struct Keys {
    onion: OnionSecretKey,
    seals: Vec<SealSecretKey>,
    public: (OnionPublicKey, Vec<SealPublicKey>),
}

impl Keys {
    fn new(rounds: usize, rng: &mut ChaCha20Rng) -> Self {
        let onion = OnionSecretKey::generate(rng);
        let seals: Vec<_> = (0..rounds).map(|_| SealSecretKey::generate(rng)).collect();
        let public = (onion.public_key(), seals.iter().map(SealSecretKey::public_key).collect());
        Self { onion, seals, public }
    }

    fn prove_for(&self, seals: &[SealPublicKey], context: &[u8], seed: u64) -> ProofOfPossession {
        let set = KeySet { onion: &self.public.0, seals };
        set.prove(&self.onion, &self.seals, context, &mut rng(seed))
    }

    fn prove(&self, context: &[u8], seed: u64) -> ProofOfPossession {
        self.prove_for(&self.public.1, context, seed)
    }

    /// Whether a proof holds for this onion key and these seal keys.
    fn accept(&self, seals: &[SealPublicKey], proof: &ProofOfPossession) -> bool {
        KeySet { onion: &self.public.0, seals }.are_possessed(CONTEXT, proof)
    }
}

fn point(key: &SealPublicKey) -> EdwardsPoint {
    CompressedEdwardsY(key.to_bytes()).decompress().unwrap()
}

fn key(point: EdwardsPoint) -> SealPublicKey {
    SealPublicKey::from_bytes(point.compress().0).unwrap()
}

#[test]
fn a_proof_holds_for_its_own_keys_in_their_order_and_its_own_context_only() {
    // On both sides of where the library sums points another way.
    for rounds in [0, 1, 3, 250] {
        let keys = Keys::new(rounds, &mut rng(1));
        let proof = keys.prove(CONTEXT, 2);
        let own = &keys.public.1;
        assert!(keys.accept(own, &proof));
        assert!(!KeySet { onion: &keys.public.0, seals: own }.are_possessed(b"other", &proof));
        let other = Keys::new(rounds, &mut rng(3));
        assert!(!other.accept(&other.public.1, &proof), "another shard's keys");
        assert!(!other.accept(own, &proof), "another onion key");
        for at in (0..rounds).step_by(41) {
            let mut changed = own.clone();
            changed[at] = other.public.1[at];
            assert!(!keys.accept(&changed, &proof), "key {at} of {rounds} is another");
            // As good a proof as somebody can make who does not know the secret.
            assert!(!keys.accept(&changed, &keys.prove_for(&changed, CONTEXT, 2)));
            changed.clone_from(own);
            changed.swap(at, (at + 1) % rounds);
            assert_eq!(keys.accept(&changed, &proof), rounds == 1);
            let fewer = [&own[..at], &own[at + 1..]].concat();
            assert!(!keys.accept(&fewer, &proof), "key {at} of {rounds} is missing");
        }
        let more = [own.as_slice(), &other.public.1].concat();
        assert_eq!(keys.accept(&more, &proof), rounds == 0);
    }
}

#[test]
fn keys_made_of_the_keys_of_others_cannot_be_proven() {
    let rng = &mut rng(4);
    let (honest, rogue) = (Keys::new(3, rng), Keys::new(3, rng));
    let cancelling: Vec<_> = std::iter::zip(&rogue.public.1, &honest.public.1)
        .map(|(own, other)| key(point(own) - point(other)))
        .collect();
    let sums: Vec<_> = (0..3)
        .map(|i| {
            key(honest.public.1.iter().map(point).sum::<EdwardsPoint>() + point(&rogue.public.1[i]))
        })
        .collect();
    for made in [cancelling, sums, honest.public.1.clone()] {
        for proof in [
            rogue.prove(CONTEXT, 5),
            rogue.prove_for(&made, CONTEXT, 5),
            honest.prove(CONTEXT, 5),
            ProofOfPossession([0; 64]),
        ] {
            assert!(!rogue.accept(&made, &proof));
        }
    }
}

/// A key travels as an eighth of itself, and each has eight.
#[test]
fn a_component_of_small_order_in_an_eighth_changes_neither_key_nor_verdict() {
    let rng = &mut rng(6);
    let keys = Keys::new(3, rng);
    let [first, second, third] = keys.public.1[..] else { unreachable!("three keys") };
    let sealed = |key: &SealPublicKey| {
        let joint = JointSealKey::sum([key, &second, &third]).unwrap();
        *HopKey::sealed(&keys.public.0, &joint).unwrap().u()
    };
    for torsion in EIGHT_TORSION {
        let other = key(point(&first) + torsion);
        assert!(other.matches(&keys.seals[0]) && !other.matches(&keys.seals[1]));
        assert_eq!(sealed(&other), sealed(&first));
        let seals = [other, second, third];
        // Many nonces, as components of small order vanish by chance in a careless equation.
        for seed in 0..32 {
            assert!(keys.accept(&seals, &keys.prove_for(&seals, CONTEXT, seed)));
        }
    }
}

/// The proof by its definition, point by point: k B from the response, and the hash over it.
#[test]
fn the_challenge_is_the_hash_of_keys_commitment_and_context() {
    let keys = Keys::new(3, &mut rng(7));
    let proof = keys.prove(CONTEXT, 8);
    let scalar = |bytes: &[u8]| Scalar::from_canonical_bytes(bytes.try_into().unwrap()).unwrap();
    let (challenge, response) = (scalar(&proof.0[..32]), scalar(&proof.0[32..]));
    let onion = CompressedEdwardsY(keys.public.0.to_bytes()).decompress().unwrap();
    let wholes = keys.public.1.iter().map(|key| point(key).mul_by_cofactor());
    let mut commitment = EdwardsPoint::mul_base(&response);
    let mut power = Scalar::ONE;
    for key in [onion].into_iter().chain(wholes) {
        power *= challenge;
        commitment -= key * power;
    }
    let mut hash = blake3::Hasher::new_derive_key("antiphon v2 proof of possession challenge");
    hash.update(&3_u64.to_be_bytes()).update(&keys.public.0.to_bytes());
    for key in &keys.public.1 {
        hash.update(&key.to_bytes());
    }
    hash.update(commitment.compress().as_bytes()).update(CONTEXT);
    let mut wide = [0; 64];
    hash.finalize_xof().fill(&mut wide);
    assert_eq!(Scalar::from_bytes_mod_order_wide(&wide), challenge);
}

/// What the proof of security rests on: one commitment answered for as many challenges as there are keys,
/// and one more, gives away all secrets. Here the same nonce meets other contexts.
#[test]
fn answers_to_enough_challenges_give_the_secrets() {
    const ROUNDS: usize = 4;
    let keys = Keys::new(ROUNDS, &mut rng(9));
    let unknowns = ROUNDS + 2;
    let mut system: Vec<Vec<Scalar>> = (0..unknowns as u8)
        .map(|context| {
            let ProofOfPossession(proof) = keys.prove(&[context], 10);
            let scalar =
                |bytes: &[u8]| Scalar::from_canonical_bytes(bytes.try_into().unwrap()).unwrap();
            let challenge = scalar(&proof[..32]);
            let powers = std::iter::successors(Some(Scalar::ONE), |power| Some(power * challenge));
            powers.take(unknowns).chain([scalar(&proof[32..])]).collect()
        })
        .collect();
    for column in 0..unknowns {
        let pivot = (column..unknowns).find(|row| system[*row][column] != Scalar::ZERO).unwrap();
        system.swap(column, pivot);
        let inverse = system[column][column].invert();
        system[column].iter_mut().for_each(|entry| *entry *= inverse);
        let cleared = system[column].clone();
        for row in (0..unknowns).filter(|row| *row != column) {
            let factor = system[row][column];
            for (entry, own) in system[row].iter_mut().zip(&cleared) {
                *entry -= factor * own;
            }
        }
    }
    let found: Vec<_> = system.iter().map(|row| row[unknowns].to_bytes()).collect();
    let onion = OnionSecretKey::from_bytes(found[1]).unwrap();
    assert_eq!(onion.public_key(), keys.public.0);
    let seals: Vec<_> = keys.seals.iter().map(SealSecretKey::to_bytes).collect();
    assert_eq!(found[2..], seals);
}

proptest! {
    #[test]
    fn arbitrary_bytes_prove_nothing(head: [u8; 32], tail: [u8; 32]) {
        let keys = Keys::new(2, &mut rng(11));
        let mut proof = [0; 64];
        proof[..32].copy_from_slice(&head);
        proof[32..].copy_from_slice(&tail);
        prop_assert!(!keys.accept(&keys.public.1, &ProofOfPossession(proof)));
    }
}
