//! Stands in for a vector kernel where processors cannot have it.

use curve25519_dalek::edwards::EdwardsPoint;

use crate::HopKey;

/// Never made: tables are for kernels that are there.
pub(crate) struct Table;

const ABSENT: &str = "the kernel is not available here, and says so";

impl Table {
    pub(crate) fn new(_: &EdwardsPoint) -> Self {
        unreachable!("{ABSENT}")
    }
}

pub(super) fn one_secret(_: &[u8; 32], _: &[[u8; 32]], _: &mut [[u8; 32]]) {
    unreachable!("{ABSENT}")
}

pub(super) fn pairs(_: &[[u8; 32]], _: &[[u8; 32]], _: &mut [[u8; 32]]) {
    unreachable!("{ABSENT}")
}

pub(super) fn public_keys(_: &[[u8; 32]], _: &mut [[u8; 32]]) {
    unreachable!("{ABSENT}")
}

pub(super) fn send<'a>(
    _: &[[u8; 32]],
    _: impl Iterator<Item = &'a HopKey>,
    _: &mut [[u8; 32]],
    _: &mut [[u8; 32]],
) {
    unreachable!("{ABSENT}")
}
