//! Errors of starting a server.

use std::io;
use std::net::SocketAddr;

use quinn::crypto::rustls::NoInitialCipherSuite;

/// Reason why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The address cannot be used.
    #[error("cannot listen on {addr}: {source}: is another process there, is the address ours?")]
    Socket {
        /// Address to listen on.
        addr: SocketAddr,
        /// Error of the system.
        source: io::Error,
    },
    /// The TLS library does not offer what links need.
    #[error("cannot set up TLS 1.3 with X25519MLKEM768: {0}")]
    Tls(#[from] rustls::Error),
    /// The TLS library lacks QUIC's first cipher suite.
    #[error("cannot set up TLS 1.3 for QUIC: {0}")]
    Suite(#[from] NoInitialCipherSuite),
}
