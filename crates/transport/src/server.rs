//! The listening side.

mod admission;
mod half_open;
mod over_tcp;

use std::collections::HashSet;
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::hmac;
use quinn::crypto::rustls::{NoInitialCipherSuite, QuicServerConfig};
use quinn::{Connection, ConnectionError, EndpointConfig};
use quinn_proto::HashedConnectionIdGenerator;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::carrier::{Carrier, Receiving, Sending};
use crate::close::CloseReason;
use crate::identity::{Identity, PeerIdentity};
use crate::limits::{Limits, Transport};
use crate::link::{Connected, Link};
use crate::rules::Rules;
use crate::tls::{self, Admit};
use crate::{socket, tcp};

use admission::Admission;
pub(crate) use admission::Permit;
use admission::Refusal;
use half_open::{HalfOpen, Slot};

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
    /// Handshakes in progress.
    pub half_open: usize,
    /// Links let in.
    pub accepted: u64,
    /// Attempts turned away since there were as many links as there may be.
    pub refused_full: u64,
    /// Attempts turned away since their source had its share.
    pub refused_share: u64,
    /// Attempts turned away since they came too fast from one source.
    pub refused_pace: u64,
    /// Handshakes that failed or took too long.
    pub failed: u64,
    /// Handshakes that were given up for later ones.
    pub pushed_out: u64,
}

impl ServerStats {
    /// Attempts turned away, for whatever reason.
    pub const fn refused(&self) -> u64 {
        self.refused_full + self.refused_share + self.refused_pace
    }
}

#[derive(Default)]
struct Counters {
    accepted: AtomicU64,
    full: AtomicU64,
    share: AtomicU64,
    pace: AtomicU64,
    failed: AtomicU64,
}

impl Counters {
    fn refused(&self, why: Refusal) {
        let counter = match why {
            Refusal::Full => &self.full,
            Refusal::Share => &self.share,
            Refusal::Pace => &self.pace,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
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
    limits: Limits,
    admission: Arc<Admission>,
    half_open: Arc<HalfOpen>,
    rules: Rules,
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
        let state = Arc::new(State {
            tcp: Mutex::new(Some(Vec::new())),
            admission: Admission::new(&limits),
            half_open: HalfOpen::new(most),
            rules: Rules::of_endpoint(&limits),
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
        Endpoint(Arc::clone(&self.state))
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

/// What may be asked of a [`Server`], and changed, from elsewhere.
#[derive(Clone)]
pub struct Endpoint(Arc<State>);

impl Endpoint {
    /// Counts for metrics.
    pub fn stats(&self) -> ServerStats {
        let State { counters, admission, half_open, .. } = &*self.0;
        let (half_open, pushed_out) = half_open.counts();
        ServerStats {
            links: admission.links(),
            half_open,
            accepted: counters.accepted.load(Ordering::Relaxed),
            refused_full: counters.full.load(Ordering::Relaxed),
            refused_share: counters.share.load(Ordering::Relaxed),
            refused_pace: counters.pace.load(Ordering::Relaxed),
            failed: counters.failed.load(Ordering::Relaxed),
            pushed_out,
        }
    }

    /// See [`Server::accept_up_to`].
    pub fn accept_up_to(&self, bytes: usize) {
        self.0.rules.set_max(bytes);
    }

    /// Keeps places for these addresses, whoever else wants in, and for no others.
    pub fn reserve(&self, addresses: HashSet<IpAddr>) {
        let addresses = addresses.into_iter().map(|ip| ip.to_canonical()).collect();
        self.0.admission.reserve(|reserved| *reserved = addresses);
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("stats", &self.stats()).finish()
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
        let State { admission, half_open, .. } = &*state;
        // A forged source address must not use up its owner's share of anything.
        let doubtful =
            half_open.counts().0 >= state.limits.retry_above || admission.is_doubtful(ip);
        if doubtful && !incoming.remote_address_validated() && incoming.may_retry() {
            // Fails only without `may_retry`.
            let _ = incoming.retry();
            continue;
        }
        let permit = match admission.admit(ip, Instant::now()) {
            Ok(permit) => permit,
            Err(why) => {
                state.counters.refused(why);
                incoming.refuse();
                continue;
            }
        };
        let Some(slot) = half_open.begin(ip, admission.is_trusted(ip), Instant::now()) else {
            incoming.refuse();
            continue;
        };
        let (state, links) = (Arc::clone(&state), links.clone());
        tokio::spawn(async move {
            let handshake = handshake(incoming, &state, permit);
            let Some((conn, link)) = unless_pushed_out(slot, &state, handshake, &links).await
            else {
                return;
            };
            if state.limits.links_per_connection > 1 {
                tokio::spawn(further_links(conn, link, state, links));
            }
        });
    }
}

/// Carries out a handshake and hands the link over, unless later handshakes need its place. A place is
/// held until the link is taken: a caller that accepts slowly slows handshakes down. Gives what the
/// handshake gave besides.
async fn unless_pushed_out<T>(
    mut slot: Slot,
    state: &State,
    handshake: impl Future<Output = Option<(T, Link)>>,
    links: &mpsc::Sender<Link>,
) -> Option<(T, Connected)> {
    let established = async {
        let Some((rest, link)) = handshake.await else {
            state.counters.failed.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        let connected = link.connected().clone();
        // Fails only when the server is gone, and the link with it.
        links.send(link).await.ok()?;
        state.counters.accepted.fetch_add(1, Ordering::Relaxed);
        Some((rest, connected))
    };
    tokio::select! {
        biased;
        established = established => established,
        () = slot.pushed_out() => None,
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
    let connected = state.connected(Carrier::Quic(conn.clone()));
    Some((conn, Link::first(&connected, control, Some(permit))))
}

impl State {
    fn connected(&self, carrier: Carrier) -> Connected {
        Connected::new(carrier, self.limits.max_frame_bytes, self.rules.clone())
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
        let most = usize::try_from(state.limits.links_per_connection).unwrap_or(usize::MAX);
        let room = connected.links() < most;
        let ip = conn.remote_address().ip();
        let admitted =
            if room { state.admission.admit(ip, Instant::now()) } else { Err(Refusal::Share) };
        let Ok(permit) = admitted.inspect_err(|why| state.counters.refused(*why)) else {
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
