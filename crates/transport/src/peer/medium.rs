//! What links between shards go over: sockets, or the memory of one process.

use std::io::{self, IoSlice, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use bytes::BytesMut;
use tokio::net::{TcpListener, TcpStream};

use super::memory::{MemoryListener, MemoryNetwork, MemoryStream};
use crate::limits::Limits;
use crate::socket;

/// What links between shards go over.
#[derive(Clone, Debug, Default)]
pub enum Medium {
    /// TCP.
    #[default]
    Tcp,
    /// The memory of the process that all of the shards run in.
    Memory(MemoryNetwork),
}

impl Medium {
    /// What links over it keep to. In memory a link ends with either of its ends, and what is slow is
    /// slow for all: nobody needs to ask whether the other is still there.
    pub fn limits(&self) -> Limits {
        match self {
            Self::Tcp => Limits::shards(),
            Self::Memory(_) => Limits {
                handshake_timeout: Duration::from_secs(60),
                idle_timeout: Duration::from_secs(600),
                keep_alive: Some(Duration::from_secs(120)),
                ..Limits::shards()
            },
        }
    }

    pub(super) fn listen(&self, addr: SocketAddr) -> io::Result<Listener> {
        Ok(match self {
            Self::Tcp => Listener::Tcp(socket::listen(addr)?),
            Self::Memory(network) => Listener::Memory(network.listen(addr)?),
        })
    }

    pub(super) async fn connect(&self, addr: SocketAddr) -> io::Result<Stream> {
        Ok(match self {
            Self::Tcp => Stream::Tcp(TcpStream::connect(addr).await?),
            Self::Memory(network) => Stream::Memory(network.connect(addr).await?),
        })
    }
}

/// Where others connect to.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Memory(MemoryListener),
}

impl Listener {
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr(),
            Self::Memory(listener) => Ok(listener.local_addr()),
        }
    }

    /// The next connection, and where it is from.
    pub(super) async fn accept(&mut self) -> io::Result<(Stream, SocketAddr)> {
        Ok(match self {
            Self::Tcp(listener) => {
                let (tcp, from) = listener.accept().await?;
                (Stream::Tcp(tcp), from)
            }
            Self::Memory(listener) => {
                let (stream, from) = listener.accept().await;
                (Stream::Memory(stream), from)
            }
        })
    }
}

/// One end of a connection. What would wait is tried again by the caller, so that both directions can
/// be used at the same time.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Memory(MemoryStream),
}

impl Stream {
    /// Sends small pieces at once, and keeps what waits short.
    pub(super) fn hurry(&self) -> io::Result<()> {
        if let Self::Tcp(tcp) = self {
            tcp.set_nodelay(true)?;
            socket::keep_short(tcp);
        }
        Ok(())
    }

    pub(super) fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.peer_addr(),
            Self::Memory(stream) => Ok(stream.remote()),
        }
    }

    /// Reads what is there, as far as there is room; 0 bytes at the end.
    pub(super) fn try_read(&self, into: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_read_buf(into),
            Self::Memory(stream) => stream.try_read(into),
        }
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.readable().await,
            Self::Memory(stream) => {
                stream.readable().await;
                Ok(())
            }
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.writable().await,
            Self::Memory(stream) => {
                stream.writable().await;
                Ok(())
            }
        }
    }

    /// Hangs up in this direction.
    pub(super) fn hang_up(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => socket2::SockRef::from(tcp).shutdown(Shutdown::Write),
            Self::Memory(stream) => {
                stream.hang_up();
                Ok(())
            }
        }
    }
}

/// Gives `WouldBlock` instead of waiting.
impl Write for &Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => tcp.try_write(bytes),
            Stream::Memory(stream) => stream.try_write(&[IoSlice::new(bytes)]),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Stream::Tcp(tcp) => tcp.try_write_vectored(slices),
            Stream::Memory(stream) => stream.try_write(slices),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
