//! TCP connections that idle or bring nonsense.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::TcpSocket;
use tokio::runtime::Runtime;
use tokio::time::sleep;

use super::{CONNECT_WITHIN, local};

/// Pause after a connection that was not to be had, or was closed at once.
const PAUSE: Duration = Duration::from_millis(100);

/// TCP connections that are held and say nothing; as many of `count` as are let in.
pub(crate) fn idle_connections(port: u16, count: usize) -> Vec<TcpStream> {
    (0..count)
        .filter_map(|_| TcpStream::connect_timeout(&local(port), CONNECT_WITHIN).ok())
        .collect()
}

/// Sends `count` datagrams of nonsense, and as many connections with a line of it.
pub(crate) fn nonsense(port: u16, count: usize) {
    let noise = [0xa7_u8; 200];
    if let Ok(socket) = UdpSocket::bind(local(0)) {
        for length in (0..count).map(|number| number % noise.len()) {
            let _ = socket.send_to(&noise[..length], local(port));
        }
    }
    for mut stream in idle_connections(port, count.min(100)) {
        let _ = stream.write_all(&noise);
    }
}

/// Asks an HTTP server for a page; returns its text and how long it took.
pub(crate) fn get(port: u16, page: &str, within: Duration) -> io::Result<(String, Duration)> {
    let from = Instant::now();
    let mut stream = TcpStream::connect_timeout(&local(port), within)?;
    stream.set_read_timeout(Some(within))?;
    let request = format!("GET {page} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok((text, from.elapsed()))
}

/// Idle connections that are opened again whenever they are closed, until this is dropped.
pub(crate) struct Loris {
    runtime: Option<Runtime>,
    opened: Arc<AtomicU64>,
}

impl Loris {
    /// Holds `count` connections from each source.
    pub(crate) fn start(sources: &[Ipv4Addr], port: u16, count: usize) -> io::Result<Self> {
        let runtime = Runtime::new()?;
        let opened = Arc::new(AtomicU64::new(0));
        for source in sources.iter().flat_map(|source| std::iter::repeat_n(*source, count)) {
            runtime.spawn(hold(source, local(port), Arc::clone(&opened)));
        }
        Ok(Self { runtime: Some(runtime), opened })
    }

    /// Number of connections opened so far.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
}

impl Drop for Loris {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn hold(source: Ipv4Addr, to: SocketAddr, opened: Arc<AtomicU64>) {
    loop {
        let connected = async {
            let socket = TcpSocket::new_v4()?;
            socket.bind(SocketAddr::from((source, 0)))?;
            socket.connect(to).await
        };
        if let Ok(mut stream) = connected.await {
            opened.fetch_add(1, Ordering::Relaxed);
            // Until the other side closes: nothing is ever sent.
            let _ = stream.read_u8().await;
        }
        sleep(PAUSE).await;
    }
}
