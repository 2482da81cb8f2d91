//! The connecting side.

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ConnectionError, Endpoint, ReadExactError, RecvStream, SendStream};
use tokio::net::lookup_host;
use tokio::time::timeout;

use crate::close::LinkLost;
use crate::identity::{Identity, PeerIdentity};
use crate::limits::Limits;
use crate::link::Link;
use crate::server::GREETING;
use crate::tls;

/// QUIC wants a server name; links know servers by their keys, and it is not sent.
const SERVER_NAME: &str = "antiphon";

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
    #[error("cannot open a UDP socket to dial {addr}: {source}")]
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
    #[error("the server at {addr} does not answer: is it running, and does UDP get through?")]
    TimedOut {
        /// The address dialled.
        addr: SocketAddr,
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
        let expected = expected.into();
        let presented = Arc::new(OnceLock::new());
        let set_up = |reason: String| DialError::SetUp { addr, reason };
        let tls = tls::client_config(
            tls::provider(),
            self.identity.as_ref(),
            expected,
            Arc::clone(&presented),
        )
        .map_err(|error| set_up(error.to_string()))?;
        let tls = QuicClientConfig::try_from(tls).map_err(|error| set_up(error.to_string()))?;
        let mut config = quinn::ClientConfig::new(Arc::new(tls));
        config.transport_config(self.limits.transport(1));
        let connecting = self
            .endpoint(addr)?
            .connect_with(config, addr, SERVER_NAME)
            .map_err(|error| set_up(error.to_string()))?;

        let establish = async {
            let conn = connecting.await?;
            let control = greeted(conn.accept_bi().await?).await?;
            Ok((conn, control))
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
            Ok(Ok((conn, control))) => Ok(Link::new(conn, control, &self.limits, None)),
            Ok(Err(error)) => Err(failed(error)),
            Err(_) => Err(DialError::TimedOut { addr }),
        }
    }

    /// Like [`Dialer::dial`], for a `host:port`. Tries the host's addresses in turn.
    ///
    /// # Errors
    ///
    /// See [`DialError`]; that of the last address if none works.
    pub async fn dial_host(
        &self,
        host: &str,
        expected: impl Into<PeerIdentity>,
    ) -> Result<Link, DialError> {
        let expected = expected.into();
        let not_found = |source| DialError::Lookup { host: host.to_owned(), source };
        let mut failure = not_found(io::ErrorKind::NotFound.into());
        for addr in lookup_host(host).await.map_err(not_found)? {
            match self.dial(addr, expected).await {
                Ok(link) => return Ok(link),
                Err(error) => failure = error,
            }
        }
        Err(failure)
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
        let endpoint =
            Endpoint::client(local).map_err(|source| DialError::Socket { addr, source })?;
        *slot = Some(endpoint.clone());
        Ok(endpoint)
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("identity", &self.identity).finish_non_exhaustive()
    }
}

/// The control stream, once the server's greeting is read off it.
async fn greeted(
    (send, mut recv): (SendStream, RecvStream),
) -> Result<(SendStream, RecvStream), ConnectionError> {
    let mut greeting = [0];
    match recv.read_exact(&mut greeting).await {
        Ok(()) if greeting == [GREETING] => Ok((send, recv)),
        Err(ReadExactError::ReadError(quinn::ReadError::ConnectionLost(lost))) => Err(lost),
        _ => Err(ConnectionError::VersionMismatch),
    }
}
