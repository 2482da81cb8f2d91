//! POLYVAL's field (RFC 8452): 128 bits modulo x^128 + x^127 + x^126 + x^121 + 1, whose product is a b x^-128.

use core::arch::x86_64::*;

use zeroize::Zeroizing;

use super::lanes::{LANES, Vector, xor, zero};

/// The upper half of x^128 = x^127 + x^126 + x^121 + 1.
pub(super) const MODULUS: i64 = 0xc2_u64.cast_signed() << 56;

vectorised! {
    /// x^-128 times the sum of the products of up to four `blocks` with falling powers of a key, the
    /// last with the first. Reduction comes once, after all: it adds what clears the low half, 64 bits
    /// at a time, multiples of the modulus, whose low 64 bits are 1.
    pub(super) fn combined(blocks: &[Vector], powers: &[Vector; LANES]) -> Vector {
        let modulus = _mm512_set1_epi64(MODULUS);
        let [mut low, mut middle, mut high] = [zero(); 3];
        // Four products of halves: one more than Karatsuba's way takes, which needs more additions.
        for (block, power) in blocks.iter().zip(powers[..blocks.len()].iter().rev()) {
            low = xor(low, _mm512_clmulepi64_epi128::<0x00>(*block, *power));
            high = xor(high, _mm512_clmulepi64_epi128::<0x11>(*block, *power));
            middle = xor(middle, xor(
                _mm512_clmulepi64_epi128::<0x01>(*block, *power),
                _mm512_clmulepi64_epi128::<0x10>(*block, *power),
            ));
        }
        let low = xor(low, _mm512_bslli_epi128::<8>(middle));
        let high = xor(high, _mm512_bsrli_epi128::<8>(middle));
        let low = xor(
            _mm512_shuffle_epi32::<0b01_00_11_10>(low),
            _mm512_clmulepi64_epi128::<0x00>(low, modulus),
        );
        let low = xor(
            _mm512_shuffle_epi32::<0b01_00_11_10>(low),
            _mm512_clmulepi64_epi128::<0x00>(low, modulus),
        );
        xor(high, low)
    }

    /// The first four powers of keys.
    pub(super) fn powers_of<const V: usize>(
        keys: &[Vector; V],
    ) -> Zeroizing<[[Vector; LANES]; V]> {
        let mut powers = Zeroizing::new([[zero(); LANES]; V]);
        for (key, powers) in keys.iter().zip(powers.iter_mut()) {
            powers[0] = *key;
            for i in 1..LANES {
                powers[i] = combined(&[powers[i - 1]], powers);
            }
        }
        powers
    }
}
