//! The shard that opens a link to another.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use tokio::time::timeout;

use super::handshake::{self, HandshakeError};
use super::pace::paced;
use super::{Lane, Medium, PeerSender};
use crate::dial_error::DialError;
use crate::dial_first::dial_first;
use crate::identity::{Identity, PeerIdentity};
use crate::limits::Limits;
use crate::tls::{self, SERVER_NAME};

/// Opens links to send to other shards over.
#[derive(Debug)]
pub struct PeerDialer {
    identity: Identity,
    limits: Limits,
    medium: Medium,
}

impl PeerDialer {
    /// A dialler that presents `identity`, over TCP.
    pub fn new(identity: &Identity, limits: Limits) -> Self {
        Self { identity: identity.clone(), limits, medium: Medium::Tcp }
    }

    /// The same, over `medium`.
    pub fn over(self, medium: Medium) -> Self {
        Self { medium, ..self }
    }

    /// Opens a link to the shard at `addr` that proves to be `expected`, and waits until it has let us
    /// in. Not many of a process's links are opened at the same time.
    ///
    /// # Errors
    ///
    /// See [`DialError`].
    pub async fn dial(
        &self,
        addr: SocketAddr,
        expected: impl Into<PeerIdentity>,
        lane: Lane,
    ) -> Result<PeerSender, DialError> {
        let expected = expected.into();
        let presented = Arc::new(OnceLock::new());
        let set_up = |reason: String| DialError::SetUp { addr, reason };
        let tls = self
            .tls(expected, lane, Arc::clone(&presented))
            .map_err(|error| set_up(error.to_string()))?;
        // The name is fit to be one.
        let name = ServerName::try_from(SERVER_NAME).map_err(|error| set_up(error.to_string()))?;
        let tls = rustls::ClientConnection::new(Arc::new(tls), name)
            .map_err(|error| set_up(error.to_string()))?;
        let establish = async {
            let stream = self.medium.connect(addr).await?;
            handshake::dial(stream, tls.into()).await
        };
        let error = match paced(timeout(self.limits.handshake_timeout, establish)).await {
            Ok(Ok((session, unread, _))) => {
                return Ok(PeerSender::start(session, unread, &self.limits));
            }
            Ok(Err(error)) => error,
            Err(_) => return Err(DialError::TimedOut { addr }),
        };
        let other = presented.get().filter(|presented| **presented != expected);
        Err(match (other, error) {
            (Some(&presented), _) => DialError::WrongIdentity { addr, presented, expected },
            (None, HandshakeError::Tls(error))
                if !matches!(error, rustls::Error::AlertReceived(_)) =>
            {
                set_up(error.to_string())
            }
            (None, error) => DialError::Refused { addr, reason: error.to_string() },
        })
    }

    /// The same for a shard with several addresses: each is tried as soon as the one before has failed or has
    /// taken a quarter of a second, and the first that works is taken.
    ///
    /// # Errors
    ///
    /// See [`DialError`]; [`DialError::Host`] if there are several addresses and none works.
    pub async fn dial_first(
        &self,
        addresses: &[SocketAddr],
        expected: impl Into<PeerIdentity>,
        lane: Lane,
    ) -> Result<PeerSender, DialError> {
        let expected = expected.into();
        let addresses = addresses.iter().copied();
        dial_first("the shard", addresses, |addr| self.dial(addr, expected, lane)).await
    }

    fn tls(
        &self,
        expected: PeerIdentity,
        lane: Lane,
        presented: Arc<OnceLock<PeerIdentity>>,
    ) -> Result<rustls::ClientConfig, rustls::Error> {
        let mut tls =
            tls::client_config(tls::provider(), Some(&self.identity), expected, presented)?;
        tls.alpn_protocols = vec![lane.alpn().to_vec()];
        Ok(tls)
    }
}
