//! The listening side.

mod over_tcp;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn::{Connection, ConnectionError, EndpointConfig};
use quinn_proto::HashedConnectionIdGenerator;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::carrier::{Carrier, Receiving, Sending};
use crate::close::CloseReason;
use crate::door::{Door, Endpoint, Permit, ServerStats};
use crate::identity::{Identity, PeerIdentity};
use crate::limits::{Limits, Transport};
use crate::link::{Connected, Link};
use crate::tls::{self, Admit};
use crate::{socket, tcp};

/// The byte that a server sends on the control stream when it has let a link in.
pub(crate) const GREETING: u8 = 1;

/// Links let in and not yet taken by [`Server::accept`].
pub(crate) const BACKLOG: usize = 64;

/// Bytes buffered for handshakes that have not begun, over all of them.
const INCOMING_BUFFER_BYTES: u64 = 16 << 20;

/// Whom a server lets in.
#[derive(Clone)]
pub enum Accept {
    /// Everyone who proves an identity; the caller looks at [`Link::remote_identity`].
    AnyIdentity,
    /// Those who prove an identity for which this returns true. Asked once, in the handshake: when
    /// the list changes, closing the links of those who left it is up to the caller.
    Listed(Arc<dyn Fn(&PeerIdentity) -> bool + Send + Sync>),
    /// Clients without an identity, and no others.
    Anonymous,
}

impl fmt::Debug for Accept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AnyIdentity => "AnyIdentity",
            Self::Listed(_) => "Listed",
            Self::Anonymous => "Anonymous",
        })
    }
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be used.
    #[error("cannot listen on {addr}: {source}: is another process there, is the address ours?")]
    Socket {
        /// The address asked for.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS library does not offer what links need.
    #[error("cannot set up TLS 1.3 with X25519MLKEM768: {0}")]
    Tls(#[from] rustls::Error),
    /// The TLS library lacks QUIC's first cipher suite.
    #[error("cannot set up TLS 1.3 for QUIC: {0}")]
    Suite(#[from] NoInitialCipherSuite),
}

/// A listening endpoint. Dropping it refuses new links and leaves those that exist.
pub struct Server {
    listening: Listening,
    links: mpsc::Receiver<Link>,
    state: Arc<State>,
    acceptor: JoinHandle<()>,
}

/// What a server listens with.
enum Listening {
    Quic(quinn::Endpoint),
    Tcp(SocketAddr),
}

/// What handshakes share.
struct State {
    /// Connections over TCP, and those that are gone since the last new one; `None` once the server
    /// is shut down. QUIC's endpoint knows its own.
    tcp: Mutex<Option<Vec<tcp::WeakConnection>>>,
    door: Arc<Door>,
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
            Accept::Listed(listed) => Some(listed),
            Accept::Anonymous => None,
        };
        let mut tls = tls::server_config(identity, admit)?;
        tls.alpn_protocols = vec![limits.port.alpn().to_vec()];
        let transport = limits.transport;
        // A TCP connection takes a descriptor, and nobody has proven anything before the handshake.
        let most = match transport {
            Transport::Quic => limits.max_handshakes,
            Transport::Tcp => {
                let quarter = usize::try_from(socket::most_open() / 4).unwrap_or(usize::MAX);
                limits.max_handshakes.min(quarter)
            }
        };
        let door = Door::new(Limits { max_handshakes: most, ..limits });
        let state = Arc::new(State { tcp: Mutex::new(Some(Vec::new())), door });
        let (sender, links) = mpsc::channel(BACKLOG);
        let socket = |source| BindError::Socket { addr, source };
        let (listening, acceptor) = match transport {
            Transport::Quic => {
                let limits = state.door.limits();
                let tls = QuicServerConfig::try_from(tls)?;
                let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
                config
                    .transport_config(limits.quic(limits.further_streams()))
                    .max_incoming(limits.max_handshakes.max(1))
                    .incoming_buffer_size_total(INCOMING_BUFFER_BYTES);
                let endpoint =
                    socket::quic(addr, lasting(identity), Some(config)).map_err(socket)?;
                let accepting = accept_links(endpoint.clone(), Arc::clone(&state), sender);
                (Listening::Quic(endpoint), tokio::spawn(accepting))
            }
            Transport::Tcp => {
                let listener = socket::listen(addr).map_err(socket)?;
                let local = listener.local_addr().map_err(socket)?;
                let accepting = over_tcp::accept(listener, tls, Arc::clone(&state), sender);
                (Listening::Tcp(local), tokio::spawn(accepting))
            }
        };
        Ok(Self { listening, links, state, acceptor })
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
        match &self.listening {
            Listening::Quic(endpoint) => endpoint.local_addr(),
            Listening::Tcp(addr) => Ok(*addr),
        }
    }

    /// Counts for metrics.
    pub fn stats(&self) -> ServerStats {
        self.endpoint().stats()
    }

    /// A handle for those who do not accept links.
    pub fn endpoint(&self) -> Endpoint {
        Endpoint::new(Arc::clone(&self.state.door))
    }

    /// From now on, takes frames of up to `bytes` from everybody whose link has no limit of its own.
    pub fn accept_up_to(&self, bytes: usize) {
        self.endpoint().accept_up_to(bytes);
    }

    /// Closes every link of this server and waits until the other sides have been told.
    pub async fn shut_down(&self) {
        let reason = CloseReason::ShuttingDown;
        match &self.listening {
            Listening::Quic(endpoint) => {
                endpoint.close(reason.code(), reason.text().as_bytes());
                endpoint.wait_idle().await;
            }
            Listening::Tcp(_) => {
                self.acceptor.abort();
                over_tcp::close(&self.state, reason).await;
            }
        }
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
        if let Listening::Quic(endpoint) = &self.listening {
            endpoint.set_server_config(None);
        }
    }
}

/// How connections are told apart and reset, the same in every process that has this identity: whoever is linked to a process that is gone learns it from the first packet that the next
/// one gets.
fn lasting(identity: &Identity) -> EndpointConfig {
    let reset = identity.derive("antiphon 2 stateless resets");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &reset)));
    let ids = identity.derive("antiphon 2 connection identifiers");
    let key = ids.iter().take(8).fold(0, |key, byte| key << 8 | u64::from(*byte));
    config.cid_generator(move || Box::new(HashedConnectionIdGenerator::from_key(key)));
    config
}

async fn accept_links(endpoint: quinn::Endpoint, state: Arc<State>, links: mpsc::Sender<Link>) {
    while let Some(incoming) = endpoint.accept().await {
        let ip = incoming.remote_address().ip();
        let door = &state.door;
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
        let (state, links) = (Arc::clone(&state), links.clone());
        tokio::spawn(async move {
            let handshake = handshake(incoming, &state, permit);
            let handshaken = state.door.unless_pushed_out(slot, handshake, &links).await;
            let Some((conn, connected)) = handshaken else { return };
            if state.door.limits().links_per_connection > 1 {
                tokio::spawn(further_links(conn, connected, state, links));
            }
        });
    }
}

async fn handshake(
    incoming: quinn::Incoming,
    state: &State,
    permit: Permit,
) -> Option<((Connection, Connected), Link)> {
    let establish = async {
        let conn: Connection = incoming.accept()?.await?;
        let (mut send, recv) = conn.open_bi().await?;
        send.write_all(&[GREETING]).await.map_err(|_| ConnectionError::LocallyClosed)?;
        Ok::<_, ConnectionError>((conn, (Sending::quic(send), Receiving::quic(recv))))
    };
    let (conn, control) =
        timeout(state.door.limits().handshake_timeout, establish).await.ok()?.ok()?;
    let connected = state.connected(Carrier::Quic(conn.clone()));
    let link = Link::first(&connected, control, Some(permit));
    Some(((conn, connected), link))
}

impl State {
    fn connected(&self, carrier: Carrier) -> Connected {
        Connected::new(carrier, self.door.limits().max_frame_bytes, self.door.rules())
    }
}

/// Lets in links that a client opens over a connection that it has, until that is gone.
async fn further_links(
    conn: Connection,
    connected: Connected,
    state: Arc<State>,
    links: mpsc::Sender<Link>,
) {
    while let Ok((mut send, mut recv)) = conn.accept_bi().await {
        let door = &state.door;
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
        let control = (Sending::quic(send), Receiving::quic(recv));
        let link = Link::further(&connected, control, Some(permit));
        if links.send(link).await.is_err() {
            return;
        }
    }
}
