//! The field of 2^255 - 19 elements, eight at a time.
//!
//! An element is five vectors of limbs, 51 bits each. Lane `i` of every vector belongs to element `i`. The
//! multiplier (`vpmadd52`) reads the low 52 bits of a limb, so operands must be *tight*:
//!
//! - tight: every limb below T = 2^51 + 2^15. Results of [`operand`], [`carry`] and [`load`].
//! - wide: every limb below 2^61. Products (below 2^59), and sums and differences of two products. One
//!   carry makes a wide element tight, so sums are carried and products are not.

use core::arch::x86_64::*;

/// Elements of a vector.
pub(super) const LANES: usize = 8;
/// Vectors of an element.
pub(super) const LIMBS: usize = 5;

/// A limb, or any 64 bits, of each lane.
pub(super) type Vector = __m512i;
/// A choice for each lane.
pub(super) type Mask = __mmask8;
/// Eight field elements, one in each lane.
pub(super) type Fe = [Vector; LIMBS];

const MASK: i64 = (1 << 51) - 1;
/// (A - 2) / 4 of the curve y^2 = x^3 + A x^2 + x, A = 486662.
const A24: i64 = 121_665;

/// Products of tight elements stay below 498 * 2^50 + 190 * 2^16 < 2^59: column 0 is 1 low half and
/// 19 times 4 low halves (below 2^52 each) and 5 doubled high halves (at most T^2 / 2^52 < 2^50 +
/// 2^16 each); every other column has fewer upper terms. No intermediate exceeds its column.
///
/// a b = lo + 2^52 hi, and 52 = 51 + 1: high halves count double, one column up. Columns from 5 on
/// fold back 19-fold.
macro_rules! mul {
    ($a:expr, $b:expr) => {{
        use crate::dh::ifma::field::*;
        let (a, b): (&Fe, &Fe) = (&$a, &$b);
        check_tight(a);
        check_tight(b);
        let mut z = [_mm512_setzero_si512(); 10];
        // High halves first: they count double, so that one addition per column doubles them all.
        for i in 0..5 {
            for j in 0..5 {
                z[i + j + 1] = _mm512_madd52hi_epu64(z[i + j + 1], a[i], b[j]);
            }
        }
        for z in &mut z[1..] {
            *z = _mm512_add_epi64(*z, *z);
        }
        for i in 0..5 {
            for j in 0..5 {
                z[i + j] = _mm512_madd52lo_epu64(z[i + j], a[i], b[j]);
            }
        }
        fold(&z)
    }};
}

/// The same as a product with itself, with the same bounds: 2 (2 (hi of i < j) + (hi of i = i) +
/// (lo of i < j)) + (lo of i = i).
macro_rules! square {
    ($a:expr) => {{
        use crate::dh::ifma::field::*;
        let a: &Fe = &$a;
        check_tight(a);
        let mut z = [_mm512_setzero_si512(); 10];
        // Products of two different limbs occur twice: they are doubled once with the high halves, once with
        // all.
        for i in 0..5 {
            for j in i + 1..5 {
                z[i + j + 1] = _mm512_madd52hi_epu64(z[i + j + 1], a[i], a[j]);
            }
        }
        for z in &mut z[2..9] {
            *z = _mm512_add_epi64(*z, *z);
        }
        for i in 0..5 {
            z[2 * i + 1] = _mm512_madd52hi_epu64(z[2 * i + 1], a[i], a[i]);
        }
        for i in 0..5 {
            for j in i + 1..5 {
                z[i + j] = _mm512_madd52lo_epu64(z[i + j], a[i], a[j]);
            }
        }
        for z in &mut z[1..] {
            *z = _mm512_add_epi64(*z, *z);
        }
        for i in 0..5 {
            z[2 * i] = _mm512_madd52lo_epu64(z[2 * i], a[i], a[i]);
        }
        fold(&z)
    }};
}

pub(super) use core::arch::x86_64::{
    _mm512_add_epi64, _mm512_madd52hi_epu64, _mm512_madd52lo_epu64, _mm512_setzero_si512,
};
pub(super) use {mul, square};

vectorised! {
    fn splat(value: i64) -> __m512i {
        _mm512_set1_epi64(value)
    }

    pub(super) fn zero() -> Fe {
        [_mm512_setzero_si512(); LIMBS]
    }

    pub(super) fn one() -> Fe {
        let mut one = zero();
        one[0] = splat(1);
        one
    }

    /// Columns 5 to 9 folded onto 0 to 4: 2^255 = 19.
    pub(super) fn fold(z: &[__m512i; 10]) -> Fe {
        let nineteen = splat(19);
        core::array::from_fn(|k| {
            _mm512_add_epi64(z[k], _mm512_mullo_epi64(z[k + 5], nineteen))
        })
    }

    pub(super) fn check_tight(a: &Fe) {
        debug_assert!(below(a, (1 << 51) + (1 << 15)), "an operand is not tight");
    }

    fn below(a: &Fe, bound: u64) -> bool {
        let bound = splat(bound as i64);
        a.iter().all(|limb| _mm512_cmplt_epu64_mask(*limb, bound) == 0xff)
    }

    /// Wide to tight: what is above 51 bits, below 2^10, moves one limb up; from the top limb to the
    /// bottom one 19-fold, which adds less than 2^15.
    pub(super) fn carry(a: &Fe) -> Fe {
        debug_assert!(below(a, 1 << 61), "an element is not wide");
        let mask = splat(MASK);
        let high = a.map(|limb| _mm512_srli_epi64::<51>(limb));
        let low = a.map(|limb| _mm512_and_si512(limb, mask));
        core::array::from_fn(|k| match k {
            0 => _mm512_add_epi64(low[0], _mm512_mullo_epi64(high[4], splat(19))),
            _ => _mm512_add_epi64(low[k], high[k - 1]),
        })
    }

    /// A product, or the sum or difference of two, as an operand.
    pub(super) fn operand(a: &Fe) -> Fe {
        carry(a)
    }

    /// The sum of products or tight elements is below 2^60.
    pub(super) fn add(a: &Fe, b: &Fe) -> Fe {
        core::array::from_fn(|k| _mm512_add_epi64(a[k], b[k]))
    }

    /// Subtracts products or tight elements. 512 p, whose limbs lie between 2^59 and 2^60, keeps limbs from
    /// going below 0 and the difference below 2^61.
    pub(super) fn sub(a: &Fe, b: &Fe) -> Fe {
        debug_assert!(below(a, 1 << 60) && below(b, 1 << 59), "a difference may leave its bounds");
        let bias = |k| splat(if k == 0 { (MASK - 18) << 9 } else { MASK << 9 });
        core::array::from_fn(|k| _mm512_add_epi64(a[k], _mm512_sub_epi64(bias(k), b[k])))
    }

    /// a + 121665 b, for a product a and a tight b: low halves add less than 2^52, high halves less
    /// than 2^17, so that the sum is wide.
    pub(super) fn add_a24(a: &Fe, b: &Fe) -> Fe {
        check_tight(b);
        let a24 = splat(A24);
        let high = b.map(|limb| {
            let high = _mm512_madd52hi_epu64(_mm512_setzero_si512(), limb, a24);
            _mm512_add_epi64(high, high)
        });
        core::array::from_fn(|k| {
            let high = match k {
                0 => _mm512_mullo_epi64(high[4], splat(19)),
                _ => high[k - 1],
            };
            _mm512_madd52lo_epu64(_mm512_add_epi64(a[k], high), b[k], a24)
        })
    }

    /// `b` in the lanes of `mask`, `a` in the others.
    pub(super) fn select(mask: Mask, a: &Fe, b: &Fe) -> Fe {
        core::array::from_fn(|k| _mm512_mask_blend_epi64(mask, a[k], b[k]))
    }

    /// The reduced representative: limbs below 2^51, value below p.
    pub(super) fn freeze(a: &Fe) -> Fe {
        let mask = splat(MASK);
        let ripple = |mut a: Fe| {
            for k in 0..4 {
                a[k + 1] = _mm512_add_epi64(a[k + 1], _mm512_srli_epi64::<51>(a[k]));
                a[k] = _mm512_and_si512(a[k], mask);
            }
            a
        };
        // Twice around: the first leaves at most 19 over 2^255, the second nothing.
        let mut a = *a;
        for _ in 0..2 {
            a = ripple(a);
            let top = _mm512_srli_epi64::<51>(a[4]);
            a[4] = _mm512_and_si512(a[4], mask);
            a[0] = _mm512_add_epi64(a[0], _mm512_mullo_epi64(top, splat(19)));
        }
        a = ripple(a);
        // a >= p exactly if a + 19 reaches 2^255; then a - p = a + 19 - 2^255.
        let mut plus = a;
        plus[0] = _mm512_add_epi64(plus[0], splat(19));
        plus = ripple(plus);
        let reaches = _mm512_cmpgt_epu64_mask(plus[4], mask);
        plus[4] = _mm512_and_si512(plus[4], mask);
        select(reaches, &a, &plus)
    }

    /// Mask of the lanes in which an element is 0.
    pub(super) fn is_zero(a: &Fe) -> Mask {
        let a = freeze(a);
        let any = a.into_iter().fold(_mm512_setzero_si512(), |any, limb| _mm512_or_si512(any, limb));
        _mm512_testn_epi64_mask(any, any)
    }

    /// Mask of the lanes in which bit `i` of a number is set.
    pub(super) fn bit(words: &[Vector; 4], i: usize) -> Mask {
        _mm512_test_epi64_mask(words[i / 64], splat(1 << (i % 64)))
    }

    pub(super) fn unequal(a: Mask, b: Mask) -> Mask {
        a ^ b
    }

    /// Nibble `which`, n, of each number: a mask of the lanes where it is below 8, and n - 8 or 7 - n, up to
    /// higher bits.
    pub(super) fn digit(words: &[Vector; 4], which: usize) -> (Mask, Vector) {
        let nibble = _mm512_srlv_epi64(words[which / 16], splat(4 * (which % 16) as i64));
        let low = _mm512_testn_epi64_mask(nibble, splat(8));
        (low, _mm512_mask_xor_epi64(nibble, low, nibble, splat(7)))
    }

    /// Gathers a limb of a table's eight multiples: one in each lane.
    pub(super) fn join(lanes: [Vector; 1]) -> Vector {
        lanes[0]
    }

    /// Replaces, in the lanes of `lanes`, `before` by the limb at `index` modulo 8. It permutes a register,
    /// so that no address depends on the index.
    pub(super) fn pick(before: Vector, lanes: u8, index: Vector, limbs: Vector) -> Vector {
        _mm512_mask_permutexvar_epi64(before, lanes, index, limbs)
    }

    /// Eight numbers of 256 bits, little-endian, as four vectors of 64-bit words.
    pub(super) fn words(bytes: &[[u8; 32]; LANES]) -> [Vector; 4] {
        let word = |lane: usize, k: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[lane][8 * k..8 * k + 8]);
            i64::from_le_bytes(word)
        };
        core::array::from_fn(|k| {
            _mm512_setr_epi64(
                word(0, k), word(1, k), word(2, k), word(3, k),
                word(4, k), word(5, k), word(6, k), word(7, k),
            )
        })
    }

    /// The elements of 32 bytes each, bit 255 ignored.
    pub(super) fn load(bytes: &[[u8; 32]; LANES]) -> Fe {
        let w = words(bytes);
        let limbs = [
            w[0],
            _mm512_or_si512(_mm512_srli_epi64::<51>(w[0]), _mm512_slli_epi64::<13>(w[1])),
            _mm512_or_si512(_mm512_srli_epi64::<38>(w[1]), _mm512_slli_epi64::<26>(w[2])),
            _mm512_or_si512(_mm512_srli_epi64::<25>(w[2]), _mm512_slli_epi64::<39>(w[3])),
            _mm512_srli_epi64::<12>(w[3]),
        ];
        limbs.map(|limb| _mm512_and_si512(limb, splat(MASK)))
    }

    /// The reduced representatives, 32 bytes each, little-endian.
    pub(super) fn store(a: &Fe) -> [[u8; 32]; LANES] {
        let a = freeze(a);
        // Word w takes the limbs, or their parts, that have bits 64 w to 64 w + 63.
        let words = [
            _mm512_or_si512(a[0], _mm512_slli_epi64::<51>(a[1])),
            _mm512_or_si512(_mm512_srli_epi64::<13>(a[1]), _mm512_slli_epi64::<38>(a[2])),
            _mm512_or_si512(_mm512_srli_epi64::<26>(a[2]), _mm512_slli_epi64::<25>(a[3])),
            _mm512_or_si512(_mm512_srli_epi64::<39>(a[3]), _mm512_slli_epi64::<12>(a[4])),
        ]
        .map(|word| lanes(word));
        core::array::from_fn(|lane| {
            let mut bytes = [0; 32];
            for (bytes, word) in bytes.chunks_exact_mut(8).zip(&words) {
                bytes.copy_from_slice(&word[lane].to_le_bytes());
            }
            bytes
        })
    }

    fn lanes(vector: Vector) -> [u64; LANES] {
        // SAFETY: both types are 64 bytes without padding, and every bit pattern is valid for both.
        unsafe { core::mem::transmute::<Vector, [u64; LANES]>(vector) }
    }
}
