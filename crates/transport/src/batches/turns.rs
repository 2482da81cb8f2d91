//! Batches that share the lane to one peer: each has one chunk in turn.

use std::collections::VecDeque;

use bytes::{BufMut as _, Bytes, BytesMut};

use super::chunk::CHUNK_HEAD_BYTES;
use crate::frame::HEADER_BYTES;

/// Chunks up to this many bytes are copied together.
const COPY_UP_TO: usize = 4 << 10;

/// Batches on their way to one peer.
#[derive(Debug, Default)]
pub(super) struct Turns {
    next: u32,
    /// Those that are not wholly sent, in the order of their turns.
    under_way: VecDeque<(u32, VecDeque<Bytes>)>,
}

impl Turns {
    /// Batches that are not wholly sent.
    pub(super) fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Begins a batch of these chunks, of which there is at least one.
    pub(super) fn begin(&mut self, chunks: Vec<Bytes>) {
        if !chunks.is_empty() {
            self.under_way.push_back((self.next, chunks.into()));
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Frames of the next chunks, one of each batch in turn, up to about so many bytes.
    pub(super) fn take(&mut self, bytes: usize) -> Vec<Bytes> {
        let mut pieces = Vec::new();
        let mut run = BytesMut::new();
        let mut total = 0;
        // A batch that is not at its end goes to the back of the queue.
        while total < bytes
            && let Some((number, mut chunks)) = self.under_way.pop_front()
        {
            let Some(chunk) = chunks.pop_front() else { continue };
            let len = CHUNK_HEAD_BYTES + chunk.len();
            // Chunks are far shorter; a receiver would refuse one that is not.
            run.put_u32(u32::try_from(len).unwrap_or(u32::MAX));
            run.put_u32(number);
            run.put_u8(u8::from(chunks.is_empty()));
            if chunk.len() <= COPY_UP_TO {
                run.extend_from_slice(&chunk);
            } else {
                pieces.extend([run.split().freeze(), chunk]);
            }
            total += HEADER_BYTES + len;
            if !chunks.is_empty() {
                self.under_way.push_back((number, chunks));
            }
        }
        if !run.is_empty() {
            pieces.push(run.freeze());
        }
        pieces
    }
}
