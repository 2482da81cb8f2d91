//! QUIC links whose other side does not play by the rules: spoken plainly, below what the project's own
//! links would let through.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use antiphon_wire::{Encode as _, FromClient, PROTOCOL_VERSION};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, Endpoint, RecvStream, SendStream, TransportConfig};
use rustls::client::AlwaysResolvesClientRawPublicKeys;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::version::TLS13;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::{CONNECT_WITHIN, local};
use crate::network::BenchError;

/// Handshakes that are under way at once.
const AT_ONCE: usize = 16;
/// Time that the last words of links have to go out.
const FAREWELL: Duration = Duration::from_millis(50);
/// Bytes before an Ed25519 key in PKCS #8.
const PKCS8_HEAD: [u8; 16] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
];

/// A kind of port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Door {
    /// A shard's for clients.
    Gateway,
    /// The coordinator's for clients.
    Documents,
    /// The coordinator's for shards, where everybody has an identity.
    Coordinator,
}

impl Door {
    fn protocol(self) -> &'static [u8] {
        match self {
            Self::Gateway => b"antiphon/2 gateway",
            Self::Documents => b"antiphon/2 documents",
            Self::Coordinator => b"antiphon/2 coordinator",
        }
    }
}

/// Links of strangers, which last until this is dropped.
pub(crate) struct Strangers {
    runtime: Runtime,
    links: Vec<Held>,
    dialled: u32,
    /// Bytes that others may send over each link before some are read, which none are.
    window_bytes: u32,
}

/// A link that the server has let in.
struct Held {
    connection: Connection,
    send: SendStream,
    _receive: RecvStream,
}

impl Strangers {
    pub(crate) fn new() -> Result<Self, BenchError> {
        Ok(Self { runtime: Runtime::new()?, links: Vec::new(), dialled: 0, window_bytes: 1 << 20 })
    }

    /// Strangers that take next to nothing of what they are sent.
    pub(crate) fn that_read_nothing() -> Result<Self, BenchError> {
        Ok(Self { window_bytes: 2048, ..Self::new()? })
    }

    /// Opens up to `count` links from one source. Each has a made-up identity if the port asks for one.
    /// Returns how many were let in.
    pub(crate) fn link(
        &mut self,
        source: Ipv4Addr,
        (door, port): (Door, u16),
        count: usize,
    ) -> Result<usize, BenchError> {
        let before = self.links.len();
        let mut configs = Vec::new();
        for _ in 0..count {
            self.dialled += 1;
            let identity = (door == Door::Coordinator).then_some(self.dialled);
            configs.push(self.config(identity, door)?);
        }
        let held = self.runtime.block_on(async {
            let endpoint = Endpoint::client(SocketAddr::from((source, 0)))?;
            let mut dialling = JoinSet::new();
            let mut held = Vec::new();
            for config in configs {
                // Few at a time: this process has its own half of each to carry out before the server gives up.
                while dialling.len() >= AT_ONCE {
                    held.extend(dialling.join_next().await.and_then(Result::ok).flatten());
                }
                dialling.spawn(dial(endpoint.clone(), config, local(port)));
            }
            held.extend(dialling.join_all().await.into_iter().flatten());
            Ok::<_, BenchError>(held)
        })?;
        self.links.extend(held);
        Ok(self.links.len() - before)
    }

    /// Configuration with signs of life, so that links last.
    fn config(&self, identity: Option<u32>, door: Door) -> Result<ClientConfig, BenchError> {
        let mut config = client_config(identity, door.protocol())?;
        let mut transport = TransportConfig::default();
        transport
            .keep_alive_interval(Some(Duration::from_secs(1)))
            .stream_receive_window(self.window_bytes.into());
        config.transport_config(Arc::new(transport));
        Ok(config)
    }

    /// Number of links that still live.
    pub(crate) fn alive(&self) -> usize {
        self.links.iter().filter(|held| held.connection.close_reason().is_none()).count()
    }

    /// Sends the same bytes over each link, as many as the other side takes within a few seconds.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let links = &mut self.links;
        self.runtime.block_on(async {
            for held in links {
                // A server that closes the link, or takes no more, has done what it should.
                let _ = timeout(CONNECT_WITHIN, held.send.write_all(bytes)).await;
            }
        });
    }

    /// Says hello on each, as clients do.
    pub(crate) fn greet(&mut self) {
        self.send(&frame(&FromClient::Hello { version: PROTOCOL_VERSION }.to_bytes()));
    }

    /// Announces a frame of `bytes` on each, and sends all but its last byte.
    pub(crate) fn send_half(&mut self, bytes: usize) {
        let mut frame = frame(&vec![0x41; bytes]);
        frame.pop();
        self.send(&frame);
    }

    /// Closes all of them.
    pub(crate) fn leave(self) {
        let Self { runtime, links, .. } = self;
        runtime.block_on(async {
            for held in &links {
                held.connection.close(0_u32.into(), b"");
            }
            drop(links);
            sleep(FAREWELL).await;
        });
        runtime.shutdown_background();
    }

    /// Is gone without a word.
    pub(crate) fn vanish(self) {
        let Self { runtime, links, .. } = self;
        runtime.shutdown_background();
        drop(links);
    }
}

/// A frame as links carry it.
pub(crate) fn frame(body: &[u8]) -> Vec<u8> {
    // No row sends more than a few megabytes.
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend_from_slice(body);
    frame
}

/// Opens a connection and waits until the server has greeted over it.
async fn dial(endpoint: Endpoint, config: ClientConfig, to: SocketAddr) -> Option<Held> {
    let dialled = async {
        let connection = endpoint.connect_with(config, to, "antiphon").ok()?.await.ok()?;
        // The server greets over a stream that it opens.
        let (send, mut receive) = connection.accept_bi().await.ok()?;
        receive.read_exact(&mut [0]).await.ok()?;
        Some(Held { connection, send, _receive: receive })
    };
    timeout(CONNECT_WITHIN, dialled).await.ok()?
}

/// A configuration that takes everybody for the server.
pub(super) fn client_config(
    identity: Option<u32>,
    protocol: &[u8],
) -> Result<ClientConfig, BenchError> {
    let cannot = |why: &dyn fmt::Display| BenchError::NotSeen(format!("no TLS: {why}"));
    let provider = Arc::new(CryptoProvider {
        kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768],
        ..aws_lc_rs::default_provider()
    });
    let builder = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|why| cannot(&why))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody));
    let mut tls = match identity {
        None => builder.with_no_client_auth(),
        Some(number) => builder.with_client_cert_resolver(Arc::new(
            AlwaysResolvesClientRawPublicKeys::new(made_up(number).map_err(|why| cannot(&why))?),
        )),
    };
    tls.alpn_protocols = vec![protocol.to_vec()];
    let tls = QuicClientConfig::try_from(tls).map_err(|why| cannot(&why))?;
    Ok(ClientConfig::new(Arc::new(tls)))
}

/// An identity that nobody knows.
fn made_up(number: u32) -> Result<Arc<CertifiedKey>, Error> {
    let mut key = PKCS8_HEAD.to_vec();
    key.extend([0x5a; 28]);
    key.extend(number.to_be_bytes());
    let key = aws_lc_rs::sign::any_eddsa_type(&PrivatePkcs8KeyDer::from(key))?;
    let public =
        key.public_key().ok_or(Error::InconsistentKeys(rustls::InconsistentKeys::Unknown))?;
    Ok(Arc::new(CertifiedKey::new(vec![CertificateDer::from(public.to_vec())], key)))
}

/// Takes every server for the right one.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _raw_key: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _raw_key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(rustls::PeerIncompatible::Tls12NotOffered.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _raw_key: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
