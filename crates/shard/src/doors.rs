//! The endpoints that this shard listens on, and their bounds.

use std::collections::HashSet;
use std::net::IpAddr;

use antiphon_transport::Endpoint;

/// Handles to both endpoints.
#[derive(Clone, Debug)]
pub(crate) struct Doors {
    /// Endpoint for other shards.
    pub(crate) peers: Endpoint,
    /// Endpoint for clients.
    pub(crate) clients: Endpoint,
}

impl Doors {
    /// Expects dials from these addresses: those of the shards of the epochs that are not over.
    pub(crate) fn expect_peers(&self, addresses: HashSet<IpAddr>) {
        self.peers.reserve(addresses);
    }

    /// Bounds the frames of clients: none of their messages is longer.
    pub(crate) fn expect_submissions(&self, bytes: usize) {
        self.clients.accept_up_to(bytes);
    }
}
