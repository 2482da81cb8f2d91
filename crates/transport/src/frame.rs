//! Frames: a `u32` big-endian length and that many bytes.

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 4;

/// Frames up to this many bytes are copied together on sending; larger ones are passed on as they
/// are. Keeps the number of pieces that QUIC has to keep track of low.
const COPY_UP_TO: usize = 4 << 10;

/// Size at which a run of copied frames is handed over, in bytes.
const RUN_BYTES: usize = 32 << 10;

/// The first allocation for a frame that arrives in pieces, in bytes. It then grows with what has
/// arrived, so that announcing a long frame costs the receiver nothing.
const FIRST_ALLOCATION: usize = 16 << 10;

/// A frame is longer than the link carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a frame of {len} bytes is above this link's limit of {max}: check max_frame_bytes on both sides"
)]
pub struct FrameTooLarge {
    /// The frame's length in bytes.
    pub len: usize,
    /// The limit in bytes.
    pub max: usize,
}

/// Turns frames into a few pieces of bytes, ready to be written one after the other.
///
/// # Errors
///
/// [`FrameTooLarge`] if any frame is longer than `max` (or than a `u32` can say).
pub fn encode_frames(frames: &[Bytes], max: usize) -> Result<Vec<Bytes>, FrameTooLarge> {
    let mut pieces = Vec::with_capacity(2 * frames.len());
    let copied = |frame: &Bytes| if frame.len() <= COPY_UP_TO { frame.len() } else { 0 };
    let all: usize = frames.iter().map(|frame| HEADER_BYTES + copied(frame)).sum();
    let mut run = BytesMut::with_capacity(all.min(RUN_BYTES));
    for frame in frames {
        let too_large = FrameTooLarge { len: frame.len(), max };
        let header = u32::try_from(frame.len()).map_err(|_| too_large)?;
        if frame.len() > max {
            return Err(too_large);
        }
        run.put_u32(header);
        if frame.len() <= COPY_UP_TO {
            run.extend_from_slice(frame);
        } else {
            pieces.push(run.split().freeze());
            pieces.push(frame.clone());
        }
        if run.len() >= RUN_BYTES {
            pieces.push(run.split().freeze());
        }
    }
    if !run.is_empty() {
        pieces.push(run.freeze());
    }
    Ok(pieces)
}

/// Cuts a stream of bytes into frames. Does no input or output of its own.
#[derive(Debug)]
pub struct FrameDecoder {
    max: usize,
    first_allocation: usize,
    header: [u8; HEADER_BYTES],
    header_filled: usize,
    body: BytesMut,
}

impl FrameDecoder {
    /// A decoder between frames that refuses frames longer than `max` bytes.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            first_allocation: FIRST_ALLOCATION,
            header: [0; HEADER_BYTES],
            header_filled: 0,
            body: BytesMut::new(),
        }
    }

    /// Allocates frames of up to `bytes` as soon as they are announced, and so copies them only once:
    /// for senders who are known.
    pub fn believing_up_to(mut self, bytes: usize) -> Self {
        self.first_allocation = bytes;
        self
    }

    /// Refuses frames longer than `max` bytes from now on.
    pub fn set_max(&mut self, max: usize) {
        self.max = max;
    }

    /// Bytes kept of a frame that is not complete.
    pub fn kept_bytes(&self) -> usize {
        self.body.capacity()
    }

    /// Takes bytes off the front of `input` up to the end of the next frame and returns a copy of that
    /// frame; `None` when `input` is used up first.
    ///
    /// # Errors
    ///
    /// [`FrameTooLarge`] as soon as a header announces too much. The decoder then stays at that
    /// header: the stream cannot be read any further.
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Bytes>, FrameTooLarge> {
        let wanted = input.len().min(HEADER_BYTES - self.header_filled);
        input.copy_to_slice(&mut self.header[self.header_filled..self.header_filled + wanted]);
        self.header_filled += wanted;
        if self.header_filled < HEADER_BYTES {
            return Ok(None);
        }
        let len = usize::try_from(u32::from_be_bytes(self.header)).unwrap_or(usize::MAX);
        if len > self.max {
            return Err(FrameTooLarge { len, max: self.max });
        }
        debug_assert!(self.body.len() <= len, "a body has outgrown its frame");
        let missing = len - self.body.len();
        let (now, later) = input.split_at(missing.min(input.len()));
        *input = later;
        let is_whole = now.len() == missing;
        // The whole body is in the input: one copy, and no buffer.
        if is_whole && self.body.is_empty() {
            self.header_filled = 0;
            return Ok(Some(Bytes::copy_from_slice(now)));
        }
        if self.body.capacity() - self.body.len() < now.len() {
            let growth = missing.min(self.body.len().max(self.first_allocation)).max(now.len());
            self.body.reserve(growth);
        }
        self.body.extend_from_slice(now);
        if !is_whole {
            return Ok(None);
        }
        self.header_filled = 0;
        Ok(Some(std::mem::take(&mut self.body).freeze()))
    }

    /// Returns `true` if the bytes so far end with a whole frame: only there may a stream end.
    pub fn is_between_frames(&self) -> bool {
        self.header_filled == 0
    }
}

#[cfg(test)]
#[path = "frame_tests.rs"]
mod tests;
