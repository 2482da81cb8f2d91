//! The side that listens for links over QUIC.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::hmac;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, ConnectionError, EndpointConfig};
use quinn_proto::HashedConnectionIdGenerator;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::bind_error::BindError;
use crate::close::CloseReason;
use crate::door::{BACKLOG, Door, Endpoint, Permit, ServerStats};
use crate::identity::Identity;
use crate::limits::Limits;
use crate::quic::link::{Connected, Link};
use crate::quic::stream::{Receiving, Sending};
use crate::socket;
use crate::tls::{self, Admit};

/// The byte that a server sends on the control stream when it has let a link in.
pub(crate) const GREETING: u8 = 1;

/// Bytes buffered for handshakes that have not begun, over all of them.
const INCOMING_BUFFER_BYTES: u64 = 16 << 20;

/// Peers that a server lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// Everyone who proves an identity; the caller looks at [`Link::remote_identity`].
    AnyIdentity,
    /// Clients without an identity, and no others.
    Anonymous,
}

/// A listening endpoint. Dropping it refuses new links and leaves those that exist.
pub struct Server {
    endpoint: quinn::Endpoint,
    links: mpsc::Receiver<Link>,
    door: Arc<Door>,
    acceptor: JoinHandle<()>,
}

impl Server {
    /// Starts listening. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    pub fn bind(
        addr: SocketAddr,
        identity: &Identity,
        accept: Accept,
        limits: Limits,
    ) -> Result<Self, BindError> {
        let admit: Option<Arc<Admit>> = match accept {
            Accept::AnyIdentity => Some(Arc::new(|_| true)),
            Accept::Anonymous => None,
        };
        let mut tls = tls::server_config(identity, admit)?;
        tls.alpn_protocols = vec![limits.port.alpn().to_vec()];
        let door = Door::new(limits);
        let limits = door.limits();
        let tls = QuicServerConfig::try_from(tls)?;
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
        config
            .transport_config(limits.quic(limits.further_streams()))
            .max_incoming(limits.max_handshakes.max(1))
            .incoming_buffer_size_total(INCOMING_BUFFER_BYTES);
        let endpoint = socket::quic(addr, lasting(identity), Some(config))
            .map_err(|source| BindError::Socket { addr, source })?;
        let (sender, links) = mpsc::channel(BACKLOG);
        let acceptor = tokio::spawn(accept_links(endpoint.clone(), Arc::clone(&door), sender));
        Ok(Self { endpoint, links, door, acceptor })
    }

    /// The next link whose handshake is complete; `None` after [`Server::shut_down`].
    pub async fn accept(&mut self) -> Option<Link> {
        self.links.recv().await
    }

    /// The address listened on, with the port that the system chose if none was asked for.
    ///
    /// # Errors
    ///
    /// What the system says if the socket is gone.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.endpoint.local_addr()
    }

    /// Counts for metrics.
    pub fn stats(&self) -> ServerStats {
        self.endpoint().stats()
    }

    /// A handle for those who do not accept links.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(Arc::clone(&self.door))
    }

    /// From now on, takes frames of up to `bytes` from everybody whose link has no limit of its own.
    pub fn accept_up_to(&self, bytes: usize) {
        self.endpoint().accept_up_to(bytes);
    }

    /// Closes every link of this server and waits until the other sides have been told.
    pub async fn shut_down(&self) {
        let reason = CloseReason::ShuttingDown;
        self.endpoint.close(reason.code(), reason.text().as_bytes());
        self.endpoint.wait_idle().await;
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.acceptor.abort();
        self.endpoint.set_server_config(None);
    }
}

/// Configuration of connection identifiers and stateless resets, the same in every process that has this
/// identity. Whoever is linked to a process that is gone learns it from the first packet that the next one
/// gets.
fn lasting(identity: &Identity) -> EndpointConfig {
    let reset = identity.derive("antiphon 2 stateless resets");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset)));
    let ids = identity.derive("antiphon 2 connection identifiers");
    let key = ids.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}

async fn accept_links(endpoint: quinn::Endpoint, door: Arc<Door>, links: mpsc::Sender<Link>) {
    while let Some(incoming) = endpoint.accept().await {
        let ip = incoming.remote_address().ip();
        // A forged source address must not use up its owner's share of anything.
        if door.is_doubtful(ip) && !incoming.remote_address_validated() && incoming.may_retry() {
            // Fails only without `may_retry`.
            let _ = incoming.retry();
            continue;
        }
        let Some(permit) = door.admit(ip) else {
            incoming.refuse();
            continue;
        };
        let Some(slot) = door.begin(ip) else {
            incoming.refuse();
            continue;
        };
        let (door, links) = (Arc::clone(&door), links.clone());
        tokio::spawn(async move {
            let handshake = handshake(incoming, &door, permit);
            let handshaken = door.unless_pushed_out(slot, handshake, &links).await;
            let Some((conn, connected)) = handshaken else { return };
            if door.limits().links_per_connection > 1 {
                tokio::spawn(further_links(conn, connected, door, links));
            }
        });
    }
}

async fn handshake(
    incoming: quinn::Incoming,
    door: &Door,
    permit: Permit,
) -> Option<((Connection, Connected), Link)> {
    let establish = async {
        let conn: Connection = incoming.accept()?.await?;
        let (mut send, recv) = conn.open_bi().await?;
        send.write_all(&[GREETING]).await.map_err(|_| ConnectionError::LocallyClosed)?;
        Ok::<_, ConnectionError>((conn, (Sending::new(send), Receiving::new(recv))))
    };
    let (conn, control) = timeout(door.limits().handshake_timeout, establish).await.ok()?.ok()?;
    let max_frame_bytes = door.limits().max_frame_bytes;
    let connected = Connected::new(conn.clone(), max_frame_bytes, door.rules());
    let link = Link::new(&connected, control, Some(permit));
    Some(((conn, connected), link))
}

/// Lets in links that a client opens over a connection that it has, until that is gone.
async fn further_links(
    conn: Connection,
    connected: Connected,
    door: Arc<Door>,
    links: mpsc::Sender<Link>,
) {
    while let Ok((mut send, mut recv)) = conn.accept_bi().await {
        let most = usize::try_from(door.limits().links_per_connection).unwrap_or(usize::MAX);
        let ip = conn.remote_address().ip();
        let permit = if connected.links() < most { door.admit(ip) } else { door.refuse_share() };
        let Some(permit) = permit else {
            // They fail only if the client has given up.
            let _ = send.reset(CloseReason::Overloaded.code());
            let _ = recv.stop(CloseReason::Overloaded.code());
            continue;
        };
        // The byte is there: without it, this side would not know of the stream. If not, the client
        // is the only one that waits.
        let greet = async {
            recv.read_exact(&mut [0]).await.ok()?;
            send.write_all(&[GREETING]).await.ok()
        };
        if timeout(door.limits().handshake_timeout, greet).await.ok().flatten().is_none() {
            door.count_failed();
            continue;
        }
        door.count_accepted();
        let control = (Sending::new(send), Receiving::new(recv));
        let link = Link::new(&connected, control, Some(permit));
        if links.send(link).await.is_err() {
            return;
        }
    }
}
