//! Every kernel is X25519: RFC 7748, Wycheproof, x25519-dalek, and each other.

use antiphon_onion::dh::{Kernel, one_secret, pairs, public_keys};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use wycheproof::xdh::{TestName, TestSet};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

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

fn random(count: usize, rng: &mut ChaCha20Rng) -> Vec<[u8; 32]> {
    let mut bytes = vec![[0; 32]; count];
    rng.fill_bytes(bytes.as_flattened_mut());
    bytes
}

/// By both ways, which must agree.
fn one(kernel: Kernel, secret: &[u8; 32], point: &[u8; 32]) -> [u8; 32] {
    let (mut shared, mut paired) = ([[0xaa; 32]], [[0xaa; 32]]);
    one_secret(kernel, secret, &[*point], &mut shared);
    pairs(kernel, &[*secret], &[*point], &mut paired);
    assert_eq!(shared, paired, "{kernel}");
    shared[0]
}

fn unhex(text: &str) -> [u8; 32] {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).expect("64 hexadecimal digits");
    bytes
}

#[test]
fn rfc_7748_section_5_2() {
    for (scalar, u, expected) in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ] {
        for kernel in kernels() {
            assert_eq!(one(kernel, &unhex(scalar), &unhex(u)), unhex(expected), "{kernel}");
        }
    }
}

#[test]
fn rfc_7748_section_6_1() {
    let alice = unhex("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = unhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    for kernel in kernels() {
        let mut publics = [[0; 32]; 2];
        public_keys(kernel, &[alice, bob], &mut publics);
        assert_eq!(
            publics,
            [
                unhex("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"),
                unhex("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f"),
            ]
        );
        let shared = unhex("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        assert_eq!(one(kernel, &alice, &publics[1]), shared);
        assert_eq!(one(kernel, &bob, &publics[0]), shared);
    }
}

/// k, u = X25519(k, u), k: from the base point on.
fn iterated(kernel: Kernel, rounds: usize) -> [u8; 32] {
    let (mut k, mut u) = (X25519_BASEPOINT_BYTES, X25519_BASEPOINT_BYTES);
    for _ in 0..rounds {
        let mut next = [[0; 32]];
        one_secret(kernel, &k, &[u], &mut next);
        (u, k) = (k, next[0]);
    }
    k
}

#[test]
fn rfc_7748_iterated() {
    for kernel in kernels() {
        assert_eq!(
            iterated(kernel, 1),
            unhex("422c8e7a6227d7bca1350b3e2bb7279f7897b87bb6854b783c60e80311ae3079")
        );
        assert_eq!(
            iterated(kernel, 1000),
            unhex("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51")
        );
    }
}

#[test]
#[ignore = "takes minutes"]
fn rfc_7748_iterated_a_million_times() {
    for kernel in kernels() {
        assert_eq!(
            iterated(kernel, 1_000_000),
            unhex("7c3911e0ab2586fd864497297e575e6f3bc601c0883c30df5f4dd2d24f665424")
        );
    }
}

#[test]
fn wycheproof_one_by_one_and_all_together() {
    let set = TestSet::load(TestName::X25519).unwrap();
    let (mut secrets, mut points, mut expected) = (Vec::new(), Vec::new(), Vec::new());
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let Ok(point) = <[u8; 32]>::try_from(&test.public_key[..]) else { continue };
        secrets.push(<[u8; 32]>::try_from(&test.private_key[..]).unwrap());
        points.push(point);
        expected.push(<[u8; 32]>::try_from(&test.shared_secret[..]).unwrap());
    }
    assert!(expected.len() > 500);
    for kernel in kernels() {
        let mut shared = vec![[0; 32]; expected.len()];
        pairs(kernel, &secrets, &points, &mut shared);
        assert_eq!(shared, expected, "{kernel}");
        for i in 0..expected.len() {
            one_secret(kernel, &secrets[i], &points[i..=i], &mut shared[..1]);
            assert_eq!(shared[0], expected[i], "{kernel}, {i}");
        }
    }
}

#[test]
fn every_batch_length_is_x25519_one_by_one() {
    let rng = &mut ChaCha20Rng::seed_from_u64(7748);
    for count in (0..=33).chain([127, 128, 129, 257]) {
        let (secrets, points) = (random(count.max(1), rng), random(count, rng));
        let expected: Vec<_> = points.iter().map(|point| x25519(secrets[0], *point)).collect();
        let paired: Vec<_> =
            secrets.iter().zip(&points).map(|(secret, point)| x25519(*secret, *point)).collect();
        let publics: Vec<_> =
            secrets[..count].iter().map(|secret| x25519(*secret, X25519_BASEPOINT_BYTES)).collect();
        for kernel in kernels() {
            let mut results = vec![[0xaa; 32]; count];
            one_secret(kernel, &secrets[0], &points, &mut results);
            assert_eq!(results, expected, "{kernel}, {count}");
            pairs(kernel, &secrets[..count], &points, &mut results);
            assert_eq!(results, paired, "{kernel}, {count}");
            public_keys(kernel, &secrets[..count], &mut results);
            assert_eq!(results, publics, "{kernel}, {count}");
        }
    }
}

/// Limbs and words of extreme values, low-order points, and every second encoding.
#[test]
fn extreme_bytes_are_x25519_too() {
    let rng = &mut ChaCha20Rng::seed_from_u64(25519);
    let mut points = Vec::new();
    // Everything within 40 of 0, p, 2^255, 2 p and 2^256, the low-order u among them.
    let mut top = [0xff; 32];
    for end in 0..=u8::MAX {
        let mut small = [0; 32];
        small[0] = end;
        points.push(small);
        top[0] = end;
        points.push(top);
        let mut below_2_255 = top;
        below_2_255[31] = 0x7f;
        points.push(below_2_255);
    }
    for low_order in [
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    ] {
        points.push(unhex(low_order));
    }
    // Runs of ones and zeros of every length.
    for bit in 0..256 {
        let mut ones = [0; 32];
        (0..bit).for_each(|i| ones[i / 8] |= 1 << (i % 8));
        points.push(ones);
        points.push(ones.map(|byte| !byte));
    }
    let scalars = [[0; 32], [0xff; 32], random(1, rng)[0]];
    for scalar in scalars {
        let expected: Vec<_> = points.iter().map(|point| x25519(scalar, *point)).collect();
        for kernel in kernels() {
            let mut shared = vec![[0xaa; 32]; points.len()];
            one_secret(kernel, &scalar, &points, &mut shared);
            assert_eq!(shared, expected, "{kernel}");
        }
    }
    // The same bytes as scalars.
    let expected: Vec<_> =
        points.iter().map(|scalar| x25519(*scalar, X25519_BASEPOINT_BYTES)).collect();
    for kernel in kernels() {
        let mut publics = vec![[0xaa; 32]; points.len()];
        public_keys(kernel, &points, &mut publics);
        assert_eq!(publics, expected, "{kernel}");
    }
}

/// Points at which nothing is left of a lane do not disturb the other lanes.
#[test]
fn a_point_of_small_order_leaves_its_neighbours_alone() {
    let rng = &mut ChaCha20Rng::seed_from_u64(3);
    let secret = random(1, rng)[0];
    let mut points = random(40, rng);
    for i in (0..40).step_by(3) {
        points[i] = [0; 32];
    }
    for kernel in kernels() {
        let mut shared = vec![[0xaa; 32]; 40];
        one_secret(kernel, &secret, &points, &mut shared);
        for (point, shared) in points.iter().zip(&shared) {
            assert_eq!(*shared, x25519(secret, *point), "{kernel}");
        }
    }
}

#[test]
fn kernels_have_names_and_one_is_always_there() {
    for kernel in Kernel::ALL.iter().copied() {
        assert_eq!(kernel.name().parse(), Ok(kernel));
        assert_eq!(kernel.select().is_ok(), kernel.is_available());
    }
    assert!("fastest".parse::<Kernel>().is_err());
    assert!(Kernel::Portable.is_available());
    // The last one that could be selected.
    assert_eq!(Kernel::selected(), Kernel::Portable);
}
