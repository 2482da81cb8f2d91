//! The Diffie-Hellman of four lanes at a time, with the 32-bit multipliers of AVX2.

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

/// Returns `true` if this processor can run the kernel.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")
}

fn table_of(table: &KeyTable) -> Option<&Table> {
    match table {
        KeyTable::Avx2(table) => Some(table),
        _ => None,
    }
}
