//! Key derivation: BLAKE3 in key derivation mode, leaving nothing behind.

use subtle::ConstantTimeEq as _;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes, erased when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key(pub(crate) [u8; 32]);

impl Key {
    /// The key that follows from `material` in this context.
    pub(crate) fn derive(context: &str, material: &[&[u8]]) -> Self {
        let mut key = Self([0; 32]);
        expand(context, material, &mut [&mut key.0]);
        key
    }

    /// Compares without telling by its time where two keys differ.
    pub(crate) fn is(&self, other: &[u8; 32]) -> bool {
        self.0.ct_eq(other).into()
    }
}

/// Fills `outputs`, one after the other, from the concatenation of `inputs`.
pub(crate) fn expand(context: &str, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) {
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for input in inputs {
        hasher.update(input);
    }
    let mut stream = hasher.finalize_xof();
    for output in outputs {
        stream.fill(output);
    }
    stream.zeroize();
    hasher.zeroize();
}
