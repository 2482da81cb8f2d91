//! Tables of a point's multiples, laid out for the permutations that read them.

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;

use super::field::{
    Fe, LANES, LIMBS, Vector, add, bit, carry, freeze, join, load, select, sub, unequal, words,
    zero,
};
use super::powers::product;

/// Powers of 256 in a table.
const POSITIONS: usize = 32;
/// Odd multiples of each power, 1 to 15.
const MULTIPLES: usize = 8;

/// The limbs of three elements each of eight multiples.
type Entry = [Vector; 3 * LIMBS];

/// 2 d of the curve -x^2 + y^2 = 1 + d x^2 y^2, little-endian words of 64 bits.
const TWO_D: [u64; 4] =
    [0xebd6_9b94_26b2_f159, 0x00e0_149a_8283_b156, 0x198e_80f2_eef3_d130, 0x2406_d9dc_56df_fce7];

/// A square root of -1, in the same words.
const I: [u64; 4] =
    [0xc4ee_1b27_4a0e_a0b0, 0x2f43_1806_ad2f_e478, 0x2b4d_0099_3dfb_d7a7, 0x2b83_2480_4fc1_df0b];

/// The multiples (2 m + 1) 256^i P of a public point P, for m < 8 and i < 32. For every i there are
/// the limbs of y + x, y - x and 2 d x y, as [`join`] makes them of the eight m. 30 KiB.
pub(crate) struct Table(Box<[Entry]>);

impl Table {
    pub(crate) fn new(point: &EdwardsPoint) -> Self {
        let mut points = Vec::with_capacity(2 * MULTIPLES * POSITIONS);
        let mut power = *point;
        for _ in 0..POSITIONS {
            let twice = power + power;
            let mut multiple = power;
            for _ in 0..MULTIPLES {
                points.push(multiple);
                multiple += twice;
            }
            // `multiple` is 17 times the power: less the power 16 times, doubled four times 256 times.
            power = (0..4).fold(multiple - power, |power, _| power + power);
        }
        // Adding a point of order 4 turns y into i x or -i x.
        for i in 0..points.len() {
            points.push(points[i] + EIGHT_TORSION[2]);
        }
        let encoded: Vec<[u8; 32]> =
            EdwardsPoint::compress_batch_alloc(&points).iter().map(|point| point.0).collect();
        let (ys, rotated) = encoded.as_chunks::<MULTIPLES>().0.split_at(POSITIONS);
        super::assert_available();
        // SAFETY: the processor has every feature the function is compiled for.
        Self(unsafe { entries(ys, rotated) })
    }

    pub(super) fn position(&self, position: usize) -> &Entry {
        &self.0[position]
    }
}

vectorised! {
    /// Makes the entries from the encodings of points, eight a position, and of the same points turned by
    /// order 4.
    fn entries(points: &[[[u8; 32]; MULTIPLES]], rotated: &[[[u8; 32]; MULTIPLES]]) -> Box<[Entry]> {
        let mut entries = vec![[zero()[0]; 3 * LIMBS]; points.len()];
        for ((entry, points), rotated) in entries.iter_mut().zip(points).zip(rotated) {
            let mut parts = [[zero(); 3]; MULTIPLES / LANES];
            for (i, part) in parts.iter_mut().enumerate() {
                *part = coordinates(&lanes(points, i), &lanes(rotated, i));
            }
            for (k, vector) in entry.iter_mut().enumerate() {
                *vector = join(parts.map(|part| part.as_flattened()[k]));
            }
        }
        entries.into_boxed_slice()
    }

    /// The limbs of y + x, y - x and 2 d x y, reduced.
    fn coordinates(points: &[[u8; 32]; LANES], rotated: &[[u8; 32]; LANES]) -> [Fe; 3] {
        // A point turned by order 4 has i x for y, up to its sign: x without a square root.
        let y = load(points);
        let x = product(&load(rotated), &load(&broadcast(I)));
        // The sign bit of an encoding is the parity of x.
        let parity = bit(&[freeze(&x)[0]; 4], 0);
        let negated = carry(&sub(&zero(), &x));
        let x = select(unequal(parity, bit(&words(points), 255)), &x, &negated);
        [
            freeze(&carry(&add(&y, &x))),
            freeze(&carry(&sub(&y, &x))),
            freeze(&product(&product(&x, &y), &load(&broadcast(TWO_D)))),
        ]
    }
}

/// Part `i` of eight values.
fn lanes(values: &[[u8; 32]; MULTIPLES], i: usize) -> [[u8; 32]; LANES] {
    core::array::from_fn(|lane| values[i * LANES + lane])
}

/// The same value for every lane.
fn broadcast(words: [u64; 4]) -> [[u8; 32]; LANES] {
    let mut bytes = [0; 32];
    for (bytes, word) in bytes.chunks_exact_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    [bytes; LANES]
}
