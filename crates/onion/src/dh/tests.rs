use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;
use crate::{HopKey, OnionSecretKey};

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(0xd1ff)
}

fn bytes(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut bytes = [0; 32];
    rng.fill_bytes(&mut bytes);
    bytes
}

/// The kernels this machine has; the tests of the others say that they were skipped.
fn kernels() -> impl Iterator<Item = Kernel> {
    Kernel::ALL.iter().copied().filter(|kernel| {
        let available = kernel.is_available();
        if !available {
            eprintln!("skipped: this processor cannot run the kernel {kernel}");
        }
        available
    })
}

fn receive(kernel: Kernel, multiplier: &Multiplier, ephemerals: &[[u8; 32]]) -> Vec<[u8; 32]> {
    let mut shared = vec![[0xaa; 32]; ephemerals.len()];
    receive_batch(kernel, multiplier, ephemerals, &mut shared);
    shared
}

/// The definition: the ladder over all 256 bits of the multiplier.
fn ladder(multiplier: &Multiplier, ephemeral: [u8; 32]) -> [u8; 32] {
    let k = multiplier.bytes();
    let bits = (0..256).rev().map(|i| k[i / 8] >> (i % 8) & 1 == 1);
    curve25519_dalek::montgomery::MontgomeryPoint(ephemeral).mul_bits_be(bits).to_bytes()
}

#[test]
fn it_is_the_ladder_on_every_point_torsion_and_twist_included() {
    let mut rng = rng();
    for secret in [Scalar::random(&mut rng), -Scalar::from(8u8), Scalar::from(8u8), Scalar::ONE] {
        let multiplier = Multiplier::new(&secret);
        let mut ephemerals = Vec::new();
        for torsion in EIGHT_TORSION {
            let point = EdwardsPoint::mul_base(&Scalar::random(&mut rng)) + torsion;
            ephemerals.push(point.to_montgomery().to_bytes());
            ephemerals.push(torsion.to_montgomery().to_bytes());
            ephemerals.push(EdwardsPoint::random(&mut rng).to_montgomery().to_bytes());
            ephemerals.push(bytes(&mut rng));
        }
        let expected: Vec<_> =
            ephemerals.iter().map(|ephemeral| ladder(&multiplier, *ephemeral)).collect();
        for kernel in kernels() {
            assert_eq!(receive(kernel, &multiplier, &ephemerals), expected, "{kernel}");
        }
    }
}

#[test]
fn a_torsion_component_changes_nothing_and_a_small_order_key_gives_zero() {
    let mut rng = rng();
    let multiplier = Multiplier::new(&Scalar::random(&mut rng));
    let point = EdwardsPoint::mul_base(&Scalar::random(&mut rng));
    let ephemerals: Vec<_> =
        EIGHT_TORSION.iter().map(|torsion| (point + torsion).to_montgomery().to_bytes()).collect();
    let small: Vec<_> = EIGHT_TORSION.iter().map(|t| t.to_montgomery().to_bytes()).collect();
    for kernel in kernels() {
        let shared = receive(kernel, &multiplier, &ephemerals);
        assert!(shared.iter().all(|each| *each == shared[0] && *each != [0; 32]));
        assert!(receive(kernel, &multiplier, &small).iter().all(|each| *each == [0; 32]));
    }
}

#[test]
fn the_sender_is_x25519_with_and_without_tables_of_every_kernel() {
    let mut rng = rng();
    let secrets: Vec<_> = (0..5).map(|_| OnionSecretKey::generate(&mut rng)).collect();
    let mut keys = Vec::new();
    for secret in &secrets {
        keys.push(HopKey::plain(&secret.public_key()));
        for kernel in kernels() {
            keys.push(HopKey::plain(&secret.public_key()).with_table_for(kernel));
        }
    }
    for count in (0..=33).chain([150]) {
        let scalars: Vec<_> = (0..count).map(|_| bytes(&mut rng)).collect();
        let chosen: Vec<_> =
            (0..count).map(|_| &keys[rng.next_u32() as usize % keys.len()]).collect();
        let expected_ephemerals: Vec<_> = scalars
            .iter()
            .map(|scalar| x25519_dalek::x25519(*scalar, x25519_dalek::X25519_BASEPOINT_BYTES))
            .collect();
        let expected: Vec<_> = scalars
            .iter()
            .zip(&chosen)
            .map(|(scalar, key)| x25519_dalek::x25519(*scalar, *key.u()))
            .collect();
        for kernel in kernels() {
            let (mut ephemerals, mut shared) = (vec![[0; 32]; count], vec![[0; 32]; count]);
            send_batch(kernel, &scalars, chosen.iter().copied(), &mut ephemerals, &mut shared);
            assert_eq!(ephemerals, expected_ephemerals, "{kernel}, {count}");
            assert_eq!(shared, expected, "{kernel}, {count}");
        }
    }
}

#[test]
fn what_a_sender_shares_a_receiver_finds() {
    let mut rng = rng();
    for kernel in kernels() {
        let secret = OnionSecretKey::generate(&mut rng);
        let key = HopKey::plain(&secret.public_key()).with_table_for(kernel);
        let scalars: Vec<_> = (0..20).map(|_| bytes(&mut rng)).collect();
        let (mut ephemerals, mut shared) = (vec![[0; 32]; 20], vec![[0; 32]; 20]);
        send_batch(kernel, &scalars, std::iter::repeat(&key), &mut ephemerals, &mut shared);
        assert_eq!(receive(kernel, &Multiplier::new(secret.scalar()), &ephemerals), shared);
    }
}
