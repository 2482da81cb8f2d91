//! GHASH (NIST SP 800-38D, section 6.4) of four texts a vector, each under a key of its own.
//!
//! Blocks read from their last byte to their first are elements of POLYVAL's field (RFC 8452, appendix
//! A); multiplying the key by x once makes up for the difference.

use core::arch::x86_64::*;

use super::field::{MODULUS, combined, powers_of};
use super::lanes::{BYTES, LANES, Vector, load, load_part, transpose, xor, zero};

vectorised! {
    /// Every lane read from its last byte to its first.
    fn reversed(vector: Vector) -> Vector {
        let order = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
        _mm512_shuffle_epi8(vector, _mm512_broadcast_i32x4(order))
    }

    /// The key as products want it: a x, for a read from its last byte to its first.
    fn prepared(key: Vector) -> Vector {
        let key = reversed(key);
        let carries = _mm512_srli_epi64::<63>(key);
        let doubled = _mm512_or_si512(
            _mm512_add_epi64(key, key),
            _mm512_bslli_epi128::<8>(carries),
        );
        // x^128 becomes x^127 + x^126 + x^121 + 1.
        let top = _mm512_sub_epi64(zero(), _mm512_shuffle_epi32::<0b11_10_11_10>(carries));
        let modulus = _mm512_broadcast_i32x4(_mm_set_epi64x(MODULUS, 1));
        xor(doubled, _mm512_and_si512(top, modulus))
    }

    /// The hashes of texts of one length and of their lengths, without associated data; `keys` are
    /// encryptions of zero.
    pub(super) fn hashes<const V: usize>(
        keys: &[Vector; V],
        texts: &[[&[u8]; LANES]; V],
    ) -> [Vector; V] {
        let powers = powers_of(&keys.map(|key| prepared(key)));
        let mut vectors: [[&[[u8; BYTES]]; LANES]; V] = [[&[]; LANES]; V];
        let mut rests: [[&[u8]; LANES]; V] = [[&[]; LANES]; V];
        for v in 0..V {
            for lane in 0..LANES {
                (vectors[v][lane], rests[v][lane]) = texts[v][lane].as_chunks::<BYTES>();
            }
        }
        let mut sums = [zero(); V];
        // Four blocks of each text at a time; a text is a lane, so that one product serves four texts.
        for i in 0..vectors[0][0].len() {
            let mut blocks = [[zero(); LANES]; V];
            for v in 0..V {
                let [a, b, c, d] = &vectors[v];
                blocks[v] = transpose([load(&a[i]), load(&b[i]), load(&c[i]), load(&d[i])]);
            }
            absorb(&mut sums, &powers, &blocks, LANES);
        }
        let rest = rests[0][0].len();
        if rest > 0 {
            let mut blocks = [[zero(); LANES]; V];
            for v in 0..V {
                let [a, b, c, d] = rests[v];
                blocks[v] = transpose([load_part(a), load_part(b), load_part(c), load_part(d)]);
            }
            absorb(&mut sums, &powers, &blocks, rest.div_ceil(16));
        }
        let bits = _mm512_broadcast_i32x4(_mm_set_epi64x(0, 8 * texts[0][0].len() as i64));
        for (sum, powers) in sums.iter_mut().zip(powers.iter()) {
            *sum = reversed(combined(&[xor(*sum, bits)], powers));
        }
        sums
    }

    /// Takes the first `count` of four blocks more of each text into its sum.
    fn absorb<const V: usize>(
        sums: &mut [Vector; V],
        powers: &[[Vector; LANES]; V],
        blocks: &[[Vector; LANES]; V],
        count: usize,
    ) {
        for v in 0..V {
            let mut reverse = blocks[v];
            for block in &mut reverse {
                *block = reversed(*block);
            }
            reverse[0] = xor(reverse[0], sums[v]);
            sums[v] = combined(&reverse[..count], &powers[v]);
        }
    }
}
