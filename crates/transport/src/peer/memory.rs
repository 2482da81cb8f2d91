//! Links in the memory of one process, as streams of bytes: for more shards in one process than it may
//! have sockets for.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf as _, BytesMut};
use tokio::sync::{Notify, mpsc};

/// Bytes that may wait in one direction, as in a socket.
const ROOM_BYTES: usize = 256 << 10;
/// Connections that wait to be accepted.
const BACKLOG: usize = 1024;

/// Where the shards of one process find each other without sockets. What travels is what would
/// travel over TCP. Addresses are names here, and nobody else knows them.
#[derive(Clone, Debug, Default)]
pub struct MemoryNetwork(Arc<Mutex<Ports>>);

#[derive(Debug, Default)]
struct Ports {
    last: u16,
    listening: HashMap<SocketAddr, mpsc::Sender<MemoryStream>>,
}

impl MemoryNetwork {
    /// Listens at `addr`, or at a port of its own if that is 0.
    pub(super) fn listen(&self, mut addr: SocketAddr) -> io::Result<MemoryListener> {
        let mut ports = lock(&self.0);
        if addr.port() == 0 {
            ports.last = ports.last.checked_add(1).ok_or(io::ErrorKind::AddrNotAvailable)?;
            addr.set_port(ports.last);
        }
        if ports.listening.get(&addr).is_some_and(|listener| !listener.is_closed()) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, incoming) = mpsc::channel(BACKLOG);
        ports.listening.insert(addr, sender);
        Ok(MemoryListener { addr, incoming })
    }

    /// Connects to whoever listens at `addr`.
    pub(super) async fn connect(&self, addr: SocketAddr) -> io::Result<MemoryStream> {
        let listener = lock(&self.0).listening.get(&addr).cloned();
        let listener = listener.ok_or(io::ErrorKind::ConnectionRefused)?;
        let (to, from) = (Arc::new(Pipe::default()), Arc::new(Pipe::default()));
        let theirs = MemoryStream {
            remote: SocketAddr::new(addr.ip(), 0),
            incoming: Arc::clone(&to),
            outgoing: Arc::clone(&from),
        };
        let ours = MemoryStream { remote: addr, incoming: from, outgoing: to };
        listener.send(theirs).await.map_err(|_| io::ErrorKind::ConnectionRefused)?;
        Ok(ours)
    }
}

/// Takes in connections.
#[derive(Debug)]
pub(super) struct MemoryListener {
    addr: SocketAddr,
    incoming: mpsc::Receiver<MemoryStream>,
}

impl MemoryListener {
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    pub(super) async fn accept(&mut self) -> (MemoryStream, SocketAddr) {
        match self.incoming.recv().await {
            Some(stream) => {
                let from = stream.remote;
                (stream, from)
            }
            // Nobody is left who could connect.
            None => std::future::pending().await,
        }
    }
}

/// One end of a connection. One task reads from it at a time, and one writes.
#[derive(Debug)]
pub(super) struct MemoryStream {
    remote: SocketAddr,
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

impl MemoryStream {
    pub(super) fn remote(&self) -> SocketAddr {
        self.remote
    }

    /// Reads as much as is there and fits in; 0 bytes at the end.
    pub(super) fn try_read(&self, into: &mut BytesMut) -> io::Result<usize> {
        self.incoming.take(into)
    }

    pub(super) async fn readable(&self) {
        self.incoming.readable.notified().await;
    }

    /// Writes as much as there is room for.
    pub(super) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.outgoing.put(slices)
    }

    pub(super) async fn writable(&self) {
        self.outgoing.writable.notified().await;
    }

    /// Nothing more follows in this direction.
    pub(super) fn hang_up(&self) {
        self.outgoing.close();
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.incoming.close();
        self.outgoing.close();
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Pipe {
    held: Mutex<Held>,
    readable: Notify,
    writable: Notify,
}

#[derive(Debug, Default)]
struct Held {
    bytes: BytesMut,
    /// Either end is gone: nothing more is put in.
    closed: bool,
}

impl Pipe {
    fn put(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut held = lock(&self.held);
        if held.closed {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut put = 0;
        for slice in slices {
            let room = ROOM_BYTES.saturating_sub(held.bytes.len()).min(slice.len());
            held.bytes.extend_from_slice(&slice[..room]);
            put += room;
        }
        if put == 0 && slices.iter().any(|slice| !slice.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        drop(held);
        self.readable.notify_one();
        Ok(put)
    }

    fn take(&self, into: &mut BytesMut) -> io::Result<usize> {
        let mut held = lock(&self.held);
        let taken = held.bytes.len().min(into.capacity() - into.len());
        if taken == 0 {
            let closed = held.closed;
            return if closed { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        into.extend_from_slice(&held.bytes[..taken]);
        held.bytes.advance(taken);
        if held.bytes.is_empty() {
            // There are many pipes, and most of them are empty nearly always.
            held.bytes = BytesMut::new();
        }
        drop(held);
        self.writable.notify_one();
        Ok(taken)
    }

    fn close(&self) {
        lock(&self.held).closed = true;
        for end in [&self.readable, &self.writable] {
            end.notify_waiters();
            end.notify_one();
        }
    }
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while holding it.
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn pair() -> (MemoryStream, MemoryStream) {
        let network = MemoryNetwork::default();
        let mut listener = network.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let ours = network.connect(listener.local_addr()).await.unwrap();
        (ours, listener.accept().await.0)
    }

    #[tokio::test]
    async fn a_full_pipe_waits_for_its_reader_and_nothing_is_lost() {
        let (ours, theirs) = pair().await;
        let sent: Vec<u8> = (0..3 * ROOM_BYTES).map(|i| (i / 7) as u8).collect();
        let writing = async {
            let mut left = &sent[..];
            while !left.is_empty() {
                match ours.try_write(&[IoSlice::new(&left[..1]), IoSlice::new(&left[1..])]) {
                    Ok(put) => left = &left[put..],
                    Err(error) => {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                        assert!(lock(&ours.outgoing.held).bytes.len() == ROOM_BYTES);
                        ours.writable().await;
                    }
                }
            }
            ours.hang_up();
        };
        let reading = async {
            let mut received = Vec::new();
            let mut some = BytesMut::with_capacity(10_000);
            loop {
                match theirs.try_read(&mut some) {
                    Ok(0) => return received,
                    Ok(_) => received.extend(some.split()),
                    Err(_) => theirs.readable().await,
                }
                some.reserve(10_000);
            }
        };
        let ((), received) = tokio::join!(writing, reading);
        assert!(received == sent);
    }

    #[tokio::test]
    async fn whoever_is_gone_is_noticed_at_the_other_end() {
        let (ours, theirs) = pair().await;
        let waiting = async {
            theirs.readable().await;
            theirs.try_read(&mut BytesMut::with_capacity(10))
        };
        let ((), read) = tokio::join!(async { drop(ours) }, waiting);
        assert_eq!(read.unwrap(), 0);
        let written = theirs.try_write(&[IoSlice::new(b"x")]);
        assert_eq!(written.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn each_listener_has_an_address_of_its_own_until_it_is_gone() {
        let network = MemoryNetwork::default();
        let [first, second] =
            [0, 0].map(|port| network.listen(([127, 0, 0, 1], port).into()).unwrap());
        assert_ne!(first.local_addr(), second.local_addr());
        let addr = first.local_addr();
        assert_eq!(network.listen(addr).unwrap_err().kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(network.connect(addr).await.is_err());
        assert!(network.listen(addr).is_ok());
    }
}
