//! The connecting side.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::Poll;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, ReadExactError, RecvStream};
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{sleep, timeout};

use crate::carrier::{Carrier, Receiving, Sending};
use crate::close::{CloseReason, LinkLost};
use crate::identity::{Identity, PeerIdentity};
use crate::limits::{Limits, Transport};
use crate::link::{Connected, Link};
use crate::rules::Rules;
use crate::server::GREETING;
use crate::tcp::{self, EstablishError};
use crate::{socket, tls};

/// QUIC wants a server name; links know servers by their keys, and it is not sent.
pub(crate) const SERVER_NAME: &str = "antiphon";

/// How long the first address of a host is tried before the next is tried beside it.
const HEAD_START: Duration = Duration::from_millis(250);

/// Why a link could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("cannot find the address of {host}: {source}")]
    Lookup {
        /// The host and port asked for.
        host: String,
        /// What the system said.
        source: io::Error,
    },
    /// No socket to dial from.
    #[error("cannot open a socket to dial {addr}: {source}")]
    Socket {
        /// The address dialled.
        addr: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else is there.
    #[error(
        "the server at {addr} presented identity {presented}, expected {expected}: \
         is the roster up to date?"
    )]
    WrongIdentity {
        /// The address dialled.
        addr: SocketAddr,
        /// Who is there.
        presented: PeerIdentity,
        /// Who was expected.
        expected: PeerIdentity,
    },
    /// Nobody answers.
    #[error("the server at {addr} does not answer: is it running, and can it be reached?")]
    TimedOut {
        /// The address dialled.
        addr: SocketAddr,
    },
    /// None of the addresses of a host works.
    #[error("no address of {host} works: {}", list(failures))]
    Host {
        /// The host and port asked for.
        host: String,
        /// What was wrong with each of its addresses.
        failures: Vec<DialError>,
    },
    /// The server does not want this link.
    #[error(
        "the server at {addr} refused the link ({reason}): does it list this identity, \
         is this the right port, has it room?"
    )]
    Refused {
        /// The address dialled.
        addr: SocketAddr,
        /// What it said.
        reason: String,
    },
    /// The address or the TLS set-up is unusable.
    #[error("cannot set up a link to {addr}: {reason}")]
    SetUp {
        /// The address dialled.
        addr: SocketAddr,
        /// What is wrong with it.
        reason: String,
    },
}

/// Opens links. Over QUIC, one UDP socket per address family serves all of them.
pub struct Dialer {
    identity: Option<Identity>,
    limits: Limits,
    v4: Mutex<Option<Endpoint>>,
    v6: Mutex<Option<Endpoint>>,
}

impl Dialer {
    /// A dialer that presents `identity`, or stays anonymous. Opens no socket before the first dial.
    pub fn new(identity: Option<&Identity>, limits: Limits) -> Self {
        Self { identity: identity.cloned(), limits, v4: Mutex::default(), v6: Mutex::default() }
    }

    /// Opens a link to the process at `addr` that proves to be `expected`, and waits until it has
    /// let us in.
    ///
    /// # Errors
    ///
    /// See [`DialError`].
    pub async fn dial(
        &self,
        addr: SocketAddr,
        expected: impl Into<PeerIdentity>,
    ) -> Result<Link, DialError> {
        match self.limits.transport {
            Transport::Quic => Ok(self.establish(addr, expected.into()).await?.1),
            Transport::Tcp => self.establish_tcp(addr, expected.into()).await,
        }
    }

    /// Opens a QUIC connection for several links to the process at `addr` that proves to be
    /// `expected`, and waits until it has let the first of them in.
    ///
    /// # Errors
    ///
    /// See [`DialError`].
    pub async fn connect(
        &self,
        addr: SocketAddr,
        expected: impl Into<PeerIdentity>,
    ) -> Result<Connection, DialError> {
        let (conn, first) = self.establish(addr, expected.into()).await?;
        let connected = first.connected().clone();
        let timeout = self.limits.handshake_timeout;
        Ok(Connection { conn, connected, first: Mutex::new(Some(first)), timeout })
    }

    async fn establish(
        &self,
        addr: SocketAddr,
        expected: PeerIdentity,
    ) -> Result<(quinn::Connection, Link), DialError> {
        let presented = Arc::new(OnceLock::new());
        let set_up = |reason: String| DialError::SetUp { addr, reason };
        let mut tls = tls::client_config(
            tls::provider(),
            self.identity.as_ref(),
            expected,
            Arc::clone(&presented),
        )
        .map_err(|error| set_up(error.to_string()))?;
        tls.alpn_protocols = vec![self.limits.port.alpn().to_vec()];
        let tls = QuicClientConfig::try_from(tls).map_err(|error| set_up(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(self.limits.quic(1));
        let connecting = self
            .endpoint(addr)?
            .connect_with(config, addr, SERVER_NAME)
            .map_err(|error| set_up(error.to_string()))?;

        let establish = async {
            let conn = connecting.await?;
            let (send, mut recv) = conn.accept_bi().await?;
            greeted(&mut recv).await?;
            Ok((conn, (Sending::quic(send), Receiving::quic(recv))))
        };
        let failed = |error: ConnectionError| {
            let others = presented.get().filter(|presented| **presented != expected);
            if let Some(&presented) = others {
                return DialError::WrongIdentity { addr, presented, expected };
            }
            match error {
                ConnectionError::TimedOut => DialError::TimedOut { addr },
                ConnectionError::ApplicationClosed(_)
                | ConnectionError::ConnectionClosed(_)
                | ConnectionError::Reset => {
                    DialError::Refused { addr, reason: LinkLost::from(error).to_string() }
                }
                error => set_up(error.to_string()),
            }
        };
        match timeout(self.limits.handshake_timeout, establish).await {
            Ok(Ok((conn, control))) => {
                let carrier = Carrier::Quic(conn.clone());
                let rules = Rules::dialled(&self.limits);
                let connected = Connected::new(carrier, self.limits.max_frame_bytes, rules);
                Ok((conn, Link::first(&connected, control, None)))
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(DialError::TimedOut { addr }),
        }
    }

    async fn establish_tcp(
        &self,
        addr: SocketAddr,
        expected: PeerIdentity,
    ) -> Result<Link, DialError> {
        let presented = Arc::new(OnceLock::new());
        let set_up = |error: rustls::Error| DialError::SetUp { addr, reason: error.to_string() };
        let mut tls = tls::client_config(
            tls::provider(),
            self.identity.as_ref(),
            expected,
            Arc::clone(&presented),
        )
        .map_err(set_up)?;
        tls.alpn_protocols = vec![self.limits.port.alpn().to_vec()];
        // The name is fit to be one.
        let name = ServerName::try_from(SERVER_NAME)
            .map_err(|error| DialError::SetUp { addr, reason: error.to_string() })?;
        let tls = rustls::ClientConnection::new(Arc::new(tls), name).map_err(set_up)?;
        let establish = async {
            let tcp = TcpStream::connect(addr).await?;
            tcp::establish(tcp, tls.into(), &self.limits).await
        };
        match timeout(self.limits.handshake_timeout, establish).await {
            Ok(Ok(conn)) => {
                let control = conn.control();
                let control = (Sending::Tcp(control.0), Receiving::Tcp(control.1));
                let rules = Rules::dialled(&self.limits);
                let carrier = Carrier::Tcp(conn);
                let connected = Connected::new(carrier, self.limits.max_frame_bytes, rules);
                Ok(Link::first(&connected, control, None))
            }
            Ok(Err(error)) => {
                let others = presented.get().filter(|presented| **presented != expected);
                Err(match (others, error) {
                    (Some(&presented), _) => DialError::WrongIdentity { addr, presented, expected },
                    (None, EstablishError::Tls(error))
                        if !matches!(error, rustls::Error::AlertReceived(_)) =>
                    {
                        set_up(error)
                    }
                    (None, error) => DialError::Refused { addr, reason: error.to_string() },
                })
            }
            Err(_) => Err(DialError::TimedOut { addr }),
        }
    }

    /// Like [`Dialer::dial`], for a `host:port`. Tries the host's addresses one after the other, each
    /// as soon as the one before has failed or has taken a quarter of a second, and takes the first
    /// that works.
    ///
    /// # Errors
    ///
    /// See [`DialError`]; [`DialError::Host`] if there are several addresses and none works.
    pub async fn dial_host(
        &self,
        host: &str,
        expected: impl Into<PeerIdentity>,
    ) -> Result<Link, DialError> {
        let expected = expected.into();
        let not_found = |source| DialError::Lookup { host: host.to_owned(), source };
        let addresses = lookup_host(host).await.map_err(not_found)?;
        self.dial_any(host, addresses, expected).await
    }

    /// Dials one address after the other until one works.
    pub(crate) async fn dial_any(
        &self,
        host: &str,
        mut addresses: impl Iterator<Item = SocketAddr>,
        expected: PeerIdentity,
    ) -> Result<Link, DialError> {
        let mut attempts = Vec::new();
        let mut failures = Vec::new();
        loop {
            let next = addresses.next();
            let last = next.is_none();
            attempts.extend(next.map(|addr| Box::pin(self.dial(addr, expected))));
            if attempts.is_empty() {
                break;
            }
            tokio::select! {
                ended = first(&mut attempts) => match ended {
                    Ok(link) => return Ok(link),
                    Err(error) => failures.push(error),
                },
                () = sleep(HEAD_START), if !last => {}
            }
        }
        Err(match (failures.pop(), failures.is_empty()) {
            (None, _) => {
                DialError::Lookup { host: host.to_owned(), source: io::ErrorKind::NotFound.into() }
            }
            (Some(only), true) => only,
            (Some(last), false) => {
                failures.push(last);
                DialError::Host { host: host.to_owned(), failures }
            }
        })
    }

    fn endpoint(&self, addr: SocketAddr) -> Result<Endpoint, DialError> {
        let (slot, local) = if addr.is_ipv4() {
            (&self.v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)))
        } else {
            (&self.v6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)))
        };
        // Nothing panics while holding it.
        let mut slot = slot.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = &*slot {
            return Ok(endpoint.clone());
        }
        let endpoint = socket::quic(local, quinn::EndpointConfig::default(), None)
            .map_err(|source| DialError::Socket { addr, source })?;
        *slot = Some(endpoint.clone());
        Ok(endpoint)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// A connection that carries several links, as far as the server allows. Its end is the end of its
/// last link.
pub struct Connection {
    conn: quinn::Connection,
    connected: Connected,
    /// The link that the connection came with.
    first: Mutex<Option<Link>>,
    timeout: Duration,
}

impl Connection {
    /// Another link over this connection; waits until the server has let it in.
    ///
    /// # Errors
    ///
    /// [`DialError::Refused`] if the server allows no more, or the connection is gone.
    pub async fn open_link(&self) -> Result<Link, DialError> {
        // Nothing panics while holding it.
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(link) = first {
            return Ok(link);
        }
        let addr = self.conn.remote_address();
        let open = async {
            let (mut send, mut recv) = self.conn.open_bi().await?;
            // The server learns of the stream by this. If it fails, so does reading.
            let _ = send.write_all(&[GREETING]).await;
            greeted(&mut recv).await?;
            Ok::<_, ConnectionError>((Sending::quic(send), Receiving::quic(recv)))
        };
        let refused = |reason: String| DialError::Refused { addr, reason };
        match timeout(self.timeout, open).await {
            Ok(Ok(control)) => Ok(Link::further(&self.connected, control, None)),
            Ok(Err(ConnectionError::VersionMismatch)) => {
                Err(refused(CloseReason::Overloaded.text().to_owned()))
            }
            Ok(Err(lost)) => Err(refused(LinkLost::from(lost).to_string())),
            Err(_) => Err(refused("it takes no more links on one connection".to_owned())),
        }
    }

    /// Bytes of UDP payload that this connection has sent and received so far, with all that QUIC adds
    /// and sends again. Still there when the connection is gone.
    pub fn wire_bytes(&self) -> (u64, u64) {
        let stats = self.conn.stats();
        (stats.udp_tx.bytes, stats.udp_rx.bytes)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("remote", &self.connected.identity)
            .finish_non_exhaustive()
    }
}

/// The first of several futures to end, which is taken out.
async fn first<F: Future + Unpin>(futures: &mut Vec<F>) -> F::Output {
    poll_fn(|cx| {
        for at in 0..futures.len() {
            if let Poll::Ready(output) = Pin::new(&mut futures[at]).poll(cx) {
                drop(futures.swap_remove(at));
                return Poll::Ready(output);
            }
        }
        Poll::Pending
    })
    .await
}

fn list(failures: &[DialError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Reads the server's greeting off a control stream; `VersionMismatch` if there is none.
async fn greeted(recv: &mut RecvStream) -> Result<(), ConnectionError> {
    let mut greeting = [0];
    match recv.read_exact(&mut greeting).await {
        Ok(()) if greeting == [GREETING] => Ok(()),
        Err(ReadExactError::ReadError(quinn::ReadError::ConnectionLost(lost))) => Err(lost),
        _ => Err(ConnectionError::VersionMismatch),
    }
}
