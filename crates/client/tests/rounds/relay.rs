//! A relay that notes every datagram between clients and a gateway.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;
use tokio::time::Instant;

/// A datagram, as anyone on the link sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Datagram {
    /// The client's address.
    pub(crate) client: SocketAddr,
    pub(crate) at: Instant,
    pub(crate) bytes: usize,
    /// Whether the client sent it.
    pub(crate) up: bool,
}

/// All that relays noted.
#[derive(Clone, Default)]
pub(crate) struct Capture(Arc<Mutex<Vec<Datagram>>>);

impl Capture {
    fn note(&self, client: SocketAddr, bytes: usize, up: bool) {
        self.0.lock().unwrap().push(Datagram { client, at: Instant::now(), bytes, up });
    }

    pub(crate) fn all(&self) -> Vec<Datagram> {
        self.0.lock().unwrap().clone()
    }

    /// Clients in the order in which they were first heard of.
    pub(crate) fn clients(&self) -> Vec<SocketAddr> {
        let mut clients = Vec::new();
        for datagram in self.all() {
            if !clients.contains(&datagram.client) {
                clients.push(datagram.client);
            }
        }
        clients
    }

    /// Starts a relay to `gateway`, and says where it is.
    pub(crate) fn relay(&self, gateway: SocketAddr) -> SocketAddr {
        let front = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        front.set_nonblocking(true).unwrap();
        let front = Arc::new(UdpSocket::from_std(front).unwrap());
        let address = front.local_addr().unwrap();
        tokio::spawn(self.clone().forward(front, gateway));
        address
    }

    async fn forward(self, front: Arc<UdpSocket>, gateway: SocketAddr) {
        let mut backs: Vec<(SocketAddr, Arc<UdpSocket>)> = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        while let Ok((bytes, client)) = front.recv_from(&mut buffer).await {
            self.note(client, bytes, true);
            let known = backs.iter().find(|(of, _)| *of == client);
            let back = match known {
                Some((_, back)) => Arc::clone(back),
                None => {
                    let back = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
                    back.connect(gateway).await.unwrap();
                    backs.push((client, Arc::clone(&back)));
                    tokio::spawn(self.clone().back(Arc::clone(&back), Arc::clone(&front), client));
                    back
                }
            };
            // What is lost is sent again.
            let _ = back.send(&buffer[..bytes]).await;
        }
    }

    async fn back(self, back: Arc<UdpSocket>, front: Arc<UdpSocket>, client: SocketAddr) {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(bytes) = back.recv(&mut buffer).await {
            self.note(client, bytes, false);
            let _ = front.send_to(&buffer[..bytes], client).await;
        }
    }
}
