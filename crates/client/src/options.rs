//! Configuration of a client in code.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use antiphon_wire::{IdentityKey, NetworkFile};

use crate::StateWitness;

/// Coordinator that clients ask for the first epoch document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coordinator {
    /// Its endpoint for clients, as `host:port` over UDP.
    pub address: String,
    /// Key that it has to prove.
    pub identity: IdentityKey,
}

/// Choice of the shard that takes a client's onions. It is trusted for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gateway {
    /// A new one for every epoch, drawn by the operators' weight, and at most one other if it fails.
    #[default]
    Auto,
    /// This shard and no other, in every epoch: one that its user runs, or trusts to answer. While it
    /// is out of the epoch, the client is offline.
    Shard(IdentityKey),
}

/// Configuration of a client.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// The network that the client belongs to.
    pub network: NetworkFile,
    /// Coordinators to ask for the first epoch document, one after the other.
    pub coordinators: Vec<Coordinator>,
    /// Choice of the shard to go through.
    pub gateway: Gateway,
    /// The file that remembers the last round and the ledger. Made when it is missing; its folder
    /// has to be there. Without one, a restart forgets what conversations have cost, and a restart
    /// within a round uses the round twice.
    pub state: Option<PathBuf>,
    /// Witness that the state file is the newest, and not out of a backup. `None` stands for a
    /// [`FileWitness`](crate::FileWitness) in the state file's name with `.witness` behind it.
    pub witness: Option<Arc<dyn StateWitness>>,
    /// Bytes of messages queued to be sent, per conversation, counting each message 64 bytes longer
    /// than it is.
    pub queue_bytes: u32,
    /// Bytes of messages that have arrived and were not taken, per conversation, counted likewise.
    pub inbox_bytes: u32,
    /// The longest message sent or received, in bytes. Partners should agree on it. Held to what
    /// fits into either queue.
    pub message_bytes: u32,
    /// Time for which [`Client::connect`](crate::Client::connect) keeps trying.
    pub connect_within: Duration,
}

/// Bytes of a queue that a message takes up besides its own, so that empty ones are bounded too.
pub(crate) const MESSAGE_OVERHEAD: u32 = 64;

impl ClientConfig {
    /// Any gateway, no state file, queues of 32 MiB, messages of up to 16 MiB, a minute to connect.
    pub const fn new(network: NetworkFile, coordinators: Vec<Coordinator>) -> Self {
        Self {
            network,
            coordinators,
            gateway: Gateway::Auto,
            state: None,
            witness: None,
            queue_bytes: 32 << 20,
            inbox_bytes: 32 << 20,
            message_bytes: 16 << 20,
            connect_within: Duration::from_secs(60),
        }
    }

    /// The longest message, in bytes, once the queues are taken into account.
    pub(crate) fn longest_message(&self) -> u32 {
        let queue = self.queue_bytes.min(self.inbox_bytes);
        self.message_bytes.min(queue.saturating_sub(MESSAGE_OVERHEAD))
    }
}
