//! HCTR2 (Crowley, Huckleberry and Biggers, 2021) with AES-256 of four cells a vector, each under a key of
//! its own.
//!
//! A lane is one cell from beginning to end: hash and stream take the same transposed blocks, and the round
//! keys stay in the lanes in which they were expanded.

use core::arch::x86_64::*;

use zeroize::{Zeroize, Zeroizing};

use super::aes::{self, Keys};
use super::field::{combined, powers_of};
use super::lanes::{
    BYTES, LANES, Vector, gather, load, load_part, scatter, store, store_part, transpose, xor, zero,
};
use super::{KEY_BYTES, TWEAK_BYTES, Way, expanded, lanes_of};

const BLOCK: usize = 16;

/// What is hashed before the tweak: twice its length in bits, and 2, for whole blocks follow.
const LENGTHS: i64 = 2 * 8 * TWEAK_BYTES as i64 + 2;

vectorised! {
    /// Takes each cell through the permutation, in place.
    pub(super) fn permute_cells<const V: usize>(
        keys: &[&[u8; KEY_BYTES]],
        way: Way,
        tweak: &[u8; TWEAK_BYTES],
        cells: &mut [&mut [u8]],
    ) {
        let rounds = expanded::<V>(keys.len(), |i| keys[i]);
        let (mut hash_keys, mut masks) = own_keys(&rounds);
        let powers = powers_of(&hash_keys);
        let mut start = [zero(); V];
        for (start, powers) in start.iter_mut().zip(powers.iter()) {
            *start = combined(&before(tweak), powers);
        }

        let mut sums = hashes(&start, &powers, cells);
        let mut middle = [zero(); V];
        let mut streams = [zero(); V];
        for v in 0..V {
            let firsts = lanes_of(v, cells.len()).map(|i| first_of(cells[i]));
            let block = xor(gather(firsts), sums[v]);
            middle[v] = middle_of(way, &rounds[v], block);
            streams[v] = xor(xor(block, middle[v]), masks[v]);
        }
        sums = add_streams(&streams, &rounds, &start, &powers, cells);
        for v in 0..V {
            let firsts = scatter(xor(middle[v], sums[v]));
            for (cell, first) in cells[LANES * v..].iter_mut().zip(firsts) {
                cell[..BLOCK].copy_from_slice(&first);
            }
        }
        for secrets in [&mut hash_keys, &mut masks, &mut start, &mut sums, &mut middle, &mut streams] {
            secrets.zeroize();
        }
    }

    /// The hash key and the mask of the stream's start: AES of 0 and of 1.
    fn own_keys<const V: usize>(rounds: &[Keys; V]) -> ([Vector; V], [Vector; V]) {
        let mut own = ([zero(); V], [zero(); V]);
        for (v, rounds) in rounds.iter().enumerate() {
            let mut blocks = [zero(), counter(1)];
            aes::encrypt(rounds, &mut blocks);
            [own.0[v], own.1[v]] = blocks;
        }
        own
    }

    /// A number in every lane, little-endian.
    fn counter(number: usize) -> Vector {
        _mm512_broadcast_i32x4(_mm_set_epi64x(0, number as i64))
    }

    /// The blocks that are hashed before the cell's.
    fn before(tweak: &[u8; TWEAK_BYTES]) -> [Vector; 3] {
        let (halves, _) = tweak.as_chunks::<BLOCK>();
        let [low, high] = [&halves[0], &halves[1]].map(|half| gather([half; LANES]));
        [counter(LENGTHS as usize), low, high]
    }

    /// AES of the middle block, forwards or backwards.
    fn middle_of(way: Way, rounds: &Keys, block: Vector) -> Vector {
        match way {
            Way::Encipher => {
                let mut blocks = [block];
                aes::encrypt(rounds, &mut blocks);
                blocks[0]
            }
            Way::Decipher => {
                let mut inverse = Zeroizing::new([zero(); 15]);
                aes::inverted(rounds, &mut inverse);
                aes::decrypt(&inverse, block)
            }
        }
    }

    /// The hashes of all but the first block of each cell.
    fn hashes<const V: usize>(
        start: &[Vector; V],
        powers: &[[Vector; LANES]; V],
        cells: &[&mut [u8]],
    ) -> [Vector; V] {
        let mut sums = *start;
        for at in (0..cells[0].len()).step_by(BYTES) {
            for v in 0..V {
                sums[v] = absorbed(sums[v], &powers[v], &load_blocks(cells, v, at), at, cells[0].len());
            }
        }
        sums
    }

    /// Adds its stream to all but the first block of each cell, and returns the hashes of what comes out.
    fn add_streams<const V: usize>(
        streams: &[Vector; V],
        rounds: &[Keys; V],
        start: &[Vector; V],
        powers: &[[Vector; LANES]; V],
        cells: &mut [&mut [u8]],
    ) -> [Vector; V] {
        let mut sums = *start;
        let bytes = cells[0].len();
        for at in (0..bytes).step_by(BYTES) {
            for v in 0..V {
                let mut blocks = load_blocks(cells, v, at);
                let mut stream = [zero(); LANES];
                for (i, block) in stream.iter_mut().enumerate() {
                    *block = xor(streams[v], counter(at / BLOCK + i));
                }
                aes::encrypt(&rounds[v], &mut stream);
                for (block, stream) in blocks.iter_mut().zip(stream) {
                    *block = xor(*block, stream);
                }
                sums[v] = absorbed(sums[v], &powers[v], &blocks, at, bytes);
                store_blocks(cells, v, at, blocks);
            }
        }
        sums
    }

    /// Takes up to four blocks more, those from byte `at` of cells of `bytes` on, into a sum; not the first of
    /// all.
    fn absorbed(
        sum: Vector,
        powers: &[Vector; LANES],
        blocks: &[Vector; LANES],
        at: usize,
        bytes: usize,
    ) -> Vector {
        let [a, b, c, d] = *blocks;
        match (at, (bytes - at) / BLOCK) {
            (0, 1) => sum,
            (0, 2) => combined(&[xor(sum, b)], powers),
            (0, 3) => combined(&[xor(sum, b), c], powers),
            (0, _) => combined(&[xor(sum, b), c, d], powers),
            (_, 1) => combined(&[xor(sum, a)], powers),
            (_, 2) => combined(&[xor(sum, a), b], powers),
            (_, 3) => combined(&[xor(sum, a), b, c], powers),
            _ => combined(&[xor(sum, a), b, c, d], powers),
        }
    }

    /// Up to four blocks of four cells, from byte `at` on: vector `i` has block `i` of each.
    fn load_blocks(cells: &[&mut [u8]], vector: usize, at: usize) -> [Vector; LANES] {
        transpose(lanes_of(vector, cells.len()).map(|i| {
            let bytes = &cells[i][at..];
            match bytes.first_chunk() {
                Some(bytes) => load(bytes),
                None => load_part(bytes),
            }
        }))
    }

    /// Puts back what [`load_blocks`] took.
    fn store_blocks(cells: &mut [&mut [u8]], vector: usize, at: usize, blocks: [Vector; LANES]) {
        for (cell, row) in cells[LANES * vector..].iter_mut().zip(transpose(blocks)) {
            let bytes = &mut cell[at..];
            match bytes.first_chunk_mut() {
                Some(bytes) => store(bytes, row),
                None => store_part(bytes, row),
            }
        }
    }
}

fn first_of(cell: &[u8]) -> &[u8; BLOCK] {
    cell.first_chunk().expect("callers bring cells of at least a block")
}
