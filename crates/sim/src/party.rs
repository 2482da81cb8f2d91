//! Who sends what to whom.

use antiphon_wire::{
    CellBatch, FromClient, PeerMessage, SignedHeader, ToClient, ToCoordinator, ToShard,
};

/// A process of the simulated network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// A coordinator, by its position in the setup.
    Coordinator(usize),
    /// A shard, by its position in the setup.
    Shard(usize),
    /// A client, by its position in the setup.
    Client(usize),
}

/// Message between two processes, as its receiver decodes it.
#[derive(Clone, Debug)]
pub enum Payload {
    /// From a shard to the coordinator.
    ToCoordinator(ToCoordinator),
    /// From the coordinator to a shard.
    ToShard(ToShard),
    /// From shard to shard, except for the bytes of batches.
    Peer(PeerMessage),
    /// A batch between shards.
    Batch {
        /// Header, signed by the sender.
        header: SignedHeader,
        /// The onions or replies.
        bytes: Vec<u8>,
        /// Bytes of one of them.
        item_bytes: usize,
    },
    /// Cells of a beat between shards.
    Cells {
        /// What they are of.
        batch: CellBatch,
        /// The cells.
        bytes: Vec<u8>,
    },
    /// From a client to its gateway.
    FromClient(FromClient),
    /// From a gateway to a client.
    ToClient(ToClient),
}

/// A message on a link.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Who sends it, as the link's authentication says.
    pub from: Party,
    /// Whom it goes to.
    pub to: Party,
    /// Content of the message.
    pub payload: Payload,
}
