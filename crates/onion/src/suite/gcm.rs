//! AES-256-GCM (NIST SP 800-38D) without associated data, over the stream of 64 blocks at a time.

use aes::Aes256;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::stream::{self, PIECE};

/// Encrypts `data` in place and returns the tag.
pub(super) fn seal(key: &[u8; 32], nonce: &[u8; 12], data: &mut [u8]) -> [u8; 16] {
    let cipher = Aes256::new(key.into());
    let first = stream::piece(&cipher, nonce, 1);
    apply(&cipher, nonce, &first, data);
    tag(&cipher, &first[0], data)
}

/// Decrypts `data` in place if the tag holds; leaves it as it is otherwise.
pub(super) fn open(key: &[u8; 32], nonce: &[u8; 12], expected: &[u8; 16], data: &mut [u8]) -> bool {
    let cipher = Aes256::new(key.into());
    let first = stream::piece(&cipher, nonce, 1);
    let holds: bool = tag(&cipher, &first[0], data).ct_eq(expected).into();
    if holds {
        apply(&cipher, nonce, &first, data);
    }
    holds
}

/// Counter 1 masks the tag; data starts at counter 2.
fn apply(cipher: &Aes256, nonce: &[u8; 12], first: &[Block; PIECE], data: &mut [u8]) {
    let (head, rest) = data.split_at_mut(data.len().min(16 * (PIECE - 1)));
    stream::xor(head, &first[1..]);
    stream::apply(cipher, nonce, 1 + PIECE as u32, rest);
}

fn tag(cipher: &Aes256, mask: &Block, ciphertext: &[u8]) -> [u8; 16] {
    let mut hash_key = Block::default();
    cipher.encrypt_block(&mut hash_key);
    let mut hash = GHash::new(&hash_key);
    hash_key.zeroize();
    hash.update_padded(ciphertext);
    let mut lengths = Block::default();
    lengths[8..].copy_from_slice(&(8 * ciphertext.len() as u64).to_be_bytes());
    hash.update(&[lengths]);
    let mut tag: [u8; 16] = hash.finalize().into();
    for (tag, mask) in tag.iter_mut().zip(mask) {
        *tag ^= mask;
    }
    tag
}

#[cfg(test)]
mod tests {
    use aes_gcm::Aes256Gcm;
    use aes_gcm::aead::AeadInOut;

    use super::*;

    #[test]
    fn it_is_aes_gcm_at_every_length() {
        for length in [0, 1, 16, 272, 972, 1007, 1008, 1009, 2031, 2032, 2033, 20000] {
            let plain: Vec<u8> = (0..length).map(|i| (i * 7) as u8).collect();
            let (key, nonce) = ([3; 32], [5; 12]);
            let mut data = plain.clone();
            let tag = seal(&key, &nonce, &mut data);
            let mut expected = plain.clone();
            let expected_tag = Aes256Gcm::new(&key.into())
                .encrypt_inout_detached(&nonce.into(), &[], expected.as_mut_slice().into())
                .unwrap();
            assert_eq!(data, expected);
            assert_eq!(tag[..], expected_tag[..]);

            let mut wrong = tag;
            wrong[15] ^= 1;
            assert!(!open(&key, &nonce, &wrong, &mut data));
            assert_eq!(data, expected);
            assert!(open(&key, &nonce, &tag, &mut data));
            assert_eq!(data, plain);
        }
    }
}
