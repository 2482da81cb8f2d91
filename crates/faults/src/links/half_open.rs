//! QUIC handshakes that begin and go no further: the first part of a greeting, with an answer to whoever
//! asks for proof of the address, and then silence.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use quinn_proto::{
    ClientConfig, Connection, ConnectionHandle, DatagramEvent, Endpoint, EndpointConfig,
};

use super::{local, strangers};
use crate::network::BenchError;

/// Handshakes that begin in a row at most.
const AT_A_TIME: f64 = 50.0;
/// Handshakes that are remembered until they are asked for proof.
const REMEMBERED: usize = 4096;
/// The longest datagram that is of interest.
const DATAGRAM_BYTES: usize = 2048;

/// A flood of them, until this is dropped.
pub(crate) struct HalfOpen {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Sent>>,
}

/// Numbers of handshakes begun, and of addresses proven.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sent {
    pub(crate) begun: u64,
    pub(crate) proven: u64,
}

impl HalfOpen {
    /// Begins so many a second from one source.
    pub(crate) fn start(source: Ipv4Addr, port: u16, a_second: u32) -> Result<Self, BenchError> {
        let socket = UdpSocket::bind(SocketAddr::from((source, 0)))?;
        socket.connect(local(port))?;
        socket.set_nonblocking(true)?;
        let config = strangers::client_config(None, b"antiphon")?;
        let stop = Arc::new(AtomicBool::new(false));
        let flood = Flood {
            socket,
            to: local(port),
            endpoint: Endpoint::new(Arc::new(EndpointConfig::default()), None, true, None),
            config,
            begun: Vec::new(),
            sent: Sent::default(),
        };
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || flood.run(f64::from(a_second), &stopped));
        Ok(Self { stop, thread: Some(thread) })
    }

    /// Ends the flood, and returns its numbers.
    pub(crate) fn stop(mut self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Flood {
    socket: UdpSocket,
    to: SocketAddr,
    endpoint: Endpoint,
    config: ClientConfig,
    begun: Vec<(ConnectionHandle, Connection)>,
    sent: Sent,
}

impl Flood {
    fn run(mut self, a_second: f64, stop: &AtomicBool) -> Sent {
        let (mut due, mut last) = (0.0, Instant::now());
        while !stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            // A pause is not made up for: the flood is steady.
            due = (due + a_second * (now - last).as_secs_f64()).min(AT_A_TIME);
            last = now;
            while due >= 1.0 {
                due -= 1.0;
                self.begin(now);
            }
            while self.answer(now).is_ok() {}
            thread::sleep(Duration::from_millis(2));
        }
        self.sent
    }

    fn begin(&mut self, now: Instant) {
        let begun = self.endpoint.connect(now, self.config.clone(), self.to, "antiphon");
        let Ok((handle, mut connection)) = begun else { return };
        self.send_first(now, &mut connection);
        // Older ones will be asked for nothing any more.
        self.sent.begun += 1;
        self.begun.push((handle, connection));
        if self.begun.len() > REMEMBERED {
            self.begun.drain(..REMEMBERED / 2);
        }
    }

    /// Sends one datagram of the greeting, which takes two.
    fn send_first(&self, now: Instant, connection: &mut Connection) {
        let mut datagram = Vec::new();
        if connection.poll_transmit(now, 1, &mut datagram).is_some() {
            // A full socket loses it, as networks do.
            let _ = self.socket.send(&datagram);
        }
    }

    /// Proves the address of one handshake that is asked to.
    fn answer(&mut self, now: Instant) -> io::Result<()> {
        let mut datagram = BytesMut::zeroed(DATAGRAM_BYTES);
        let length = self.socket.recv(&mut datagram)?;
        datagram.truncate(length);
        // A Retry packet begins with four ones (RFC 9000, section 17.2.5).
        let asks_for_proof = datagram.first().is_some_and(|byte| byte & 0xf0 == 0xf0);
        if !asks_for_proof {
            return Ok(());
        }
        let event = self.endpoint.handle(now, self.to, None, None, datagram, &mut Vec::new());
        let Some(DatagramEvent::ConnectionEvent(handle, event)) = event else { return Ok(()) };
        let position = self.begun.iter().position(|(begun, _)| *begun == handle);
        if let Some(position) = position {
            let (_, mut connection) = self.begun.swap_remove(position);
            connection.handle_event(event);
            self.send_first(now, &mut connection);
            self.sent.proven += 1;
        }
        Ok(())
    }
}
