//! Batches that come over the lane of one peer.

use std::collections::HashMap;

/// The most batches that may be under way at once on one link.
pub const BATCHES_AT_ONCE: usize = 16;

/// Batches that a peer has begun on one link and not ended, each with what is known of it.
#[derive(Debug)]
pub struct Begun<T> {
    next: u32,
    open: HashMap<u32, T>,
}

/// A chunk of a batch that has ended, or not begun, or is one too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a piece of a batch that cannot be under way")]
pub struct OutOfTurn;

impl<T> Default for Begun<T> {
    fn default() -> Self {
        Self { next: 0, open: HashMap::new() }
    }
}

impl<T> Begun<T> {
    /// Takes out what is known of the batch of the next chunk; `None` if the batch begins with it. Put back
    /// what is known then, unless the batch ends with that chunk.
    ///
    /// # Errors
    ///
    /// [`OutOfTurn`] if the batch has ended, has not begun in its order, or is one too many.
    pub fn take(&mut self, batch: u32) -> Result<Option<T>, OutOfTurn> {
        if let Some(known) = self.open.remove(&batch) {
            return Ok(Some(known));
        }
        // A number is used once: batches begin in the order of their numbers, on the sender's side as here.
        if batch != self.next || self.open.len() >= BATCHES_AT_ONCE {
            return Err(OutOfTurn);
        }
        self.next = self.next.wrapping_add(1);
        Ok(None)
    }

    /// Puts back what is known of a batch that goes on.
    pub fn put(&mut self, batch: u32, known: T) {
        let before = self.open.insert(batch, known);
        debug_assert!(before.is_none(), "batch {batch} is put back twice");
        debug_assert!(self.open.len() <= BATCHES_AT_ONCE, "more batches than may be under way");
    }
}
