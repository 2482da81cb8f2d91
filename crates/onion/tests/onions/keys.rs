//! Keys parse one way only, and sums that cancel are refused.

use antiphon_onion::{
    HopKey, JointSealKey, KeyError, OnionPublicKey, OnionSecretKey, PeelKey, SealPublicKey,
    SealSecretKey,
};
use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::CompressedEdwardsY;
use curve25519_dalek::scalar::Scalar;
use proptest::prelude::*;

use crate::support::rng;

#[test]
fn no_key_has_a_small_order_component() {
    let key = OnionSecretKey::generate(&mut rng(1)).public_key();
    let point = CompressedEdwardsY(key.to_bytes()).decompress().unwrap();
    for torsion in &EIGHT_TORSION[1..] {
        let mixed = (point + torsion).compress().0;
        assert_eq!(OnionPublicKey::from_bytes(mixed), Err(KeyError::Torsion));
        // Of seal keys it is an eighth that travels: the key has no such component.
        assert!(
            SealPublicKey::from_bytes(mixed).is_ok() && JointSealKey::from_bytes(mixed).is_ok()
        );
        let pure = torsion.compress().0;
        assert_eq!(OnionPublicKey::from_bytes(pure), Err(KeyError::Torsion));
        assert_eq!(SealPublicKey::from_bytes(pure), Err(KeyError::Identity));
        assert_eq!(JointSealKey::from_bytes(pure), Err(KeyError::Identity));
    }
    let identity = EIGHT_TORSION[0].compress().0;
    assert_eq!(OnionPublicKey::from_bytes(identity), Err(KeyError::Identity));
}

#[test]
fn second_encodings_are_refused() {
    // y = 1 + p, and y = 1 with a sign that x = 0 cannot have.
    let mut unreduced = [0xff; 32];
    unreduced[0] = 0xee;
    unreduced[31] = 0x7f;
    let mut signed = [0; 32];
    signed[0] = 1;
    signed[31] = 0x80;
    for bytes in [unreduced, signed] {
        assert_eq!(OnionPublicKey::from_bytes(bytes), Err(KeyError::Encoding));
        assert!(SealPublicKey::from_bytes(bytes).is_err());
    }
    // All nineteen numbers from p on, with either sign, and the one below them.
    let mut top = [0xff; 32];
    for lowest in 0xec..=0xff {
        (top[0], top[31]) = (lowest, 0x7f);
        let error = SealPublicKey::from_bytes(top).unwrap_err();
        // p - 1 is the y of the point of order 2.
        assert_eq!(error, if lowest == 0xec { KeyError::Identity } else { KeyError::Encoding });
        top[31] = 0xff;
        assert!(SealPublicKey::from_bytes(top).is_err());
    }
    assert_eq!(SealSecretKey::from_bytes([0; 32]).unwrap_err(), KeyError::Scalar);
    assert_eq!(SealSecretKey::from_bytes([0xff; 32]).unwrap_err(), KeyError::Scalar);
}

#[test]
fn sealed_keys_of_many_shards_are_those_of_each() {
    let mut rng = rng(4);
    let seal = SealSecretKey::generate(&mut rng);
    let joint = JointSealKey::sum([&seal.public_key()]).unwrap();
    let keys: Vec<_> = (0..5).map(|_| OnionSecretKey::generate(&mut rng).public_key()).collect();
    let together = HopKey::sealed_each(&keys, &joint).unwrap();
    assert_eq!(together.len(), keys.len());
    for (key, sealed) in keys.iter().zip(&together) {
        assert_eq!(sealed.u(), HopKey::sealed(key, &joint).unwrap().u());
        assert!(sealed.is_sealed());
    }
    assert!(HopKey::sealed_each(&[], &joint).unwrap().is_empty());
}

#[test]
fn keys_that_cancel_each_other_are_refused_on_both_sides() {
    let seal = SealSecretKey::generate(&mut rng(2));
    let opposite = (-Scalar::from_canonical_bytes(seal.to_bytes()).unwrap()).to_bytes();
    let onion = OnionSecretKey::from_bytes(opposite).unwrap();
    let joint = JointSealKey::sum([&seal.public_key()]).unwrap();
    assert_eq!(HopKey::sealed(&onion.public_key(), &joint).unwrap_err(), KeyError::Identity);
    let among = [OnionSecretKey::generate(&mut rng(3)).public_key(), onion.public_key()];
    assert_eq!(HopKey::sealed_each(&among, &joint).unwrap_err(), KeyError::Identity);
    assert_eq!(PeelKey::sealed(&onion, [&seal]).unwrap_err(), KeyError::Identity);

    let other = SealSecretKey::from_bytes(opposite).unwrap();
    let cancelled = JointSealKey::sum([&seal.public_key(), &other.public_key()]);
    assert_eq!(cancelled, Err(KeyError::Identity));
    assert_eq!(JointSealKey::sum([]), Err(KeyError::Identity));
}

#[test]
fn a_released_seal_key_is_recognised() {
    let rng = &mut rng(3);
    let (seal, other) = (SealSecretKey::generate(rng), SealSecretKey::generate(rng));
    let released = SealSecretKey::from_bytes(seal.to_bytes()).unwrap();
    assert!(seal.public_key().matches(&released));
    assert!(!seal.public_key().matches(&other));
}

#[test]
fn secrets_do_not_print() {
    let seal = SealSecretKey::generate(&mut rng(4));
    assert_eq!(format!("{seal:?}"), "SealSecretKey(..)");
}

proptest! {
    #[test]
    fn what_parses_encodes_to_the_same_bytes(bytes: [u8; 32]) {
        if let Ok(key) = OnionPublicKey::from_bytes(bytes) {
            prop_assert_eq!(key.to_bytes(), bytes);
        }
        if let Ok(key) = SealPublicKey::from_bytes(bytes) {
            prop_assert_eq!(key.to_bytes(), bytes);
        }
        if let Ok(key) = SealSecretKey::from_bytes(bytes) {
            prop_assert_eq!(key.to_bytes(), bytes);
        }
    }
}
