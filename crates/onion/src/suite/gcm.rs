//! AES-256-GCM (NIST SP 800-38D) without associated data, over the stream of 64 blocks at a time.

use aes::Aes256;
use aes::cipher::BlockCipherEncrypt;
use ghash::universal_hash::UniversalHash;
use ghash::{Block, GHash};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

use super::Cipher;
use super::stream::{self, PIECE};

/// Blocks of a first piece before the data's: the hash key and the tag's mask.
const BEFORE: usize = 2;

/// Encrypts `data` in place and returns the tag.
pub(super) fn seal(keys: &Cipher<'_>, data: &mut [u8]) -> [u8; 16] {
    let cipher = stream::cipher(keys);
    let mut first = [Block::default(); PIECE];
    start(&cipher, keys, &mut first);
    apply(&cipher, keys, &first, data);
    tag(&mut first, data)
}

/// Decrypts `data` in place if the tag holds; leaves it as it is otherwise.
pub(super) fn open(keys: &Cipher<'_>, expected: &[u8; 16], data: &mut [u8]) -> bool {
    let cipher = stream::cipher(keys);
    let mut first = [Block::default(); PIECE];
    start(&cipher, keys, &mut first);
    let holds: bool = tag(&mut first, data).ct_eq(expected).into();
    if holds {
        apply(&cipher, keys, &first, data);
    }
    holds
}

/// Sets the first piece: the hash key, AES of zeros, in place of counter 0, which nothing uses; counter
/// 1, which masks the tag; and the stream of the data, from counter 2 on.
fn start(cipher: &Aes256, keys: &Cipher<'_>, first: &mut [Block; PIECE]) {
    stream::set_counters(first, keys.nonce, 0);
    first[0] = Block::default();
    cipher.encrypt_blocks(first);
}

fn apply(cipher: &Aes256, keys: &Cipher<'_>, first: &[Block; PIECE], data: &mut [u8]) {
    let (head, rest) = data.split_at_mut(data.len().min(16 * (PIECE - BEFORE)));
    stream::xor(head, &first[BEFORE..]);
    stream::apply(cipher, keys.nonce, PIECE as u32, rest);
}

fn tag(first: &mut [Block; PIECE], ciphertext: &[u8]) -> [u8; 16] {
    let [hash_key, mask, ..] = first;
    let mut hash = GHash::new(hash_key);
    hash_key.zeroize();
    hash.update_padded(ciphertext);
    let mut lengths = Block::default();
    lengths[8..].copy_from_slice(&(8 * ciphertext.len() as u64).to_be_bytes());
    hash.update(&[lengths]);
    let tag: [u8; 16] = hash.finalize().into();
    (u128::from_ne_bytes(tag) ^ u128::from_ne_bytes((*mask).into())).to_ne_bytes()
}
