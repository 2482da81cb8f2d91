//! Why a link could not be opened.

use std::io;
use std::net::SocketAddr;

use crate::identity::PeerIdentity;

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

fn list(failures: &[DialError]) -> String {
    failures.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
