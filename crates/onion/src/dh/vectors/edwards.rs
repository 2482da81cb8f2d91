//! Multiples of points known in advance, one scalar a lane, on the Edwards form of the curve.
//!
//! A scalar's multiple takes 64 additions of table entries instead of 255 steps of a ladder.
//! Coordinates and formulas are those of Hisil, Wong, Carter and Dawson (2008) for
//! -x^2 + y^2 = 1 + d x^2 y^2; the addition law is complete.

use super::field::{
    Fe, Vector, add, carry, digit, mul, one, operand, pick, select, square, sub, zero,
};
use super::table::Table;

/// The group order l, little-endian words of 64 bits.
const ORDER: [u64; 4] = [0x5812_631a_5cf5_d3ed, 0x14de_f9de_a2f7_9cd6, 0, 0x1000_0000_0000_0000];

/// A point (X : Y : Z : T), x = X/Z, y = Y/Z, x y = T/Z; products.
struct Point {
    x: Fe,
    y: Fe,
    z: Fe,
    t: Fe,
}

/// Tables, each with a mask of the lanes that use it.
pub(super) type Tables<'a> = [(u8, &'a Table)];

/// The 64 signed digits of a clamped scalar s, as nibbles n that stand for 2 n - 15.
///
/// s is even and l odd, so k = s + l < 2^256 is an odd number that multiplies points of order l as s
/// does. A string of 256 signs, bit 1 for +1 and bit 0 for -1, has as value twice its value as
/// bits, minus (2^256 - 1); so k is the string (k + 2^256 - 1) / 2 = 2^255 + (k - 1) / 2, four signs a
/// nibble. No digit is 0.
pub(super) fn signed_digits(clamped: &[u8; 32]) -> [u8; 32] {
    let mut sum = [0; 4];
    let mut carry = 0;
    for (i, sum) in sum.iter_mut().enumerate() {
        let mut word = [0; 8];
        word.copy_from_slice(&clamped[8 * i..8 * i + 8]);
        let total = u128::from(u64::from_le_bytes(word)) + u128::from(ORDER[i]) + carry;
        *sum = total as u64;
        carry = total >> 64;
    }
    let mut digits = [0; 32];
    for i in 0..4 {
        let above = if i < 3 { sum[i + 1] << 63 } else { 1 << 63 };
        digits[8 * i..8 * i + 8].copy_from_slice(&(sum[i] >> 1 | above).to_le_bytes());
    }
    digits
}

vectorised! {
    /// Per lane, digits times the lane's point: the u-coordinate on the Montgomery form is the
    /// quotient of the two results, both carried: (Z + Y) / (Z - Y).
    pub(super) fn multiply(digits: &[Vector; 4], tables: &Tables<'_>) -> (Fe, Fe) {
        let mut sum = Point { x: zero(), y: one(), z: one(), t: zero() };
        // Digits at odd positions count 16 times those before them: four doublings serve all of them.
        for odd in [1, 0] {
            for position in 0..32 {
                sum = add_entry(&sum, digits, 2 * position + odd, tables);
            }
            if odd == 1 {
                for _ in 0..4 {
                    sum = double(&sum);
                }
            }
        }
        (carry(&add(&sum.z, &sum.y)), carry(&sub(&sum.z, &sum.y)))
    }

    /// Adds 2 n - 15 times the entries of one position, n being nibble `which` of the digits.
    ///
    /// From 8 on, n picks odd multiple n - 8; below, the negative of multiple 7 - n, which exchanges
    /// y + x with y - x and negates x y.
    fn add_entry(p: &Point, digits: &[Vector; 4], which: usize, tables: &Tables<'_>) -> Point {
        let (negative, index) = digit(digits, which);
        let mut entry = [zero(); 3];
        // Every table is read at the same addresses, whatever the digits are.
        for (lanes, table) in tables {
            for (entry, limb) in entry.as_flattened_mut().iter_mut().zip(table.position(which / 2)) {
                *entry = pick(*entry, *lanes, index, *limb);
            }
        }
        let [plus, minus, dxy] = entry;
        // The unified addition of extended coordinates, which has no exceptions.
        let a = mul!(operand(&sub(&p.y, &p.x)), select(negative, &minus, &plus));
        let b = mul!(operand(&add(&p.y, &p.x)), select(negative, &plus, &minus));
        let c = mul!(operand(&p.t), dxy);
        let d = add(&p.z, &p.z);
        let (sum, difference) = (add(&d, &c), sub(&d, &c));
        let e = operand(&sub(&b, &a));
        let h = operand(&add(&b, &a));
        let g = carry(&select(negative, &sum, &difference));
        let f = carry(&select(negative, &difference, &sum));
        Point { x: mul!(e, f), y: mul!(g, h), z: mul!(f, g), t: mul!(e, h) }
    }

    fn double(p: &Point) -> Point {
        let (x, y) = (operand(&p.x), operand(&p.y));
        let xx = square!(x);
        let yy = square!(y);
        let zz = square!(operand(&p.z));
        let h = carry(&add(&yy, &xx));
        let g = carry(&sub(&yy, &xx));
        let e = carry(&sub(&square!(operand(&add(&x, &y))), &h));
        let f = carry(&sub(&add(&zz, &zz), &g));
        Point { x: mul!(e, f), y: mul!(g, h), z: mul!(f, g), t: mul!(e, h) }
    }
}
