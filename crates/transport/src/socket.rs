//! Sockets with room for bursts, and TCP sockets with little that waits.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rustix::process::{Resource, getrlimit};
use socket2::{Domain, Protocol, Socket, Type};

/// Room in UDP sockets, in bytes: hundreds of handshakes that begin at once, 1200 bytes or two of
/// them each, and a batch of replies. Systems give less if they are set to.
const UDP_BUFFER_BYTES: usize = 4 << 20;

/// TCP connections that wait to be accepted.
const TCP_BACKLOG: i32 = 1024;

/// Bytes that may wait in a TCP socket before they are on their way. What has to go first would wait
/// behind them.
const TCP_UNSENT_BYTES: u32 = 256 << 10;

/// Files and sockets that this process may have open at once; `u64::MAX` if there is no limit.
pub(crate) fn most_open() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// An endpoint for QUIC at `addr` that is set up by `config`; one that only dials without `server`.
pub(crate) fn quic(
    addr: SocketAddr,
    config: EndpointConfig,
    server: Option<ServerConfig>,
) -> io::Result<Endpoint> {
    let socket = Socket::new(Domain::for_address(addr), Type::DGRAM, Some(Protocol::UDP))?;
    if addr.is_ipv6() {
        // As most systems do anyway: both families, if the address says so.
        let _ = socket.set_only_v6(false);
    }
    // What the system does not give is missed only in bursts.
    let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
    let _ = socket.set_send_buffer_size(UDP_BUFFER_BYTES);
    tell_buffers(addr, &socket);
    socket.bind(&addr.into())?;
    Endpoint::new(config, server, socket.into(), Arc::new(TokioRuntime))
}

/// Logs the room that the system gives. Linux answers twice what it gives, for its own book-keeping.
fn tell_buffers(addr: SocketAddr, socket: &Socket) {
    let given = |size: io::Result<usize>| {
        let size = size.unwrap_or(0);
        if cfg!(target_os = "linux") { size / 2 } else { size }
    };
    let (receive, send) = (given(socket.recv_buffer_size()), given(socket.send_buffer_size()));
    if receive.min(send) < UDP_BUFFER_BYTES {
        tracing::info!(
            %addr, wanted = UDP_BUFFER_BYTES, receive, send,
            "the system gives less room for UDP than is good for bursts: raise net.core.rmem_max \
             and net.core.wmem_max"
        );
    } else {
        tracing::debug!(%addr, receive, send, "bytes of room for UDP");
    }
}

/// Opens a listening socket for TCP at `addr`.
pub(crate) fn listen(addr: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    if addr.is_ipv6() {
        let _ = socket.set_only_v6(false);
    }
    // A restarted process gets its port back at once. Elsewhere than on Unix, this would let two
    // processes share the port.
    #[cfg(unix)]
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&addr.into())?;
    socket.listen(TCP_BACKLOG)?;
    tokio::net::TcpListener::from_std(TcpListener::from(socket))
}

/// Keeps the queue of unsent bytes in the socket of a TCP connection short.
pub(crate) fn keep_short(tcp: &tokio::net::TcpStream) {
    // Control frames wait a little longer where it cannot be set.
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    let _ = socket2::SockRef::from(tcp).set_tcp_notsent_lowat(TCP_UNSENT_BYTES);
}
