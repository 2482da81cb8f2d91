//! Links between shards: TLS over TCP, or over the memory of one process, and frames in it. Each goes one way, from the shard that dialled
//! to the one that was dialled, which answers with single bytes that it lets the other in, is still
//! there, or closes. Two links to one peer are the two lanes: what has to arrive soon, and batches.
//!
//! The connection's flow control is the only one. A receiver that does not read fills it and stops its
//! sender, on that lane and no other.

mod answer;
mod dialer;
mod handshake;
mod medium;
mod memory;
mod pace;
mod receiver;
mod sender;
mod server;
mod session;

use crate::limits::Port;

pub use dialer::PeerDialer;
pub use medium::Medium;
pub use memory::MemoryNetwork;
pub use receiver::{PeerHandle, PeerReceiver};
pub use sender::{PeerSendError, PeerSender};
pub use server::PeerServer;

/// One of the two links to a peer. Both sides name it in the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Messages, each a frame.
    Control,
    /// Batches, in [`Chunk`](crate::Chunk)s that take turns.
    Batches,
}

impl Lane {
    const ALL: [Self; 2] = [Self::Control, Self::Batches];

    /// The name of the application protocol.
    const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Control => Port::Shards.alpn(),
            Self::Batches => b"antiphon/2 batches",
        }
    }
}

#[cfg(test)]
mod tests;
