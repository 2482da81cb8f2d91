//! The side that opens links over QUIC.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, ReadExactError, RecvStream};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::close::{CloseReason, LinkLost};
use crate::dial_error::DialError;
use crate::dial_first::dial_first;
use crate::identity::{Identity, PeerIdentity};
use crate::limits::Limits;
use crate::quic::link::{ByteCounter, Connected, Link};
use crate::quic::server::GREETING;
use crate::quic::stream::{Receiving, Sending};
use crate::rules::Rules;
use crate::tls::SERVER_NAME;
use crate::{socket, tls};

/// Opens links. One UDP socket per address family serves all of them.
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
        Ok(self.establish(addr, expected.into()).await?.1)
    }

    /// Opens a connection for several links to the process at `addr` that proves to be
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
        let config = self.config(expected, Arc::clone(&presented)).map_err(set_up)?;
        let connecting = self
            .endpoint(addr)?
            .connect_with(config, addr, SERVER_NAME)
            .map_err(|error| set_up(error.to_string()))?;

        let establish = async {
            let conn = connecting.await?;
            let (send, mut recv) = conn.accept_bi().await?;
            greeted(&mut recv).await?;
            Ok((conn, (Sending::new(send), Receiving::new(recv))))
        };
        let failed = |error: ConnectionError| {
            let others = presented.get().filter(|presented| **presented != expected);
            if let Some(&presented) = others {
                return DialError::WrongIdentity { addr, presented, expected };
            }
            failure(addr, error)
        };
        match timeout(self.limits.handshake_timeout, establish).await {
            Ok(Ok((conn, control))) => {
                let rules = Rules::dialled(&self.limits);
                let connected = Connected::new(conn.clone(), self.limits.max_frame_bytes, rules);
                Ok((conn, Link::new(&connected, control, None)))
            }
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(DialError::TimedOut { addr }),
        }
    }

    /// A configuration for one dial; if there is none, the reason.
    fn config(
        &self,
        expected: PeerIdentity,
        presented: Arc<OnceLock<PeerIdentity>>,
    ) -> Result<quinn::ClientConfig, String> {
        let identity = self.identity.as_ref();
        let mut tls = tls::client_config(tls::provider(), identity, expected, presented)
            .map_err(|error| error.to_string())?;
        tls.alpn_protocols = vec![self.limits.port.alpn().to_vec()];
        let tls = QuicClientConfig::try_from(tls).map_err(|error| error.to_string())?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        // One stream that the server opens: its greeting comes over it.
        config.transport_config(self.limits.quic(1));
        Ok(config)
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

    /// Like [`Dialer::dial`], for a process with several addresses, which are tried as those of a host.
    ///
    /// # Errors
    ///
    /// See [`DialError`]; [`DialError::Host`] if there are several addresses and none works.
    pub async fn dial_first(
        &self,
        addresses: &[SocketAddr],
        expected: impl Into<PeerIdentity>,
    ) -> Result<Link, DialError> {
        self.dial_any("the server", addresses.iter().copied(), expected.into()).await
    }

    /// Dials one address after the other until one works.
    pub(crate) async fn dial_any(
        &self,
        host: &str,
        addresses: impl Iterator<Item = SocketAddr>,
        expected: PeerIdentity,
    ) -> Result<Link, DialError> {
        dial_first(host, addresses, |addr| self.dial(addr, expected)).await
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
            Ok::<_, ConnectionError>((Sending::new(send), Receiving::new(recv)))
        };
        let refused = |reason: String| DialError::Refused { addr, reason };
        match timeout(self.timeout, open).await {
            Ok(Ok(control)) => Ok(Link::new(&self.connected, control, None)),
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
        ByteCounter(self.conn.clone()).read()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("remote", &self.connected.identity)
            .finish_non_exhaustive()
    }
}

/// The error of a dial that led to the expected server, or to none.
fn failure(addr: SocketAddr, error: ConnectionError) -> DialError {
    match error {
        ConnectionError::TimedOut => DialError::TimedOut { addr },
        ConnectionError::ApplicationClosed(_)
        | ConnectionError::ConnectionClosed(_)
        | ConnectionError::Reset => {
            DialError::Refused { addr, reason: LinkLost::from(error).to_string() }
        }
        error => DialError::SetUp { addr, reason: error.to_string() },
    }
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
