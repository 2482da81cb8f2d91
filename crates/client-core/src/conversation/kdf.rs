//! Key derivation of conversations: BLAKE3 in key derivation mode, leaving nothing behind.

use antiphon_wire::{Decode, DecodeError, Encode, Reader};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// 32 secret bytes, erased when dropped.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct Key(pub(crate) [u8; 32]);

impl Encode for Key {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for Key {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(input).map(Self)
    }
}

impl Key {
    /// The key that follows from `material` in this context.
    pub(crate) fn derive(context: &str, material: &[u8]) -> Self {
        let mut key = Self([0; 32]);
        expand(context, &[material], &mut [&mut key.0]);
        key
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
