//! Strangers on loopback. They are bounded in number and time, and dial ports of the row's own network.

mod half_open;
mod strangers;
mod tcp;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

pub(crate) use half_open::HalfOpen;
pub(crate) use strangers::{Door, Strangers, frame};
pub(crate) use tcp::{Loris, get, idle_connections, nonsense};

/// Longest time that one connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// A source of its own: all of 127.0.0.0/8 is this machine, and honest processes use its first.
pub(crate) const fn source(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, number)
}
