//! Errors of opening a link.

use std::io;
use std::net::SocketAddr;

use crate::identity::PeerIdentity;

/// Reason why a link could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("cannot find the address of {host}: {source}")]
    Lookup {
        /// Host and port to look up.
        host: String,
        /// Error of the system.
        source: io::Error,
    },
    /// No socket to dial from.
    #[error("cannot open a socket to dial {addr}: {source}")]
    Socket {
        /// Address to dial.
        addr: SocketAddr,
        /// Error of the system.
        source: io::Error,
    },
    /// Somebody else is there.
    #[error(
        "the server at {addr} presented identity {presented}, expected {expected}: \
         is the roster up to date?"
    )]
    WrongIdentity {
        /// Address that was dialled.
        addr: SocketAddr,
        /// Identity that is there.
        presented: PeerIdentity,
        /// Identity that was expected.
        expected: PeerIdentity,
    },
    /// Nobody answers.
    #[error("the server at {addr} does not answer: is it running, and can it be reached?")]
    TimedOut {
        /// Address that was dialled.
        addr: SocketAddr,
    },
    /// None of the addresses of a host works.
    #[error("no address of {host} works: {}", list(failures))]
    Host {
        /// Host and port to dial.
        host: String,
        /// Errors of each of its addresses.
        failures: Vec<DialError>,
    },
    /// The server does not want this link.
    #[error(
        "the server at {addr} refused the link ({reason}): does it list this identity, \
         is this the right port, has it room?"
    )]
    Refused {
        /// Address that was dialled.
        addr: SocketAddr,
        /// Reason that it gave.
        reason: String,
    },
    /// The address or the TLS set-up is unusable.
    #[error("cannot set up a link to {addr}: {reason}")]
    SetUp {
        /// Address to dial.
        addr: SocketAddr,
        /// Error of the set-up.
        reason: String,
    },
}

fn list(failures: &[DialError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
