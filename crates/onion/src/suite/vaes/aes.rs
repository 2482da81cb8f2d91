//! AES-256 (FIPS 197), four blocks a vector.

use core::arch::x86_64::*;

use super::lanes::{
    BYTES, LANES, Vector, gather, join, load, load_part, store, store_part, xor, zero,
};
use crate::suite::{KEY_BYTES, NONCE_BYTES};

/// The round keys, for each lane its own.
pub(super) type Keys = [Vector; 15];

/// Vectors of a stream that are made together: as many as hide the time a round takes.
const AT_ONCE: usize = 4;

vectorised! {
    /// Sums of each word and those below it.
    fn running_sum(words: Vector) -> Vector {
        let sum = xor(words, _mm512_bslli_epi128::<4>(words));
        xor(sum, _mm512_bslli_epi128::<8>(sum))
    }

    /// The round keys of these keys (FIPS 197, section 5.2).
    ///
    /// The S-box comes with a shift of rows, which does nothing to four equal words, and with a sum.
    pub(super) fn expand(keys: [&[u8; KEY_BYTES]; LANES], rounds: &mut Keys) {
        let mut halves = [[&[0; 16]; LANES]; 2];
        for (lane, key) in keys.into_iter().enumerate() {
            let (key, _) = key.as_chunks();
            halves[0][lane] = &key[0];
            halves[1][lane] = &key[1];
        }
        let mut even = gather(halves[0]);
        let mut odd = gather(halves[1]);
        rounds[0] = even;
        rounds[1] = odd;
        for i in 0..7 {
            // RotWord, then SubWord by a last round, which does not mix; its key is the round constant.
            let last = _mm512_ror_epi32::<8>(_mm512_shuffle_epi32::<0xff>(odd));
            let last = _mm512_aesenclast_epi128(last, _mm512_set1_epi32(1 << i));
            even = xor(running_sum(even), last);
            rounds[2 * i + 2] = even;
            if i < 6 {
                let last = _mm512_shuffle_epi32::<0xff>(even);
                odd = xor(running_sum(odd), _mm512_aesenclast_epi128(last, zero()));
                rounds[2 * i + 3] = odd;
            }
        }
    }

    /// Puts the round keys of one lane into every lane.
    pub(super) fn spread(keys: &Keys, lane: usize, spread: &mut Keys) {
        let low = 2 * lane as i64;
        let words = _mm512_set4_epi64(low + 1, low, low + 1, low);
        for (spread, key) in spread.iter_mut().zip(keys) {
            *spread = _mm512_permutexvar_epi64(words, *key);
        }
    }

    /// Encrypts each lane with its key.
    pub(super) fn encrypt<const N: usize>(keys: &Keys, blocks: &mut [Vector; N]) {
        for block in &mut *blocks {
            *block = xor(*block, keys[0]);
        }
        for key in &keys[1..14] {
            for block in &mut *blocks {
                *block = _mm512_aesenc_epi128(*block, *key);
            }
        }
        for block in blocks {
            *block = _mm512_aesenclast_epi128(*block, keys[14]);
        }
    }

    /// The round keys that [`decrypt`] takes, for those of [`encrypt`].
    ///
    /// The equivalent inverse cipher (FIPS 197, section 5.3.5) wants columns of most of them unmixed. A last
    /// round substitutes and shifts, and an inverse round undoes that before it unmixes.
    pub(super) fn inverted(keys: &Keys, inverse: &mut Keys) {
        for (inverse, key) in inverse.iter_mut().zip(keys.iter().rev()) {
            *inverse = *key;
        }
        for key in &mut inverse[1..14] {
            *key = _mm512_aesdec_epi128(_mm512_aesenclast_epi128(*key, zero()), zero());
        }
    }

    /// Decrypts each lane with its key; `keys` are [`inverted`].
    pub(super) fn decrypt(keys: &Keys, block: Vector) -> Vector {
        let mut block = xor(block, keys[0]);
        for key in &keys[1..14] {
            block = _mm512_aesdec_epi128(block, *key);
        }
        _mm512_aesdeclast_epi128(block, keys[14])
    }

    /// A nonce and a counter, 32 bits, little-endian.
    fn counter_block(nonce: &[u8; NONCE_BYTES], counter: u32) -> __m128i {
        let (words, _) = nonce.as_chunks();
        let [a, b, c] = [words[0], words[1], words[2]].map(i32::from_le_bytes);
        _mm_setr_epi32(a, b, c, counter.cast_signed())
    }

    /// The blocks of counter 1.
    pub(super) fn first_counters(nonces: [&[u8; NONCE_BYTES]; LANES]) -> Vector {
        join(nonces.map(|nonce| counter_block(nonce, 1_u32.to_be())))
    }

    /// Adds the stream from counter `start` on to `text`: AES of `nonce | counter`, 32 bits,
    /// big-endian. The key is the same in all lanes.
    pub(super) fn xor_stream(
        keys: &Keys,
        nonce: &[u8; NONCE_BYTES],
        start: u32,
        text: &mut [u8],
    ) {
        let big_endian = _mm512_broadcast_i32x4(_mm_setr_epi8(
            0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 14, 13, 12,
        ));
        let lanes = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3);
        let first = _mm512_broadcast_i32x4(counter_block(nonce, start));
        let mut next = _mm512_add_epi32(first, lanes);
        let step = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, LANES as i32));
        for text in text.chunks_mut(BYTES * AT_ONCE) {
            let mut stream = [zero(); AT_ONCE];
            for vector in &mut stream {
                *vector = _mm512_shuffle_epi8(next, big_endian);
                next = _mm512_add_epi32(next, step);
            }
            encrypt(keys, &mut stream);
            let (vectors, rest) = text.as_chunks_mut();
            for (text, vector) in vectors.iter_mut().zip(stream) {
                store(text, xor(load(text), vector));
            }
            if !rest.is_empty() {
                store_part(rest, xor(load_part(rest), stream[vectors.len()]));
            }
        }
    }
}
