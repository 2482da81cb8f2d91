//! AES-256 in counter mode, always 64 blocks at a time.
//!
//! Wide AES units work on up to 64 blocks at once, and a general-purpose mode takes what is left
//! over block by block, which for an onion is nearly all of it. Encrypting counters that nobody
//! needs is several times faster.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes256, Block};

use super::{Cipher, NONCE_BYTES};

/// Blocks of 16 bytes in a piece of the stream.
pub(super) const PIECE: usize = 64;

pub(super) fn cipher(keys: &Cipher<'_>) -> Aes256 {
    Aes256::new(keys.key.into())
}

/// A piece's counters from `start` on: `prefix | counter`, 32 bits, big-endian.
#[inline]
pub(super) fn set_counters(blocks: &mut [Block; PIECE], prefix: &[u8; NONCE_BYTES], start: u32) {
    for (counter, block) in (0..).zip(blocks) {
        block[..NONCE_BYTES].copy_from_slice(prefix);
        block[NONCE_BYTES..].copy_from_slice(&start.wrapping_add(counter).to_be_bytes());
    }
}

/// Adds blocks of the stream to at most as many blocks of data.
pub(super) fn xor(data: &mut [u8], stream: &[Block]) {
    let (blocks, rest) = data.as_chunks_mut::<16>();
    for (data, block) in blocks.iter_mut().zip(stream) {
        let sum = u128::from_ne_bytes(*data) ^ u128::from_ne_bytes((*block).into());
        *data = sum.to_ne_bytes();
    }
    for (data, byte) in rest.iter_mut().zip(stream.iter().skip(blocks.len()).flatten()) {
        *data ^= byte;
    }
}

/// Adds the stream from counter `start` on to `data`, which is shorter than 2^32 blocks.
pub(super) fn apply(cipher: &Aes256, prefix: &[u8; NONCE_BYTES], start: u32, data: &mut [u8]) {
    let starts = (start..).step_by(PIECE);
    let mut blocks = [Block::default(); PIECE];
    for (data, start) in data.chunks_mut(16 * PIECE).zip(starts) {
        set_counters(&mut blocks, prefix, start);
        cipher.encrypt_blocks(&mut blocks);
        xor(data, &blocks);
    }
}
