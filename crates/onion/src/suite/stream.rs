//! AES-256 in counter mode, always 64 blocks at a time.
//!
//! Wide AES units work on up to 64 blocks at once, and a general-purpose mode takes what is left
//! over block by block, which for an onion is nearly all of it. Encrypting counters that nobody
//! needs is several times faster.

use aes::cipher::BlockCipherEncrypt;
use aes::{Aes256, Block};

/// Blocks of 16 bytes in a piece of the stream.
pub(super) const PIECE: usize = 64;

/// The stream's blocks from counter `start` on: AES of `prefix | counter`, 32 bits, big-endian.
pub(super) fn piece(cipher: &Aes256, prefix: &[u8; 12], start: u32) -> [Block; PIECE] {
    let mut blocks = [Block::default(); PIECE];
    for (counter, block) in (0..).zip(&mut blocks) {
        block[..12].copy_from_slice(prefix);
        block[12..].copy_from_slice(&start.wrapping_add(counter).to_be_bytes());
    }
    cipher.encrypt_blocks(&mut blocks);
    blocks
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
pub(crate) fn apply(cipher: &Aes256, prefix: &[u8; 12], start: u32, data: &mut [u8]) {
    let starts = (start..).step_by(PIECE);
    for (data, start) in data.chunks_mut(16 * PIECE).zip(starts) {
        xor(data, &piece(cipher, prefix, start));
    }
}

#[cfg(test)]
mod tests {
    use aes::cipher::{KeyInit, KeyIvInit, StreamCipher};

    use super::*;

    #[test]
    fn it_is_aes_in_counter_mode_at_every_length() {
        for length in [0, 1, 15, 16, 17, 256, 1023, 1024, 1025, 16384, 16400] {
            let mut data: Vec<u8> = (0..length).map(|i| i as u8).collect();
            let mut expected = data.clone();
            let key = [7; 32];
            apply(&Aes256::new(&key.into()), &[0; 12], 0, &mut data);
            ctr::Ctr128BE::<Aes256>::new(&key.into(), &[0; 16].into())
                .apply_keystream(&mut expected);
            assert_eq!(data, expected);
        }
    }
}
