//! Vectors of four lanes of 16 bytes.

use core::arch::x86_64::*;

/// Lanes of a vector.
pub(super) const LANES: usize = 4;
/// Bytes of a vector.
pub(super) const BYTES: usize = 64;

/// Four blocks of 16 bytes.
pub(super) type Vector = __m512i;

vectorised! {
    pub(super) fn zero() -> Vector {
        _mm512_setzero_si512()
    }

    pub(super) fn xor(a: Vector, b: Vector) -> Vector {
        _mm512_xor_si512(a, b)
    }

    pub(super) fn load(bytes: &[u8; BYTES]) -> Vector {
        // SAFETY: as many bytes as a vector has, wherever they lie.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    pub(super) fn store(bytes: &mut [u8; BYTES], vector: Vector) {
        // SAFETY: as many bytes as a vector has, wherever they lie.
        unsafe { _mm512_storeu_si512(bytes.as_mut_ptr().cast(), vector) }
    }

    /// Mask that selects the first `bytes` bytes of a vector; `bytes < BYTES`.
    fn first(bytes: usize) -> __mmask64 {
        assert!(bytes < BYTES, "less than a vector");
        (1 << bytes) - 1
    }

    /// Loads less than a vector, and fills it up with zeros.
    pub(super) fn load_part(bytes: &[u8]) -> Vector {
        // SAFETY: nothing is read but the bytes that the mask has.
        unsafe { _mm512_maskz_loadu_epi8(first(bytes.len()), bytes.as_ptr().cast()) }
    }

    /// Stores the first bytes of a vector, as many as `bytes` has.
    pub(super) fn store_part(bytes: &mut [u8], vector: Vector) {
        // SAFETY: nothing is written but the bytes that the mask has.
        unsafe { _mm512_mask_storeu_epi8(bytes.as_mut_ptr().cast(), first(bytes.len()), vector) }
    }

    fn block(bytes: &[u8; 16]) -> __m128i {
        let bytes = i128::from_le_bytes(*bytes);
        _mm_set_epi64x((bytes >> 64) as i64, bytes as i64)
    }

    /// A block in each lane.
    pub(super) fn gather(blocks: [&[u8; 16]; LANES]) -> Vector {
        join(blocks.map(|bytes| block(bytes)))
    }

    pub(super) fn join(blocks: [__m128i; LANES]) -> Vector {
        let [a, b, c, d] = blocks;
        let low = _mm512_inserti32x4::<1>(_mm512_castsi128_si512(a), b);
        _mm512_inserti32x4::<3>(_mm512_inserti32x4::<2>(low, c), d)
    }

    /// Blocks of all lanes, in order.
    pub(super) fn scatter(vector: Vector) -> [[u8; 16]; LANES] {
        let mut bytes = [0; BYTES];
        store(&mut bytes, vector);
        let mut blocks = [[0; 16]; LANES];
        for (block, bytes) in blocks.iter_mut().zip(bytes.chunks_exact(16)) {
            block.copy_from_slice(bytes);
        }
        blocks
    }

    /// Lane `i` of vector `j` becomes lane `j` of vector `i`.
    pub(super) fn transpose(rows: [Vector; LANES]) -> [Vector; LANES] {
        let [a, b, c, d] = rows;
        let low = _mm512_shuffle_i64x2::<0b01_00_01_00>(a, b);
        let high = _mm512_shuffle_i64x2::<0b11_10_11_10>(a, b);
        let low2 = _mm512_shuffle_i64x2::<0b01_00_01_00>(c, d);
        let high2 = _mm512_shuffle_i64x2::<0b11_10_11_10>(c, d);
        [
            _mm512_shuffle_i64x2::<0b10_00_10_00>(low, low2),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(low, low2),
            _mm512_shuffle_i64x2::<0b10_00_10_00>(high, high2),
            _mm512_shuffle_i64x2::<0b11_01_11_01>(high, high2),
        ]
    }

    /// Tells of each lane whether it differs. Takes the same time wherever it does.
    pub(super) fn unequal(a: Vector, b: Vector) -> [bool; LANES] {
        let words = _mm512_cmpneq_epi64_mask(a, b);
        let mut lanes = [false; LANES];
        for (i, lane) in lanes.iter_mut().enumerate() {
            *lane = words >> (2 * i) & 0b11 != 0;
        }
        lanes
    }
}
