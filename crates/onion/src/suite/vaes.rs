//! AES-256-GCM, AES-256 in counter mode and HCTR2 of up to sixteen texts of one length, each under a key of
//! its own, with the 512-bit units of VAES and VPCLMULQDQ.
//!
//! A vector holds four blocks of 16 bytes, its lanes. Where a text has one key and many blocks, as in its
//! stream, the lanes are four blocks of it. Where many texts take the same steps one after the other, as in
//! key expansion and GHASH, they are four texts. No branch and no address depends on a key or on what a
//! stream hides.

/// Compiles functions for the processors that [`is_available`] finds; only such may call them.
macro_rules! vectorised {
    ($($item:item)*) => {
        $(
            #[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq")]
            #[inline]
            $item
        )*
    };
}

mod aes;
mod field;
mod ghash;
mod hctr2;
mod lanes;

use antiphon_wire::TAG_BYTES;
use zeroize::{Zeroize, Zeroizing};

use self::aes::Keys;
use self::lanes::{LANES, Vector, gather, scatter, unequal, xor, zero};
use super::{Cipher, KEY_BYTES, TWEAK_BYTES, Way};

/// Texts that one call takes at most.
pub(super) const TEXTS: usize = 16;

/// Returns `true` if this processor has what the kernel is compiled for.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("vaes")
        && is_x86_feature_detected!("vpclmulqdq")
}

/// Runs one of the functions below for as many vectors of keys as there are.
macro_rules! run {
    ($function:ident($ciphers:expr $(, $argument:expr)*)) => {{
        assert!(is_available(), "this processor cannot run the kernel");
        // SAFETY: the processor has every feature the functions are compiled for.
        unsafe {
            match $ciphers.len().div_ceil(LANES) {
                0 => {}
                1 => $function::<1>($ciphers $(, $argument)*),
                2 => $function::<2>($ciphers $(, $argument)*),
                3 => $function::<3>($ciphers $(, $argument)*),
                4 => $function::<4>($ciphers $(, $argument)*),
                _ => unreachable!("callers bring at most {TEXTS} texts"),
            }
        }
    }};
}

/// Encrypts each text in place, AES-256-GCM, and sets its tag. Texts are equally long.
pub(super) fn seal(ciphers: &[Cipher<'_>], texts: &mut [&mut [u8]], tags: &mut [[u8; TAG_BYTES]]) {
    run!(seal_texts(ciphers, texts, tags));
}

/// Decrypts each text in place if `opened` is set and its tag holds; else leaves it as it is and clears
/// `opened`. Texts are equally long.
pub(super) fn open(
    ciphers: &[Cipher<'_>],
    tags: &[[u8; TAG_BYTES]],
    texts: &mut [&mut [u8]],
    opened: &mut [bool],
) {
    run!(open_texts(ciphers, tags, texts, opened));
}

/// Adds to each text its stream from counter 0 on.
pub(super) fn apply(ciphers: &[Cipher<'_>], texts: &mut [&mut [u8]]) {
    run!(apply_streams(ciphers, texts));
}

/// Takes each cell through HCTR2, in place. Cells are equally long, in whole blocks.
pub(super) fn permute(
    way: Way,
    keys: &[&[u8; KEY_BYTES]],
    tweak: &[u8; TWEAK_BYTES],
    cells: &mut [&mut [u8]],
) {
    use self::hctr2::permute_cells;
    run!(permute_cells(keys, way, tweak, cells));
}

vectorised! {
    fn seal_texts<const V: usize>(
        ciphers: &[Cipher<'_>],
        texts: &mut [&mut [u8]],
        tags: &mut [[u8; TAG_BYTES]],
    ) {
        // Counter 0 is not used, and counter 1 masks the tag (NIST SP 800-38D): data begin at 2.
        let keys = expanded::<V>(ciphers.len(), |i| ciphers[i].key);
        xor_streams(&keys, ciphers, 2, texts, |_| true);
        for (vector, tags) in tags_of(&keys, ciphers, texts).into_iter().zip(tags.chunks_mut(LANES)) {
            for (tag, lane) in tags.iter_mut().zip(scatter(vector)) {
                *tag = lane;
            }
        }
    }

    fn open_texts<const V: usize>(
        ciphers: &[Cipher<'_>],
        tags: &[[u8; TAG_BYTES]],
        texts: &mut [&mut [u8]],
        opened: &mut [bool],
    ) {
        let keys = expanded::<V>(ciphers.len(), |i| ciphers[i].key);
        let mut found = tags_of(&keys, ciphers, texts);
        for (v, (found, opened)) in found.iter_mut().zip(opened.chunks_mut(LANES)).enumerate() {
            let wrong = unequal(*found, gather(lanes_of(v, tags.len()).map(|i| &tags[i])));
            for (opened, wrong) in opened.iter_mut().zip(wrong) {
                *opened &= !wrong;
            }
        }
        // The tag that a forger would have needed.
        found.zeroize();
        xor_streams(&keys, ciphers, 2, texts, |i| opened[i]);
    }

    fn apply_streams<const V: usize>(ciphers: &[Cipher<'_>], texts: &mut [&mut [u8]]) {
        let keys = expanded::<V>(ciphers.len(), |i| ciphers[i].key);
        xor_streams(&keys, ciphers, 0, texts, |_| true);
    }

    /// The round keys of `texts` keys.
    fn expanded<'a, const V: usize>(
        texts: usize,
        key: impl Fn(usize) -> &'a [u8; KEY_BYTES],
    ) -> Zeroizing<[Keys; V]> {
        let mut keys = Zeroizing::new([[zero(); 15]; V]);
        for (v, keys) in keys.iter_mut().enumerate() {
            aes::expand(lanes_of(v, texts).map(&key), keys);
        }
        keys
    }

    /// Adds its stream to each text of those that are chosen.
    fn xor_streams<const V: usize>(
        keys: &[Keys; V],
        ciphers: &[Cipher<'_>],
        start: u32,
        texts: &mut [&mut [u8]],
        chosen: impl Fn(usize) -> bool,
    ) {
        let mut key = Zeroizing::new([zero(); 15]);
        for (i, (cipher, text)) in ciphers.iter().zip(texts).enumerate() {
            if chosen(i) {
                aes::spread(&keys[i / LANES], i % LANES, &mut key);
                aes::xor_stream(&key, cipher.nonce, start, text);
            }
        }
    }

    /// The tags of ciphertexts: their hashes, under AES of zero, plus AES of counter 1.
    fn tags_of<const V: usize>(
        keys: &[Keys; V],
        ciphers: &[Cipher<'_>],
        texts: &[&mut [u8]],
    ) -> [Vector; V] {
        let mut hash_keys = [zero(); V];
        let mut masks = [zero(); V];
        let mut rows: [[&[u8]; LANES]; V] = [[&[]; LANES]; V];
        for v in 0..V {
            let lanes = lanes_of(v, ciphers.len());
            let mut blocks = [zero(), aes::first_counters(lanes.map(|i| ciphers[i].nonce))];
            aes::encrypt(&keys[v], &mut blocks);
            [hash_keys[v], masks[v]] = blocks;
            rows[v] = lanes.map(|i| &*texts[i]);
        }
        let mut tags = ghash::hashes(&hash_keys, &rows);
        for (tag, mask) in tags.iter_mut().zip(&masks) {
            *tag = xor(*tag, *mask);
        }
        hash_keys.zeroize();
        masks.zeroize();
        tags
    }
}

/// Texts of the lanes of a vector; lanes that are left over go along with the last text.
fn lanes_of(vector: usize, texts: usize) -> [usize; LANES] {
    core::array::from_fn(|lane| (LANES * vector + lane).min(texts - 1))
}
