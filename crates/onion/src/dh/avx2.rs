//! The Diffie-Hellman of four lanes at a time, with the 32-bit multipliers of AVX2.

use super::processor::has_avx2 as is_available;
use super::{Kernel, KeyTable};

/// Compiles functions for the processors that [`is_available`] finds; only such may call them.
macro_rules! vectorised {
    ($($item:item)*) => {
        $(
            #[target_feature(enable = "avx2,bmi2")]
            #[inline]
            $item
        )*
    };
}

mod field;
#[path = "vectors/x25519.rs"]
mod x25519;

pub(super) use x25519::{Table, one_secret, pairs, public_keys, send};

const KERNEL: Kernel = Kernel::Avx2;

fn table_of(table: &KeyTable) -> Option<&Table> {
    match table {
        KeyTable::Avx2(table) => Some(table),
        _ => None,
    }
}
