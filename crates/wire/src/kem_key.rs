//! ML-KEM keys as they travel: bytes of the right length, of which nothing else has been checked.

use crate::codec::{Decode, DecodeError, Encode, Reader};

/// Bytes of an ML-KEM-768 encapsulation key (FIPS 203).
pub const KEM_KEY_BYTES: usize = 1184;

/// A shard's ML-KEM key of one epoch. Large, and so kept apart from what lists it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KemKey(Box<[u8; KEM_KEY_BYTES]>);

impl KemKey {
    /// The key of these bytes.
    pub fn new(bytes: [u8; KEM_KEY_BYTES]) -> Self {
        Self(Box::new(bytes))
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8; KEM_KEY_BYTES] {
        &self.0
    }
}

impl std::fmt::Debug for KemKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KemKey({:02x}{:02x}..)", self.0[0], self.0[1])
    }
}

impl Encode for KemKey {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
}

impl Decode for KemKey {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Decode::decode(input).map(Self::new)
    }
}
