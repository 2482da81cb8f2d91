//! The listening side.

mod admission;
mod over_tcp;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use quinn::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn::{Connection, ConnectionError, Endpoint};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::carrier::{Carrier, Receiving, Sending};
use crate::close::CloseReason;
use crate::identity::{Identity, PeerIdentity};
use crate::limits::{Limits, Transport};
use crate::link::{Connected, Link};
use crate::tls::{self, Admit};
use crate::{socket, tcp};

use admission::Admission;
pub(crate) use admission::Permit;

/// The byte that a server sends on the control stream when it has let a link in.
pub(crate) const GREETING: u8 = 1;

/// Links let in and not yet taken by [`Server::accept`].
const BACKLOG: usize = 64;

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

/// Counts since a server started, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerStats {
    /// Links held at the moment.
    pub links: usize,
    /// Links let in.
    pub accepted: u64,
    /// Attempts turned away for want of room.
    pub refused: u64,
    /// Handshakes that failed or took too long.
    pub failed: u64,
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
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
    Quic(Endpoint),
    Tcp(SocketAddr),
}

/// What handshakes share.
struct State {
    /// Connections over TCP, and those that are gone since the last new one; `None` once the server
    /// is shut down. QUIC's endpoint knows its own.
    tcp: Mutex<Option<Vec<tcp::WeakConnection>>>,
    limits: Limits,
    admission: Arc<Admission>,
    handshakes: Arc<Semaphore>,
    counters: Counters,
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
        let tls = tls::server_config(identity, admit)?;
        let transport = limits.transport;
        let state = Arc::new(State {
            tcp: Mutex::new(Some(Vec::new())),
            admission: Admission::new(limits.max_links, limits.max_links_per_ip),
            handshakes: Arc::new(Semaphore::new(limits.max_handshakes)),
            counters: Counters::default(),
            limits,
        });
        let (sender, links) = mpsc::channel(BACKLOG);
        let socket = |source| BindError::Socket { addr, source };
        let (listening, acceptor) = match transport {
            Transport::Quic => {
                let limits = &state.limits;
                let tls = QuicServerConfig::try_from(tls)?;
                let mut config = quinn::ServerConfig::with_crypto(Arc::new(tls));
                config
                    .transport_config(limits.quic(limits.further_streams()))
                    .max_incoming(limits.max_handshakes.max(1))
                    .incoming_buffer_size_total(INCOMING_BUFFER_BYTES);
                let endpoint = socket::quic(addr, Some(config)).map_err(socket)?;
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
        let counters = &self.state.counters;
        ServerStats {
            links: self.state.admission.links(),
            accepted: counters.accepted.load(Ordering::Relaxed),
            refused: counters.refused.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
        }
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

async fn accept_links(endpoint: Endpoint, state: Arc<State>, links: mpsc::Sender<Link>) {
    while let Some(incoming) = endpoint.accept().await {
        let ip = incoming.remote_address().ip();
        let in_progress = state.limits.max_handshakes - state.handshakes.available_permits();
        // A forged source address must not use up its owner's share of links.
        let busy = in_progress >= state.limits.retry_above || state.admission.is_half_used(ip);
        if busy && !incoming.remote_address_validated() && incoming.may_retry() {
            // Fails only without `may_retry`.
            let _ = incoming.retry();
            continue;
        }
        let slot = Arc::clone(&state.handshakes).try_acquire_owned().ok();
        let (Some(slot), Some(permit)) = (slot, state.admission.admit(ip)) else {
            state.counters.refused.fetch_add(1, Ordering::Relaxed);
            incoming.refuse();
            continue;
        };
        let (state, links) = (Arc::clone(&state), links.clone());
        tokio::spawn(async move {
            // Held until the link is taken: a caller that accepts slowly slows handshakes down.
            let _slot = slot;
            let Some((conn, link)) = handshake(incoming, &state, permit).await else {
                state.counters.failed.fetch_add(1, Ordering::Relaxed);
                return;
            };
            state.counters.accepted.fetch_add(1, Ordering::Relaxed);
            if state.limits.links_per_connection > 1 {
                let connected = link.connected().clone();
                tokio::spawn(further_links(conn, connected, state, links.clone()));
            }
            // Fails only when the server is gone, and the link with it.
            let _ = links.send(link).await;
        });
    }
}

async fn handshake(
    incoming: quinn::Incoming,
    state: &State,
    permit: Permit,
) -> Option<(Connection, Link)> {
    let establish = async {
        let conn: Connection = incoming.accept()?.await?;
        let (mut send, recv) = conn.open_bi().await?;
        send.write_all(&[GREETING]).await.map_err(|_| ConnectionError::LocallyClosed)?;
        Ok::<_, ConnectionError>((conn, (Sending::quic(send), Receiving::quic(recv))))
    };
    let (conn, control) = timeout(state.limits.handshake_timeout, establish).await.ok()?.ok()?;
    let connected = Connected::new(Carrier::Quic(conn.clone()), state.limits.max_frame_bytes);
    Some((conn, Link::first(&connected, control, Some(permit))))
}

/// Lets in links that a client opens over a connection that it has, until that is gone.
async fn further_links(
    conn: Connection,
    connected: Connected,
    state: Arc<State>,
    links: mpsc::Sender<Link>,
) {
    while let Ok((mut send, mut recv)) = conn.accept_bi().await {
        let most = usize::try_from(state.limits.links_per_connection).unwrap_or(usize::MAX);
        let room = connected.links() < most;
        let Some(permit) =
            room.then(|| state.admission.admit(conn.remote_address().ip())).flatten()
        else {
            state.counters.refused.fetch_add(1, Ordering::Relaxed);
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
        if timeout(state.limits.handshake_timeout, greet).await.ok().flatten().is_none() {
            state.counters.failed.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        state.counters.accepted.fetch_add(1, Ordering::Relaxed);
        let control = (Sending::quic(send), Receiving::quic(recv));
        let link = Link::further(&connected, control, Some(permit));
        if links.send(link).await.is_err() {
            return;
        }
    }
}
