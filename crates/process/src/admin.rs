//! The HTTP server by which a process is looked after: a page for people, `/live`, `/ready`, `/metrics`, `/status`, `/log-level`
//! and `/drain`.
//!
//! It shows aggregates that anyone who watches the network could count, and nothing about users. Whoever
//! reaches it can change how much is logged and take a shard out of epochs: it belongs on loopback or on a
//! network of the operator's own. Pages that a browser shows can change nothing.

mod metrics_page;
mod pages;
mod server;

use std::io;
use std::net::SocketAddr;

pub use metrics_page::MetricsPage;
pub use server::AdminServer;

/// Reason why the admin server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address cannot be used.
    #[error("cannot serve `admin` on TCP {address}: {source}: is another process there?")]
    Bind {
        /// Address to listen on.
        address: SocketAddr,
        /// Error of the system.
        source: io::Error,
    },
    /// Something else collects this process's metrics already.
    #[error("cannot collect metrics: {0}")]
    Recorder(String),
}
