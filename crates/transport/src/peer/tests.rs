//! Shards that play by the rules and shards that do not, over the loopback interface and in memory.

mod fair;
mod raw;

use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::{CloseReason, Identity, Limits, LinkLost, RecvError};

const SERVER: [u8; 32] = [1; 32];

/// Long enough for anything to pass that is going to pass on the loopback interface.
const SETTLED: Duration = Duration::from_millis(700);

/// Far longer than anything takes that does not wait for somebody else.
const PATIENCE: Duration = Duration::from_secs(20);

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

/// What links may go over.
fn media() -> [Medium; 2] {
    [Medium::Tcp, Medium::Memory(MemoryNetwork::default())]
}

fn server(limits: Limits) -> PeerServer {
    server_for(|_| true, limits)
}

fn server_over(medium: &Medium, limits: Limits) -> PeerServer {
    let addr = "127.0.0.1:0".parse().unwrap();
    PeerServer::bind_over(medium, addr, &Identity::from_seed(&SERVER), |_| true, limits).unwrap()
}

fn server_for(
    listed: impl Fn(&crate::PeerIdentity) -> bool + Send + Sync + 'static,
    limits: Limits,
) -> PeerServer {
    let addr = "127.0.0.1:0".parse().unwrap();
    PeerServer::bind(addr, &Identity::from_seed(&SERVER), listed, limits).unwrap()
}

async fn dial(server: &PeerServer, limits: Limits, lane: Lane) -> PeerSender {
    dial_over(&Medium::Tcp, server, limits, lane).await
}

async fn dial_over(medium: &Medium, server: &PeerServer, limits: Limits, lane: Lane) -> PeerSender {
    let dialer = PeerDialer::new(&identity(2), limits).over(medium.clone());
    dialer.dial(server.local_addr(), identity(1).public(), lane).await.unwrap()
}

/// Both ends of a link, and the server.
async fn pair(limits: Limits, lane: Lane) -> (PeerSender, PeerReceiver, PeerServer) {
    pair_over(&Medium::Tcp, limits, lane).await
}

async fn pair_over(
    medium: &Medium,
    limits: Limits,
    lane: Lane,
) -> (PeerSender, PeerReceiver, PeerServer) {
    let mut server = server_over(medium, limits.clone());
    let sender = dial_over(medium, &server, limits, lane).await;
    let receiver = server.accept().await.unwrap();
    (sender, receiver, server)
}
