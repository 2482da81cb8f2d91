use aes::Aes256;
use aes_gcm::Aes256Gcm;
use aes_gcm::aead::AeadInOut;
use ctr::cipher::{KeyInit, KeyIvInit, StreamCipher};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;

/// Around blocks, vectors of four, the pieces of the portable stream; and an onion's lengths.
const LENGTHS: &[usize] = &[
    222, 255, 256, 257, 272, 511, 512, 513, 972, 991, 992, 993, 1008, 1023, 1024, 1025, 2017, 5000,
];

struct Texts {
    keys: Vec<[u8; KEY_BYTES]>,
    nonces: Vec<[u8; NONCE_BYTES]>,
    plain: Vec<Vec<u8>>,
}

impl Texts {
    fn new(count: usize, length: usize) -> Self {
        let rng = &mut ChaCha20Rng::seed_from_u64(length as u64);
        let mut texts = Self { keys: Vec::new(), nonces: Vec::new(), plain: Vec::new() };
        for _ in 0..count {
            let (mut key, mut nonce, mut plain) = ([0; 32], [0; 12], vec![0; length]);
            rng.fill_bytes(&mut key);
            rng.fill_bytes(&mut nonce);
            rng.fill_bytes(&mut plain);
            texts.keys.push(key);
            texts.nonces.push(nonce);
            texts.plain.push(plain);
        }
        texts
    }

    fn ciphers(&self) -> Vec<Cipher<'_>> {
        let pairs = self.keys.iter().zip(&self.nonces);
        pairs.map(|(key, nonce)| Cipher { key, nonce }).collect()
    }

    /// By a crate that has nothing to do with ours.
    fn sealed(&self) -> (Vec<Vec<u8>>, Vec<[u8; TAG_BYTES]>) {
        let one = |((key, nonce), plain): ((&[u8; 32], &[u8; 12]), &Vec<u8>)| {
            let mut text = plain.clone();
            let tag = Aes256Gcm::new(key.into())
                .encrypt_inout_detached(nonce.into(), &[], text.as_mut_slice().into())
                .unwrap();
            (text, <[u8; TAG_BYTES]>::from(tag))
        };
        self.keys.iter().zip(&self.nonces).zip(&self.plain).map(one).unzip()
    }
}

fn slices(texts: &mut [Vec<u8>]) -> Vec<&mut [u8]> {
    texts.iter_mut().map(Vec::as_mut_slice).collect()
}

/// The kernels this machine has; the tests of the others say that they were skipped.
fn kernels() -> impl Iterator<Item = Kernel> {
    if !vaes::is_available() {
        eprintln!("skipped: this processor has no VAES");
    }
    Kernel::ALL.iter().copied().filter(|kernel| kernel.is_available())
}

fn lengths() -> impl Iterator<Item = usize> {
    (0..=200).chain(LENGTHS.iter().copied())
}

#[test]
fn sealing_is_aes_gcm_at_every_length_and_count() {
    let check = |count, length| {
        let texts = Texts::new(count, length);
        let (expected, expected_tags) = texts.sealed();
        for kernel in kernels() {
            let (mut data, mut tags) = (texts.plain.clone(), vec![[0; TAG_BYTES]; count]);
            seal(kernel, &texts.ciphers(), &mut slices(&mut data), &mut tags);
            assert_eq!(data, expected, "{kernel}, {count} of {length}");
            assert_eq!(tags, expected_tags, "{kernel}, {count} of {length}");
        }
    };
    lengths().for_each(|length| check(AT_ONCE, length));
    (0..AT_ONCE).for_each(|count| check(count, 272));
}

#[test]
fn what_holds_opens_at_every_length_and_count() {
    let check = |count, length| {
        let texts = Texts::new(count, length);
        let (sealed, tags) = texts.sealed();
        for kernel in kernels() {
            let (mut data, mut opened) = (sealed.clone(), vec![true; count]);
            open(kernel, &texts.ciphers(), &tags, &mut slices(&mut data), &mut opened);
            assert!(opened.iter().all(|opened| *opened), "{kernel}, {count} of {length}");
            assert_eq!(data, texts.plain, "{kernel}, {count} of {length}");
        }
    };
    lengths().for_each(|length| check(AT_ONCE, length));
    (0..AT_ONCE).for_each(|count| check(count, 272));
}

#[test]
fn what_is_changed_in_one_bit_or_not_wanted_stays_as_it_is() {
    let texts = Texts::new(AT_ONCE, 972);
    let (sealed, right) = texts.sealed();
    for kernel in kernels() {
        for victim in 0..AT_ONCE {
            for bit in 0..8 * (TAG_BYTES + 1) {
                let (mut data, mut tags, mut wanted) = (sealed.clone(), right.clone(), [true; _]);
                match tags[victim].get_mut(bit / 8) {
                    Some(byte) => *byte ^= 1 << (bit % 8),
                    None if bit % 8 == 0 => wanted[victim] = false,
                    None => data[victim][bit % 8 * 121] ^= 1,
                }
                let before = data[victim].clone();
                let mut opened: [bool; AT_ONCE] = wanted;
                open(kernel, &texts.ciphers(), &tags, &mut slices(&mut data), &mut opened);
                for i in 0..AT_ONCE {
                    let expected = if i == victim { &before } else { &texts.plain[i] };
                    assert_eq!(opened[i], i != victim, "{kernel}, bit {bit} of {victim}");
                    assert_eq!(data[i], *expected, "{kernel}, bit {bit} of {victim}");
                }
            }
        }
    }
}

#[test]
fn streams_are_aes_in_counter_mode_at_every_length_and_count() {
    let check = |count, length| {
        let texts = Texts::new(count, length);
        let mut expected = texts.plain.clone();
        for ((key, nonce), text) in texts.keys.iter().zip(&texts.nonces).zip(&mut expected) {
            let mut counter = [0; 16];
            counter[..NONCE_BYTES].copy_from_slice(nonce);
            ctr::Ctr128BE::<Aes256>::new(key.into(), &counter.into()).apply_keystream(text);
        }
        for kernel in kernels() {
            let mut data = texts.plain.clone();
            apply(kernel, &texts.ciphers(), &mut slices(&mut data));
            assert_eq!(data, expected, "{kernel}, {count} of {length}");
        }
    };
    lengths().for_each(|length| check(AT_ONCE, length));
    (0..AT_ONCE).for_each(|count| check(count, 272));
}

/// What stands in the published file: HCTR2 with AES-256, tweaks of 32 bytes, whole blocks.
#[test]
fn cells_are_as_the_published_vectors_say() {
    let file = include_str!("../../../vectors/hctr2.json");
    let file: serde_json::Value = serde_json::from_str(file).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert!(vectors.len() > 10);
    for vector in vectors {
        let bytes = |name: &str| hex::decode(vector[name].as_str().unwrap()).unwrap();
        let key: [u8; KEY_BYTES] = bytes("key").try_into().unwrap();
        let tweak: [u8; TWEAK_BYTES] = bytes("tweak").try_into().unwrap();
        let (plain, cipher) = (bytes("plaintext"), bytes("ciphertext"));
        for kernel in kernels() {
            let mut cell = plain.clone();
            permute(kernel, Way::Encipher, &[&key], &tweak, &mut [&mut cell]);
            assert_eq!(cell, cipher, "{kernel}, {} bytes", plain.len());
            permute(kernel, Way::Decipher, &[&key], &tweak, &mut [&mut cell]);
            assert_eq!(cell, plain, "{kernel}, {} bytes", plain.len());
        }
    }
}

/// The portable implementation, which the vectors hold for, says what the others have to give.
#[test]
fn every_kernel_gives_the_same_cells_at_every_length_and_count() {
    let check = |count, length| {
        let texts = Texts::new(count, length);
        let keys: Vec<_> = texts.keys.iter().collect();
        let tweak = [length as u8; TWEAK_BYTES];
        for way in [Way::Encipher, Way::Decipher] {
            let mut expected = texts.plain.clone();
            permute(Kernel::Portable, way, &keys, &tweak, &mut slices(&mut expected));
            for kernel in kernels() {
                let mut data = texts.plain.clone();
                permute(kernel, way, &keys, &tweak, &mut slices(&mut data));
                assert_eq!(data, expected, "{kernel}, {way:?}, {count} of {length}");
            }
        }
    };
    (16..=1024).step_by(16).for_each(|length| check(AT_ONCE, length));
    [4096, 16384].into_iter().for_each(|length| check(AT_ONCE, length));
    (0..3 * AT_ONCE).for_each(|count| check(count, 256));
}

/// One bit anywhere, of cell, key or tweak, and every part of what comes out is another.
#[test]
fn one_bit_changes_all_of_a_cell_both_ways() {
    let texts = Texts::new(1, 256);
    let tweak = [7; TWEAK_BYTES];
    for kernel in kernels() {
        for way in [Way::Encipher, Way::Decipher] {
            let run = |key: &[u8; KEY_BYTES], tweak: &[u8; TWEAK_BYTES], cell: &[u8]| {
                let mut cell = cell.to_vec();
                permute(kernel, way, &[key], tweak, &mut [&mut cell]);
                cell
            };
            let (key, cell) = (&texts.keys[0], &texts.plain[0]);
            let usual = run(key, &tweak, cell);
            for bit in 0..8 * 256 {
                let flipped = |bytes: &mut [u8]| bytes[bit / 8 % bytes.len()] ^= 1 << (bit % 8);
                let (mut other_key, mut other_tweak, mut other) = (*key, tweak, cell.clone());
                flipped(&mut other_key);
                flipped(&mut other_tweak);
                flipped(&mut other);
                for changed in [
                    run(&other_key, &tweak, cell),
                    run(key, &other_tweak, cell),
                    run(key, &tweak, &other),
                ] {
                    let parts = usual.as_chunks::<8>().0.iter().zip(changed.as_chunks::<8>().0);
                    assert!(parts.into_iter().all(|(a, b)| a != b), "{kernel}, {way:?}, bit {bit}");
                }
            }
        }
    }
}
