//! Who sends what to whom.

use antiphon_wire::{FromClient, PeerMessage, SignedHeader, ToClient, ToCoordinator, ToShard};

/// A process of the simulated network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// The coordinator.
    Coordinator,
    /// A shard, by its position in the setup.
    Shard(usize),
    /// A client, by its position in the setup.
    Client(usize),
}

/// What travels between two processes.
#[derive(Clone, Debug)]
pub enum Payload {
    /// From a shard to the coordinator.
    ToCoordinator(ToCoordinator),
    /// From the coordinator to a shard.
    ToShard(ToShard),
    /// Between shards.
    Peer(PeerMessage),
    /// A batch between shards.
    Batch {
        /// Its header.
        header: SignedHeader,
        /// The onions or replies.
        bytes: Vec<u8>,
        /// Bytes of one of them.
        item_bytes: usize,
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
    /// What it says.
    pub payload: Payload,
}
