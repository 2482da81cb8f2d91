//! The Diffie-Hellman of eight lanes at a time, with the 52-bit multipliers of AVX-512 IFMA.

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

/// Returns `true` if this processor can run the kernel.
pub(super) fn is_available() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512ifma")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("bmi2")
}

fn table_of(table: &KeyTable) -> Option<&Table> {
    match table {
        KeyTable::Ifma(table) => Some(table),
        _ => None,
    }
}
