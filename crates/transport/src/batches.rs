//! Batches on the lane that they share. A batch is cut into chunks, each of which travels in a frame with the
//! batch's number before it. Batches that are under way at once take turns, so that a long one delays none of
//! the others.
//!
//! Numbers count up from 0 on each link, in the order in which batches begin.

mod begun;
mod chunk;
mod turns;

use bytes::Bytes;

use crate::close::LinkLost;
use crate::peer::PeerSender;
use turns::Turns;

pub use begun::{BATCHES_AT_ONCE, Begun, OutOfTurn};
pub use chunk::{CHUNK_HEAD_BYTES, Chunk};

/// Bytes handed to the system at once, about. Chunks of several batches go together.
const TURN_BYTES: usize = 128 << 10;

/// Sends batches to a peer, from one task.
#[derive(Debug)]
pub struct BatchSender {
    link: PeerSender,
    turns: Turns,
}

impl BatchSender {
    /// Sends over `link`, which is of the lane for batches and has carried nothing yet.
    pub fn new(link: PeerSender) -> Self {
        Self { link, turns: Turns::default() }
    }

    /// Returns `true` if another batch may begin.
    pub fn has_room(&self) -> bool {
        self.turns.under_way() < BATCHES_AT_ONCE
    }

    /// Number of batches that are not wholly sent.
    pub fn under_way(&self) -> usize {
        self.turns.under_way()
    }

    /// Begins a batch of these chunks, for which there is room.
    pub fn begin(&mut self, chunks: Vec<Bytes>) {
        debug_assert!(self.has_room(), "the receiver refuses a link with so many batches");
        self.turns.begin(chunks);
    }

    /// Sends the next chunks. Returns when the operating system has taken them, and lets go of their bytes.
    /// Waits for a receiver that does not read.
    ///
    /// # Errors
    ///
    /// Why the link is gone, and with it every batch that is under way.
    pub async fn send_some(&mut self) -> Result<(), LinkLost> {
        let pieces = self.turns.take(TURN_BYTES);
        if pieces.is_empty() { Ok(()) } else { self.link.write(&pieces).await }
    }

    /// See [`PeerSender::idle`].
    pub async fn idle(&mut self) -> LinkLost {
        self.link.idle().await
    }

    /// See [`PeerSender::finish`].
    ///
    /// # Errors
    ///
    /// Why the link went first.
    pub async fn finish(self) -> Result<(), LinkLost> {
        self.link.finish().await
    }
}

#[cfg(test)]
mod tests;
