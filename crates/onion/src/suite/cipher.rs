//! AES-256-GCM, AES-256 in counter mode and HCTR2 of many texts, each under a key of its own: side by side
//! where the processor has VAES, else one by one.

use antiphon_wire::TAG_BYTES;

use super::{gcm, hctr2, stream, vaes};
use crate::dh::Kernel;

pub(crate) const KEY_BYTES: usize = 32;
pub(crate) const NONCE_BYTES: usize = 12;
pub(crate) const TWEAK_BYTES: usize = 32;

/// Texts that are worked on side by side, at most.
pub(crate) const AT_ONCE: usize = vaes::TEXTS;

/// Key and nonce of one text. Good for one text.
#[derive(Clone, Copy)]
pub(crate) struct Cipher<'a> {
    pub(crate) key: &'a [u8; KEY_BYTES],
    pub(crate) nonce: &'a [u8; NONCE_BYTES],
}

/// The two ways through a permutation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Encipher,
    Decipher,
}

/// Encrypts each text in place, AES-256-GCM, and sets its tag. Texts are equally long, and at most
/// [`AT_ONCE`].
pub(crate) fn seal(
    kernel: Kernel,
    ciphers: &[Cipher<'_>],
    texts: &mut [&mut [u8]],
    tags: &mut [[u8; TAG_BYTES]],
) {
    assert!(ciphers.len() == texts.len() && ciphers.len() == tags.len(), "one text a key");
    assert_alike(texts);
    if has_vaes(kernel) {
        return vaes::seal(ciphers, texts, tags);
    }
    for ((cipher, text), tag) in ciphers.iter().zip(texts).zip(tags) {
        *tag = gcm::seal(cipher, text);
    }
}

/// Decrypts in place each text whose `opened` is set and whose tag holds; leaves every other as it is
/// and clears its `opened`. Texts are equally long, and at most [`AT_ONCE`].
pub(crate) fn open(
    kernel: Kernel,
    ciphers: &[Cipher<'_>],
    tags: &[[u8; TAG_BYTES]],
    texts: &mut [&mut [u8]],
    opened: &mut [bool],
) {
    assert!(ciphers.len() == texts.len() && ciphers.len() == tags.len(), "one text a key");
    assert_eq!(ciphers.len(), opened.len(), "one answer a text");
    assert_alike(texts);
    if has_vaes(kernel) {
        return vaes::open(ciphers, tags, texts, opened);
    }
    for (((cipher, tag), text), opened) in ciphers.iter().zip(tags).zip(texts).zip(opened) {
        *opened = *opened && gcm::open(cipher, tag, text);
    }
}

/// Adds to each text its stream from counter 0 on. At most [`AT_ONCE`] texts.
pub(crate) fn apply(kernel: Kernel, ciphers: &[Cipher<'_>], texts: &mut [&mut [u8]]) {
    assert_eq!(ciphers.len(), texts.len(), "one text a key");
    if has_vaes(kernel) {
        return vaes::apply(ciphers, texts);
    }
    for (cipher, text) in ciphers.iter().zip(texts) {
        stream::apply(&stream::cipher(cipher), cipher.nonce, 0, text);
    }
}

/// Takes each cell through HCTR2, in place, all under one tweak. Cells are equally long, in whole blocks.
pub(crate) fn permute(
    kernel: Kernel,
    way: Way,
    keys: &[&[u8; KEY_BYTES]],
    tweak: &[u8; TWEAK_BYTES],
    cells: &mut [&mut [u8]],
) {
    assert_eq!(keys.len(), cells.len(), "one cell a key");
    assert_alike(cells);
    let whole = |cell: &&mut [u8]| !cell.is_empty() && cell.len().is_multiple_of(16);
    assert!(cells.iter().all(whole), "cells have whole blocks");
    if has_vaes(kernel) {
        for (keys, cells) in keys.chunks(AT_ONCE).zip(cells.chunks_mut(AT_ONCE)) {
            vaes::permute(way, keys, tweak, cells);
        }
        return;
    }
    hctr2::permute(way, keys, tweak, cells);
}

fn assert_alike(texts: &[&mut [u8]]) {
    assert!(texts.windows(2).all(|pair| pair[0].len() == pair[1].len()), "texts are equally long");
}

/// Returns `true` if the processor has VAES and VPCLMULQDQ beside this kernel of the Diffie-Hellman.
fn has_vaes(kernel: Kernel) -> bool {
    kernel == Kernel::Ifma && vaes::is_available()
}

#[cfg(test)]
mod tests;
