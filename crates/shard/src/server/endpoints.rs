//! The endpoints of a shard server: bound first, and served once the machine is there.

use std::net::SocketAddr;
use std::sync::Arc;

use antiphon_mix::Input;
use antiphon_transport::{Accept, BindError, Identity, PeerIdentity, PeerServer, Server};
use antiphon_wire::IdentityKey;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::StartError;
use crate::clients::{self, ClientEvent};
use crate::doors::Doors;
use crate::peers::{self, PeerInputs, PeerLinks};
use crate::phase::Phase;
use crate::{ServerLimits, ShardServerConfig};

/// Messages from peers that wait for the machine.
const PEER_MESSAGES: usize = 64;
/// Chunks of batches that wait for the machine: with 128 KiB each, a few megabytes.
const PEER_CHUNKS: usize = 64;
/// Inputs from clients that wait for the machine.
const CLIENT_EVENTS: usize = 256;

/// The endpoints for other shards and for clients. Whoever links before they are served waits.
pub(super) struct Endpoints {
    peers: PeerServer,
    clients: Server,
    pub(super) peer_address: SocketAddr,
    pub(super) client_address: SocketAddr,
}

/// The tasks that serve the endpoints, and the queues that they fill.
pub(crate) struct Served {
    pub(crate) peer_messages: mpsc::Receiver<Input>,
    /// Batches, the header before its chunks.
    pub(crate) peer_chunks: mpsc::Receiver<Input>,
    pub(crate) clients: mpsc::Receiver<ClientEvent>,
    /// Closed when the last task that writes to a client is done.
    pub(crate) writing: mpsc::Receiver<()>,
    pub(crate) tasks: Vec<JoinHandle<()>>,
}

impl Endpoints {
    /// Listens for the shards on the list of `links`, and for clients.
    pub(super) fn bind(
        config: &ShardServerConfig,
        identity: &Identity,
        links: &Arc<PeerLinks>,
    ) -> Result<Self, StartError> {
        let bind = |whom| move |source| StartError::Bind { whom, source };
        let listed = Arc::clone(links);
        let is_listed = move |peer: &PeerIdentity| listed.is_listed(&IdentityKey(peer.0));
        let (medium, addr) = (&config.medium, config.listen_peers);
        let peers = PeerServer::bind_over(medium, addr, identity, is_listed, medium.limits())
            .map_err(bind("shards"))?;
        let limits = config.limits.for_clients();
        let clients = Server::bind(config.listen_clients, identity, Accept::Anonymous, limits)
            .map_err(bind("clients"))?;
        let peer_address = peers.local_addr();
        let client_address = clients.local_addr().map_err(|source| {
            bind("clients")(BindError::Socket { addr: config.listen_clients, source })
        })?;
        Ok(Self { peers, clients, peer_address, client_address })
    }

    pub(super) fn doors(&self) -> Doors {
        Doors { peers: self.peers.endpoint(), clients: self.clients.endpoint() }
    }

    /// Takes in links until the server's phase says otherwise.
    pub(super) fn serve(
        self,
        limits: &ServerLimits,
        links: &Arc<PeerLinks>,
        phase: &watch::Receiver<Phase>,
    ) -> Served {
        let (messages, peer_messages) = mpsc::channel(PEER_MESSAGES);
        let (batches, peer_chunks) = mpsc::channel(PEER_CHUNKS);
        let (client_events, clients) = mpsc::channel(CLIENT_EVENTS);
        // Nothing is sent over it: its last sender goes with the last task that writes to a client.
        let (still_writing, writing) = mpsc::channel(1);
        let tasks = vec![
            tokio::spawn(peers::serve(
                self.peers,
                Arc::clone(links),
                PeerInputs { messages, batches },
                limits.rounds.onions_per_batch,
                phase.clone(),
            )),
            tokio::spawn(clients::serve(
                self.clients,
                client_events,
                limits.client_queue,
                still_writing,
                phase.clone(),
            )),
        ];
        Served { peer_messages, peer_chunks, clients, writing, tasks }
    }
}
