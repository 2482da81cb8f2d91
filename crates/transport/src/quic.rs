//! Links of clients, and of everybody with the coordinator: frames both ways over QUIC. A connection
//! may carry several of them, each on a stream of its own.

mod dialer;
mod link;
mod server;
mod stream;

pub use dialer::{Connection, Dialer};
pub use link::{ByteCounter, Link, LinkReceiver, LinkSender, SendError};
pub use server::{Accept, Server};

#[cfg(test)]
mod raw_tests;
