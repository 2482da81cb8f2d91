//! Strangers on loopback: links that say nothing, frames that are too large, connections that idle.
//!
//! Everything is bounded in number and time, and goes to ports of the row's own network.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::str::FromStr as _;
use std::time::{Duration, Instant};

use antiphon_transport::{Dialer, Identity, Limits, Link, LinkSender};
use antiphon_wire::IdentityKey;
use bytes::Bytes;
use tokio::runtime::Runtime;

use crate::network::BenchError;

/// How long one connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

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

/// Asks for the metrics page; returns its text and how long it took.
pub(crate) fn scrape(port: u16, within: Duration) -> io::Result<(String, Duration)> {
    let from = Instant::now();
    let mut stream = TcpStream::connect_timeout(&local(port), within)?;
    stream.set_read_timeout(Some(within))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok((text, from.elapsed()))
}

/// Links of strangers over QUIC, which last until this is dropped.
pub(crate) struct Strangers {
    runtime: Runtime,
    links: Vec<Link>,
    senders: Vec<LinkSender>,
}

impl Strangers {
    /// Opens `count` links to the server on `port` with the public key `key`: anonymous ones, or each
    /// with an identity that nobody knows.
    pub(crate) fn link(
        port: u16,
        key: &str,
        count: usize,
        identified: bool,
    ) -> Result<Self, BenchError> {
        let key = IdentityKey::from_str(key)
            .map_err(|why| BenchError::NotSeen(format!("{key}: {why}")))?;
        let runtime = Runtime::new()?;
        let links = runtime.block_on(async {
            let mut links = Vec::new();
            for number in 0..count {
                let identity = Identity::from_seed(&[number as u8 ^ 0x5a; 32]);
                let limits = if identified { Limits::coordinator() } else { Limits::clients() };
                let limits = Limits { max_frame_bytes: 32 << 20, ..limits };
                let dialer = Dialer::new(identified.then_some(&identity), limits);
                // One that is refused is an answer, too.
                if let Ok(link) = dialer.dial(local(port), key.0).await {
                    links.push(link);
                }
            }
            links
        });
        Ok(Self { runtime, links, senders: Vec::new() })
    }

    /// How many were let in.
    pub(crate) fn count(&self) -> usize {
        self.links.len() + self.senders.len()
    }

    /// Sends a frame of `bytes` zeros over each link, as much of it as the other side takes within a
    /// few seconds, and holds the links.
    pub(crate) fn flood(&mut self, bytes: usize) {
        let links = std::mem::take(&mut self.links);
        let frame = Bytes::from(vec![0; bytes]);
        let senders: Vec<_> = links.into_iter().map(|link| link.split().0).collect();
        self.runtime.block_on(async {
            let all = senders.iter().map(|sender| {
                let frame = frame.clone();
                async move {
                    let _ = tokio::time::timeout(CONNECT_WITHIN, sender.send(frame)).await;
                }
            });
            for one in all {
                one.await;
            }
        });
        self.senders = senders;
    }
}
