//! The field of 2^255 - 19 elements, four at a time.
//!
//! An element is ten vectors of limbs, 26 and 25 bits in turn (radix 2^25.5, as in Bernstein's `curve25519`,
//! 2006). Lane `i` of every vector belongs to element `i`. The multiplier (`vpmuludq`) takes 32 bits of each
//! operand and yields 64, so there is room for sums:
//!
//! - carried: even limbs below 2^26 + 2^14, odd ones below 2^25 + 2^19. Products, and results of [`carry`]
//!   and [`load`].
//! - operand: even limbs below 3 * 2^26 + 2^16, odd ones below 3 * 2^25 + 2^21. Sums and differences of two
//!   carried elements, which need no carry to be multiplied.
//! - wide: every limb below 2^30. Sums and differences of operands.

use core::arch::x86_64::*;
use core::hint::black_box;

/// Elements of a vector.
pub(super) const LANES: usize = 4;
/// Vectors of an element.
pub(super) const LIMBS: usize = 10;

/// A limb, or any 64 bits, of each lane.
pub(super) type Vector = __m256i;
/// A choice for each lane: its top bit.
pub(super) type Mask = __m256i;
/// Four field elements, one in each lane.
pub(super) type Fe = [Vector; LIMBS];

/// (A - 2) / 4 of the curve y^2 = x^3 + A x^2 + x, A = 486662.
const A24: i64 = 121_665;

macro_rules! mul {
    ($a:expr, $b:expr) => {
        crate::dh::avx2::field::multiply(&$a, &$b)
    };
}

macro_rules! square {
    ($a:expr) => {
        crate::dh::avx2::field::squared(&$a)
    };
}

pub(super) use {mul, square};

/// Limb `k` has 26 bits, or 25.
const fn bits(k: usize) -> i32 {
    26 - (k % 2) as i32
}

vectorised! {
    fn splat(value: i64) -> Vector {
        _mm256_set1_epi64x(value)
    }

    fn mask(k: usize) -> Vector {
        splat((1 << bits(k)) - 1)
    }

    /// Bits of `limb` above those that limb `k` has.
    fn above(limb: Vector, k: usize) -> Vector {
        if bits(k) == 26 {
            _mm256_srli_epi64::<26>(limb)
        } else {
            _mm256_srli_epi64::<25>(limb)
        }
    }

    pub(super) fn zero() -> Fe {
        [_mm256_setzero_si256(); LIMBS]
    }

    pub(super) fn one() -> Fe {
        let mut one = zero();
        one[0] = splat(1);
        one
    }

    /// Returns `true` if all limbs are below these bounds, which are below 2^63 as limbs are.
    fn below(a: &Fe, even: u64, odd: u64) -> bool {
        a.iter().enumerate().all(|(k, limb)| {
            let bound = splat(if k.is_multiple_of(2) { even } else { odd } as i64);
            _mm256_movemask_pd(_mm256_castsi256_pd(_mm256_cmpgt_epi64(bound, *limb))) == 0xf
                && _mm256_movemask_pd(_mm256_castsi256_pd(*limb)) == 0
        })
    }

    fn check_carried(a: &Fe) {
        debug_assert!(
            below(a, (1 << 26) + (1 << 14), (1 << 25) + (1 << 19)),
            "an element is not carried"
        );
    }

    fn check_operand(a: &Fe) {
        debug_assert!(
            below(a, (3 << 26) + (1 << 16), (3 << 25) + (1 << 21)),
            "an element is no operand"
        );
    }
}

/// A product of operands. 2^255 = 19, and two odd limbs count double, since 26 + 26 = 51 + 1.
///
/// 19 times a limb and twice an odd limb stay below 2^32. Column 0 is the largest, below
/// (1 + 19 * (4 + 5 / 2)) * (3 * 2^26 + 2^16)^2 * (1 + 2^-4) < 2^63.
///
/// A call of its own, because the compiler takes multiplications apart if it knows the limbs, and with
/// what `black_box` keeps it from knowing, every factor but two comes from memory: registers are few.
#[target_feature(enable = "avx2,bmi2")]
#[inline(never)]
pub(super) fn multiply(a: &Fe, b: &Fe) -> Fe {
    check_operand(a);
    check_operand(b);
    let folded = &times_19_each(b);
    let mut z = zero();
    macro_rules! rows {
        ($($i:literal)*) => { $(
            let low = black_box(b);
            let high = black_box(folded);
            let once = a[$i];
            let twice = if $i % 2 == 1 { _mm256_add_epi64(once, once) } else { once };
            for j in 0..LIMBS {
                let left = if j % 2 == 1 { twice } else { once };
                let right = if $i + j < LIMBS { low[j] } else { high[j] };
                let k = ($i + j) % LIMBS;
                z[k] = _mm256_add_epi64(z[k], _mm256_mul_epu32(left, right));
            }
        )* };
    }
    rows!(0 1 2 3 4 5 6 7 8 9);
    carry_columns(z)
}

/// The same as a product with itself, with the same bounds; a call of its own for the same reason.
#[target_feature(enable = "avx2,bmi2")]
#[inline(never)]
pub(super) fn squared(a: &Fe) -> Fe {
    check_operand(a);
    let folded = times_19_each(a);
    let mut z = zero();
    macro_rules! columns {
        ($($k:literal)*) => { $(
            // Products of a limb with itself, and of two limbs; of odd ones.
            let mut sums = [_mm256_setzero_si256(); 3];
            for i in 0..LIMBS {
                let j = (LIMBS + $k - i) % LIMBS;
                if i > j {
                    continue;
                }
                let term = _mm256_mul_epu32(a[i], if i + j < LIMBS { a[j] } else { folded[j] });
                let weight = usize::from(i != j) + usize::from(i % 2 == 1 && j % 2 == 1);
                sums[weight] = _mm256_add_epi64(sums[weight], term);
            }
            let [one, two, four] = sums;
            let two = _mm256_add_epi64(two, _mm256_add_epi64(four, four));
            z[$k] = _mm256_add_epi64(one, _mm256_add_epi64(two, two));
        )* };
    }
    columns!(0 1 2 3 4 5 6 7 8 9);
    carry_columns(z)
}

vectorised! {
    /// Columns below 2^63 to a carried element, in two chains side by side: from limb 0 to 5 and from
    /// 5 over the top to 1.
    ///
    /// What leaves limb 4 is below 2^38 and what leaves limb 9, 19-fold, below 2^43; one step further,
    /// limb 6 is left with less than 2^26 + 2^14, limb 1 with less than 2^25 + 2^18.
    fn carry_columns(mut z: Fe) -> Fe {
        for k in 0..5 {
            for k in [k, k + 5] {
                carry_one(&mut z, k);
            }
        }
        carry_one(&mut z, 5);
        carry_one(&mut z, 0);
        check_carried(&z);
        z
    }

    /// Moves what is above the bits of limb `k` to the next limb.
    fn carry_one(z: &mut Fe, k: usize) {
        let high = above(z[k], k);
        z[k] = _mm256_and_si256(z[k], mask(k));
        let next = (k + 1) % LIMBS;
        z[next] = _mm256_add_epi64(z[next], if next == 0 { times_19(high) } else { high });
    }

    /// 19 times every limb, for limbs below 2^32.
    fn times_19_each(a: &Fe) -> Fe {
        let mut folded = *a;
        for limb in &mut folded {
            *limb = _mm256_mullo_epi32(*limb, splat(19));
        }
        folded
    }

    /// 19 a, for a below 2^59.
    fn times_19(a: Vector) -> Vector {
        let twice = _mm256_add_epi64(a, a);
        _mm256_add_epi64(_mm256_add_epi64(a, twice), _mm256_slli_epi64::<4>(a))
    }

    /// A wide element, carried: what is above 26 or 25 bits, below 2^5, moves one limb up, from the top
    /// one 19-fold.
    pub(super) fn carry(a: &Fe) -> Fe {
        debug_assert!(below(a, 1 << 30, 1 << 30), "an element is not wide");
        core::array::from_fn(|k| {
            let low = _mm256_and_si256(a[k], mask(k));
            let high = if k == 0 { times_19(above(a[9], 9)) } else { above(a[k - 1], k - 1) };
            _mm256_add_epi64(low, high)
        })
    }

    /// A product, or the sum or difference of two, as an operand: as it is.
    pub(super) fn operand(a: &Fe) -> Fe {
        check_operand(a);
        *a
    }

    /// The sum of carried elements is an operand; that of operands is wide.
    pub(super) fn add(a: &Fe, b: &Fe) -> Fe {
        core::array::from_fn(|k| _mm256_add_epi64(a[k], b[k]))
    }

    /// Subtracts a carried element from a carried one, which gives an operand, or from an operand, which
    /// gives a wide one. 2 p, whose limbs are greater than those of a carried element, keeps limbs from going
    /// below 0.
    pub(super) fn sub(a: &Fe, b: &Fe) -> Fe {
        check_carried(b);
        core::array::from_fn(|k| {
            let twice_p = (2 << bits(k)) - if k == 0 { 38 } else { 2 };
            _mm256_add_epi64(a[k], _mm256_sub_epi64(splat(twice_p), b[k]))
        })
    }

    /// a + 121665 b, for a product a and an operand b, carried; columns stay below 2^45.
    pub(super) fn add_a24(a: &Fe, b: &Fe) -> Fe {
        check_operand(b);
        let a24 = splat(A24);
        let sum =
            core::array::from_fn(|k| _mm256_add_epi64(a[k], _mm256_mul_epu32(b[k], a24)));
        carry_columns(sum)
    }

    /// `b` in the lanes of `mask`, `a` in the others.
    pub(super) fn select(mask: Mask, a: &Fe, b: &Fe) -> Fe {
        core::array::from_fn(|k| blend(mask, a[k], b[k]))
    }

    fn blend(mask: Mask, a: Vector, b: Vector) -> Vector {
        let [a, b, mask] = [a, b, mask].map(|vector| _mm256_castsi256_pd(vector));
        _mm256_castpd_si256(_mm256_blendv_pd(a, b, mask))
    }

    /// The reduced representative of a carried element: limbs below 2^26 or 2^25, value below p.
    pub(super) fn freeze(a: &Fe) -> Fe {
        check_carried(a);
        let ripple = |mut a: Fe| {
            for k in 0..LIMBS - 1 {
                carry_one(&mut a, k);
            }
            a
        };
        // Twice around: the first leaves at most 38 over 2^255, the second nothing.
        let mut a = *a;
        for _ in 0..2 {
            a = ripple(a);
            carry_one(&mut a, LIMBS - 1);
        }
        a = ripple(a);
        // a >= p exactly if a + 19 reaches 2^255; then a - p = a + 19 - 2^255.
        let mut plus = a;
        plus[0] = _mm256_add_epi64(plus[0], splat(19));
        plus = ripple(plus);
        let reaches = _mm256_cmpgt_epi64(plus[9], mask(9));
        plus[9] = _mm256_and_si256(plus[9], mask(9));
        select(reaches, &a, &plus)
    }

    /// Mask of the lanes in which an element is 0.
    pub(super) fn is_zero(a: &Fe) -> Mask {
        let a = freeze(a);
        let any = a.into_iter().fold(_mm256_setzero_si256(), |any, limb| _mm256_or_si256(any, limb));
        _mm256_cmpeq_epi64(any, _mm256_setzero_si256())
    }

    /// Mask of the lanes in which bit `i` of a number is set.
    pub(super) fn bit(words: &[Vector; 4], i: usize) -> Mask {
        _mm256_sllv_epi64(words[i / 64], splat(63 - (i % 64) as i64))
    }

    pub(super) fn unequal(a: Mask, b: Mask) -> Mask {
        _mm256_xor_si256(a, b)
    }

    /// Nibble `which`, n, of each number: a mask of the lanes where it is below 8, and n - 8 or 7 - n, up to
    /// higher bits.
    pub(super) fn digit(words: &[Vector; 4], which: usize) -> (Mask, Vector) {
        let nibble = _mm256_srlv_epi64(words[which / 16], splat(4 * (which % 16) as i64));
        let low = _mm256_slli_epi64::<60>(_mm256_xor_si256(nibble, splat(8)));
        (low, blend(low, nibble, _mm256_xor_si256(nibble, splat(7))))
    }

    /// Gathers a limb of a table's eight multiples, which fits 32 bits: one in each half of a lane.
    pub(super) fn join(lanes: [Vector; 2]) -> Vector {
        let even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
        let [low, high] = lanes.map(|limbs| _mm256_permutevar8x32_epi32(limbs, even));
        _mm256_blend_epi32::<0xf0>(low, high)
    }

    /// Replaces, in the lanes of `lanes`, `before` by the limb at `index` modulo 8. It permutes a register,
    /// so that no address depends on the index.
    pub(super) fn pick(before: Vector, lanes: u8, index: Vector, limbs: Vector) -> Vector {
        let picked = _mm256_permutevar8x32_epi32(limbs, index);
        let picked = _mm256_and_si256(picked, splat(i64::from(u32::MAX)));
        let lanes = _mm256_sllv_epi64(splat(i64::from(lanes)), _mm256_setr_epi64x(63, 62, 61, 60));
        blend(lanes, before, picked)
    }

    /// Four numbers of 256 bits, little-endian, as four vectors of 64-bit words.
    pub(super) fn words(bytes: &[[u8; 32]; LANES]) -> [Vector; 4] {
        let word = |lane: usize, k: usize| {
            let mut word = [0; 8];
            word.copy_from_slice(&bytes[lane][8 * k..8 * k + 8]);
            i64::from_le_bytes(word)
        };
        core::array::from_fn(|k| {
            _mm256_setr_epi64x(word(0, k), word(1, k), word(2, k), word(3, k))
        })
    }

    /// The elements of 32 bytes each, bit 255 ignored.
    pub(super) fn load(bytes: &[[u8; 32]; LANES]) -> Fe {
        let w = words(bytes);
        let limbs = [
            w[0],
            _mm256_srli_epi64::<26>(w[0]),
            _mm256_or_si256(_mm256_srli_epi64::<51>(w[0]), _mm256_slli_epi64::<13>(w[1])),
            _mm256_srli_epi64::<13>(w[1]),
            _mm256_srli_epi64::<38>(w[1]),
            w[2],
            _mm256_srli_epi64::<25>(w[2]),
            _mm256_or_si256(_mm256_srli_epi64::<51>(w[2]), _mm256_slli_epi64::<13>(w[3])),
            _mm256_srli_epi64::<12>(w[3]),
            _mm256_srli_epi64::<38>(w[3]),
        ];
        core::array::from_fn(|k| _mm256_and_si256(limbs[k], mask(k)))
    }

    /// The reduced representatives, 32 bytes each, little-endian.
    pub(super) fn store(a: &Fe) -> [[u8; 32]; LANES] {
        let a = freeze(a);
        // Word w takes the limbs, or their parts, that have bits 64 w to 64 w + 63.
        let parts = [
            [a[0], _mm256_slli_epi64::<26>(a[1]), _mm256_slli_epi64::<51>(a[2])],
            [
                _mm256_srli_epi64::<13>(a[2]),
                _mm256_slli_epi64::<13>(a[3]),
                _mm256_slli_epi64::<38>(a[4]),
            ],
            [a[5], _mm256_slli_epi64::<25>(a[6]), _mm256_slli_epi64::<51>(a[7])],
            [
                _mm256_srli_epi64::<13>(a[7]),
                _mm256_slli_epi64::<12>(a[8]),
                _mm256_slli_epi64::<38>(a[9]),
            ],
        ];
        let words = parts.map(|[a, b, c]| lanes(_mm256_or_si256(a, _mm256_or_si256(b, c))));
        core::array::from_fn(|lane| {
            let mut bytes = [0; 32];
            for (bytes, word) in bytes.chunks_exact_mut(8).zip(&words) {
                bytes.copy_from_slice(&word[lane].to_le_bytes());
            }
            bytes
        })
    }

    fn lanes(vector: Vector) -> [u64; LANES] {
        // SAFETY: both types are 32 bytes without padding, and every bit pattern is valid for both.
        unsafe { core::mem::transmute::<Vector, [u64; LANES]>(vector) }
    }
}
