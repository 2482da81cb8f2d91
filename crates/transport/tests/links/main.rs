//! Links over real QUIC on the loopback interface.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod flow;
mod handshake;
mod several;

use antiphon_transport::{Accept, Dialer, Identity, Limits, Link, Server};

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

/// For links whose both sides are known, with frames of the same length both ways.
fn known() -> Limits {
    Limits { max_received_bytes: 4 << 20, ..Limits::coordinator() }
}

fn listen(accept: Accept, limits: Limits) -> Server {
    Server::bind("127.0.0.1:0".parse().unwrap(), &identity(1), accept, limits).unwrap()
}

async fn dial(server: &Server, dialer: &Dialer) -> Link {
    dialer.dial(server.local_addr().unwrap(), identity(1).public()).await.unwrap()
}

/// Two linked processes, the server's side first, and what keeps them going.
async fn pair(server: Limits, client: Limits) -> (Link, Link, (Server, Dialer)) {
    let mut server = listen(Accept::AnyIdentity, server);
    let dialer = Dialer::new(Some(&identity(2)), client);
    let theirs = dial(&server, &dialer).await;
    let ours = server.accept().await.unwrap();
    (ours, theirs, (server, dialer))
}
