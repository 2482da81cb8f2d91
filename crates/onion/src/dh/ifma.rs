//! The Diffie-Hellman of eight lanes at a time, with the 52-bit multipliers of AVX-512 IFMA.

use super::processor::has_ifma as is_available;
use super::{Kernel, KeyTable};

/// Compiles functions for the processors that [`is_available`] finds; only such may call them.
macro_rules! vectorised {
    ($($item:item)*) => {
        $(
            #[target_feature(enable = "avx512f,avx512ifma,avx512dq,avx512bw,avx512vl,bmi2")]
            #[inline]
            $item
        )*
    };
}

mod field;
#[path = "vectors/x25519.rs"]
mod x25519;

pub(super) use x25519::{Table, one_secret, pairs, public_keys, send};

const KERNEL: Kernel = Kernel::Ifma;

fn table_of(table: &KeyTable) -> Option<&Table> {
    match table {
        KeyTable::Ifma(table) => Some(table),
        _ => None,
    }
}
