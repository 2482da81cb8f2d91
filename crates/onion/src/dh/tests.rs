use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::montgomery::MontgomeryPoint;
use curve25519_dalek::scalar::clamp_integer;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::OnionSecretKey;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(0xd1ff)
}

fn bytes(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn receive(multiplier: &Multiplier, ephemerals: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let mut shared = vec![[0xaa; 32]; ephemerals.len()];
    receive_batch(multiplier, ephemerals, &mut shared);
    shared
}

/// The definition: k E by the Montgomery ladder over all 256 bits of k.
fn ladder(multiplier: &Multiplier, ephemeral: [u8; 32]) -> [u8; 32] {
    let k = multiplier.to_bytes();
    let bits = (0..256).rev().map(|i| k[i / 8] >> (i % 8) & 1 == 1);
    MontgomeryPoint(ephemeral).mul_bits_be(bits).to_bytes()
}

#[test]
fn the_multiplier_is_a_multiple_of_eight_congruent_to_the_secret() {
    let mut rng = rng();
    let mut tops = [0; 2];
    for _ in 0..200 {
        let secret = Scalar::random(&mut rng);
        let k = Multiplier::new(&secret).to_bytes();
        assert_eq!(k[0] & 7, 0);
        assert_eq!(Scalar::from_bytes_mod_order(clear_top(k)) + top_value(k), secret);
        tops[usize::from(k[31] >> 7)] += 1;
    }
    // Below 8 l, which is a little over 2^255: the top bit exists, and is rare.
    assert_eq!(tops[0], 200);
    let largest = Multiplier::new(&(-Scalar::from(8u8))).to_bytes();
    assert_eq!(largest[31] >> 7, 1);
}

fn clear_top(mut k: [u8; 32]) -> [u8; 32] {
    k[31] &= 0x7f;
    k
}

fn top_value(k: [u8; 32]) -> Scalar {
    let mut top = [0; 32];
    top[31] = 0x40;
    let half = Scalar::from_bytes_mod_order(top);
    if k[31] >> 7 == 1 { half + half } else { Scalar::ZERO }
}

#[test]
fn it_is_the_ladder_on_every_point_of_the_curve_torsion_included() {
    let mut rng = rng();
    for secret in [Scalar::random(&mut rng), -Scalar::from(8u8), Scalar::from(8u8), Scalar::ONE] {
        let multiplier = Multiplier::new(&secret);
        let mut ephemerals = Vec::new();
        for torsion in EIGHT_TORSION {
            let point = EdwardsPoint::mul_base(&Scalar::random(&mut rng)) + torsion;
            ephemerals.push(point.to_montgomery().to_bytes());
            ephemerals.push(torsion.to_montgomery().to_bytes());
            ephemerals.push(EdwardsPoint::random(&mut rng).to_montgomery().to_bytes());
        }
        let expected: Vec<_> =
            ephemerals.iter().map(|ephemeral| ladder(&multiplier, *ephemeral)).collect();
        assert_eq!(receive(&multiplier, &ephemerals), expected);
    }
}

#[test]
fn a_torsion_component_changes_nothing_and_a_small_order_key_gives_zero() {
    let mut rng = rng();
    let multiplier = Multiplier::new(&Scalar::random(&mut rng));
    let point = EdwardsPoint::mul_base(&Scalar::random(&mut rng));
    let ephemerals: Vec<_> =
        EIGHT_TORSION.iter().map(|torsion| (point + torsion).to_montgomery().to_bytes()).collect();
    let shared = receive(&multiplier, &ephemerals);
    assert!(shared.iter().all(|each| *each == shared[0] && *each != [0; 32]));

    let small: Vec<_> = EIGHT_TORSION.iter().map(|t| t.to_montgomery().to_bytes()).collect();
    assert!(receive(&multiplier, &small).iter().all(|each| *each == [0; 32]));
}

#[test]
fn ephemeral_keys_are_read_as_x25519_reads_them() {
    let mut rng = rng();
    for _ in 0..50 {
        let secret = clamp_integer(bytes(&mut rng));
        let multiplier = Multiplier::new(&Scalar::from_bytes_mod_order(secret));
        let mut ephemeral = bytes(&mut rng);
        let expected = x25519_dalek::x25519(secret, ephemeral);
        let twist = MontgomeryPoint(ephemeral).to_edwards(0).is_none();
        let shared = receive(&multiplier, &[ephemeral])[0];
        assert_eq!(shared, if twist { [0; 32] } else { expected });
        ephemeral[31] ^= 0x80;
        assert_eq!(receive(&multiplier, &[ephemeral])[0], shared);
    }
    // 9 and its second encoding, 9 + p.
    let mut second = [0xff; 32];
    second[0] = 0xf6;
    second[31] = 0x7f;
    let mut base = [0; 32];
    base[0] = 9;
    let multiplier = Multiplier::new(&Scalar::random(&mut rng));
    let shared = receive(&multiplier, &[base, second]);
    assert_eq!(shared[0], shared[1]);
}

#[test]
fn the_sender_is_x25519_with_and_without_a_table() {
    let mut rng = rng();
    let secret = OnionSecretKey::generate(&mut rng);
    let plain = HopKey::plain(&secret.public_key());
    let table = HopKey::plain(&secret.public_key()).with_table();
    let secrets: Vec<_> = (0..20).map(|_| bytes(&mut rng)).collect();
    let keys = [&plain, &table];
    let (mut ephemerals, mut shared) = (vec![[0; 32]; 20], vec![[0; 32]; 20]);
    send_batch(&secrets, keys.into_iter().cycle(), &mut ephemerals, &mut shared);
    for i in 0..20 {
        let expected = x25519_dalek::x25519(secrets[i], x25519_dalek::X25519_BASEPOINT_BYTES);
        assert_eq!(ephemerals[i], expected);
        assert_eq!(shared[i], x25519_dalek::x25519(secrets[i], *plain.u()));
    }
    assert_eq!(receive(&Multiplier::new(secret.scalar()), &ephemerals), shared);
}
