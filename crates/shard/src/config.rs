//! Configuration of a shard server in code.

use std::fmt;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use antiphon_transport::{Limits, Medium, Prefix};
use antiphon_wire::{IdentityKey, NetworkFile, OperatorList, Signed};
use ed25519_dalek::SigningKey;

use crate::{Advertised, Workers};

/// Configuration of a shard server.
pub struct ShardServerConfig {
    /// Long-term identity of the shard.
    pub identity: SigningKey,
    /// Network that the shard belongs to.
    pub network: NetworkFile,
    /// List of its operator, on which it is.
    pub list: Signed<OperatorList>,
    /// Address to listen on for other shards. With port 0 the system chooses one.
    pub listen_peers: SocketAddr,
    /// Address to listen on for clients. With port 0 the system chooses one.
    pub listen_clients: SocketAddr,
    /// Addresses for other shards, if that is not the one listened on; at most
    /// [`MOST_ADDRESSES`](antiphon_wire::MOST_ADDRESSES).
    pub advertise_peers: Vec<Advertised>,
    /// Addresses for clients, likewise.
    pub advertise_clients: Vec<Advertised>,
    /// Addresses and identities of the coordinators; the shards elect one of several.
    pub coordinators: Vec<CoordinatorAddress>,
    /// The file that keeps the shard from signing twice. `None` keeps that in memory only, which is
    /// good for demonstrations and nothing else.
    pub state: Option<PathBuf>,
    /// Limits on others.
    pub limits: ServerLimits,
    /// Threads that peel and build noise; `None` for one per core.
    pub threads: Option<NonZeroUsize>,
    /// Threads that other shards of this process use as well, instead of its own.
    pub workers: Option<Arc<Workers>>,
    /// What links to other shards go over.
    pub medium: Medium,
}

impl fmt::Debug for ShardServerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ShardServerConfig")
            .field("identity", &IdentityKey::of(&self.identity))
            .field("listen_peers", &self.listen_peers)
            .field("listen_clients", &self.listen_clients)
            .field("coordinators", &self.coordinators)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

/// Address and identity of a coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorAddress {
    /// `host:port` of its endpoint for shards.
    pub address: String,
    /// Identity that it has to prove.
    pub identity: IdentityKey,
}

/// Limits of a shard server on others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLimits {
    /// Limits of the round machine.
    pub rounds: antiphon_mix::Limits,
    /// Clients linked at once.
    pub clients: usize,
    /// Clients linked at once from one IPv4 address or one IPv6 /64, and linked anew within a minute.
    /// Four times as many from a /56, sixteen times from a /48.
    pub clients_per_address: usize,
    /// Addresses from which any number of clients may come.
    pub trusted: Vec<Prefix>,
    /// Clients that may share one connection. More than one is for load tests.
    pub links_per_connection: u32,
    /// Messages that wait for one client, beyond which it is dropped: it does not read.
    pub client_queue: usize,
}

impl Default for ServerLimits {
    fn default() -> Self {
        let clients = Limits::clients();
        Self {
            rounds: antiphon_mix::Limits::default(),
            clients: clients.max_links,
            clients_per_address: clients.max_links_per_ip,
            trusted: clients.trusted,
            links_per_connection: clients.links_per_connection,
            client_queue: 16,
        }
    }
}

impl ServerLimits {
    /// Limits of the endpoint that clients link to.
    pub(crate) fn for_clients(&self) -> Limits {
        Limits {
            max_links: self.clients,
            max_links_per_ip: self.clients_per_address,
            trusted: self.trusted.clone(),
            links_per_connection: self.links_per_connection,
            ..Limits::clients()
        }
    }
}
