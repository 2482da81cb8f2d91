//! A chunk of a batch with its batch's number before it, as a frame carries it.

use bytes::{Buf as _, Bytes};

/// Bytes of a frame before its chunk: the batch's number, and 1 if it ends here or else 0.
pub const CHUNK_HEAD_BYTES: usize = 5;

/// A chunk of a batch, as it arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Number of the batch on its link.
    pub batch: u32,
    /// `true` if the batch ends with this chunk.
    pub is_last: bool,
    /// Bytes of the batch, without the head.
    pub bytes: Bytes,
}

impl Chunk {
    /// Reads a frame; `None` if it is no chunk.
    pub fn from_frame(mut frame: Bytes) -> Option<Self> {
        if frame.len() < CHUNK_HEAD_BYTES {
            return None;
        }
        let batch = frame.get_u32();
        let is_last = match frame.get_u8() {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(Self { batch, is_last, bytes: frame })
    }
}
