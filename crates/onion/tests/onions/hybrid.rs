//! Suite 2: what its second half adds, and that neither half is enough.

use std::sync::Arc;

use antiphon_onion::{
    BuildError, EphemeralSecrets, Hop, HopKey, Keep, KemPublicKey, KemSecretKey, KeyError,
    OnionSecretKey, PeelError, PeelKey, Peeled, RoundContext, build_batch, peel_batch,
    rebuild_batch,
};
use antiphon_wire::{Layer, ShardIndex};
use curve25519_dalek::constants::EIGHT_TORSION;

use crate::support::{Network, context, deposits, hybrid, rng};

const KEM: std::ops::Range<usize> = 32..1120;
const TAG: std::ops::Range<usize> = 1120..1136;

/// An onion for layer 1 of shard 0, the only one.
fn onion(network: &Network, context: RoundContext) -> Vec<u8> {
    let rng = &mut rng(9);
    let deposit = deposits(context.geometry, 1, rng);
    let path = network.path(context.geometry, rng);
    let mut onion = vec![0; context.geometry.onion_bytes(Layer::FIRST)];
    build_batch(context, &path, &deposit, Keep::NOTHING, rng, &mut onion).unwrap();
    onion
}

fn opens(key: &PeelKey, context: RoundContext, onion: &[u8]) -> bool {
    let mut peeled = Peeled::default();
    let mut copy = onion.to_vec();
    peel_batch(key, context, Layer::FIRST, &mut copy, &mut peeled).unwrap();
    assert!(peeled.opened(0) || copy == onion, "what does not open stays as it is");
    peeled.opened(0)
}

#[test]
fn an_onion_opens_with_both_halves_and_with_neither_alone() {
    let rng = &mut rng(1);
    let (network, context) = (Network::new(1, rng), hybrid(3, 64));
    let onion = onion(&network, context);
    let other_x25519 = OnionSecretKey::generate(rng);
    let other_kem = Arc::new(KemSecretKey::generate(rng));
    let right = || PeelKey::plain(&network.secrets[0]);
    assert!(opens(&right().with_kem(Arc::clone(&network.kems[0])), context, &onion));
    assert!(!opens(&right().with_kem(other_kem), context, &onion));
    let key = PeelKey::plain(&other_x25519).with_kem(Arc::clone(&network.kems[0]));
    assert!(!opens(&key, context, &onion));
}

#[test]
fn a_bit_changed_in_the_header_opens_nothing() {
    let rng = &mut rng(2);
    let (network, context) = (Network::new(1, rng), hybrid(3, 64));
    let onion = onion(&network, context);
    let key = network.peel_key(context.geometry, Layer::FIRST, ShardIndex(0));
    // Ephemeral key, ciphertext and tag; every eighth byte, each time another bit.
    for at in (0..TAG.end).step_by(7) {
        let mut changed = onion.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(!opens(&key, context, &changed), "byte {at}");
    }
    // The second encoding of the ephemeral key, which X25519 reads as the same.
    let mut changed = onion.clone();
    changed[31] ^= 0x80;
    assert!(!opens(&key, context, &changed));
}

/// Anybody knows what X25519 gives for them: zeros. The receiver hashes a secret of its own in their place.
#[test]
fn ephemeral_keys_of_small_order_open_nothing() {
    let rng = &mut rng(3);
    let (network, context) = (Network::new(1, rng), hybrid(3, 64));
    let key = network.peel_key(context.geometry, Layer::FIRST, ShardIndex(0));
    for torsion in EIGHT_TORSION {
        let mut changed = onion(&network, context);
        changed[..32].copy_from_slice(torsion.to_montgomery().as_bytes());
        assert!(!opens(&key, context, &changed));
    }
}

/// Ciphertexts of two onions for one key in one round, each with the other's ephemeral key.
#[test]
fn halves_of_two_onions_do_not_fit_together() {
    let rng = &mut rng(4);
    let (network, context) = (Network::new(1, rng), hybrid(3, 64));
    let geometry = context.geometry;
    let deposits = deposits(geometry, 2, rng);
    let paths = [network.path(geometry, rng), network.path(geometry, rng)].concat();
    let size = geometry.onion_bytes(Layer::FIRST);
    let mut onions = vec![0; 2 * size];
    build_batch(context, &paths, &deposits, Keep::NOTHING, rng, &mut onions).unwrap();
    let (one, other) = onions.split_at(size);
    let key = network.peel_key(geometry, Layer::FIRST, ShardIndex(0));
    let mut mixed = one.to_vec();
    mixed[KEM].copy_from_slice(&other[KEM]);
    assert!(opens(&key, context, one) && opens(&key, context, other));
    assert!(!opens(&key, context, &mixed));
}

#[test]
fn onions_of_one_suite_are_none_of_the_other() {
    let rng = &mut rng(5);
    let network = Network::new(1, rng);
    let (classic, hybrid) = (context(3, 64), hybrid(3, 64));
    let key = network.peel_key(classic.geometry, Layer::FIRST, ShardIndex(0));
    assert!(opens(&key, classic, &onion(&network, classic)), "a key with two halves serves both");
    let mut bytes = onion(&network, classic);
    let refused = peel_batch(&key, hybrid, Layer::FIRST, &mut bytes, &mut Peeled::default());
    assert!(matches!(refused, Err(PeelError::Length { .. })), "{refused:?}");
}

#[test]
fn a_key_with_one_half_is_refused_at_both_ends() {
    let rng = &mut rng(6);
    let (network, context) = (Network::new(1, rng), hybrid(3, 64));
    let geometry = context.geometry;
    let mut bytes = onion(&network, context);
    let half = PeelKey::plain(&network.secrets[0]);
    let peeled = peel_batch(&half, context, Layer::FIRST, &mut bytes, &mut Peeled::default());
    assert_eq!(peeled, Err(PeelError::NoKem));

    let bare = HopKey::plain(&network.secrets[0].public_key());
    let mut path = network.path(geometry, rng);
    path[0] = Hop { shard: ShardIndex(0), key: &bare };
    let deposit = deposits(geometry, 1, rng);
    let built = build_batch(context, &path, &deposit, Keep::NOTHING, rng, &mut bytes);
    assert_eq!(built.unwrap_err(), BuildError::NoKem(Layer::FIRST));
}

/// Whoever finds the secret of an ephemeral X25519 key, as a quantum computer would, has the onion's
/// ephemeral secret in neither suite but suite 1, where it is the same.
#[test]
fn the_secret_of_an_ephemeral_key_does_not_tell_the_coins() {
    let rng = &mut rng(7);
    let network = Network::new(1, rng);
    for (context, same) in [(context(3, 64), true), (hybrid(3, 64), false)] {
        let geometry = context.geometry;
        let path = network.path(geometry, rng);
        let deposit = deposits(geometry, 1, rng);
        let mut onion = vec![0; geometry.onion_bytes(Layer::FIRST)];
        let built = build_batch(context, &path, &deposit, Keep::ALL, rng, &mut onion).unwrap();
        let ephemerals = built.ephemerals.unwrap();
        let as_x25519 =
            x25519_dalek::x25519(ephemerals.of(0)[0], x25519_dalek::X25519_BASEPOINT_BYTES);
        assert_eq!(onion[..32] == as_x25519, same);
        // The maker can still show what it sent.
        let mut again = vec![0; onion.len()];
        let revealed = EphemeralSecrets::revealed(ephemerals.of(0));
        rebuild_batch(context, Layer::FIRST, &path, &deposit, &revealed, &mut again).unwrap();
        assert_eq!(again, onion);
    }
}

#[test]
fn kem_keys_are_checked_as_fips_203_says() {
    let rng = &mut rng(8);
    let secret = KemSecretKey::generate(rng);
    let bytes = secret.public_key().to_bytes();
    assert_eq!(KemPublicKey::from_bytes(&bytes).as_ref(), Ok(secret.public_key()));
    for wrong in [&bytes[1..], &[bytes.as_slice(), &[0]].concat(), &[]] {
        assert_eq!(KemPublicKey::from_bytes(wrong), Err(KeyError::Kem));
    }
    // Numbers have 12 bits, and each is below 3329: all but the seed at the end.
    for at in (0..1152).step_by(3) {
        let mut large = bytes;
        (large[at], large[at + 1]) = (0x01, large[at + 1] & 0xf0 | 0x0d);
        assert_eq!(KemPublicKey::from_bytes(&large), Err(KeyError::Kem), "3329 at {at}");
        large[at] = 0x00;
        assert!(KemPublicKey::from_bytes(&large).is_ok(), "3328 at {at}");
    }
}
