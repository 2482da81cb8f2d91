//! Stands in for the VAES kernel where processors cannot have it.

use antiphon_wire::TAG_BYTES;

use super::{Cipher, KEY_BYTES, TWEAK_BYTES, Way};

pub(super) const TEXTS: usize = 16;

const ABSENT: &str = "the kernel is not available here, and says so";

pub(super) fn is_available() -> bool {
    false
}

pub(super) fn seal(_: &[Cipher<'_>], _: &mut [&mut [u8]], _: &mut [[u8; TAG_BYTES]]) {
    unreachable!("{ABSENT}")
}

pub(super) fn open(_: &[Cipher<'_>], _: &[[u8; TAG_BYTES]], _: &mut [&mut [u8]], _: &mut [bool]) {
    unreachable!("{ABSENT}")
}

pub(super) fn apply(_: &[Cipher<'_>], _: &mut [&mut [u8]]) {
    unreachable!("{ABSENT}")
}

pub(super) fn permute(_: Way, _: &[&[u8; KEY_BYTES]], _: &[u8; TWEAK_BYTES], _: &mut [&mut [u8]]) {
    unreachable!("{ABSENT}")
}
