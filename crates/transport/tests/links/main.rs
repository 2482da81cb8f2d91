//! Links over real QUIC and TCP on the loopback interface.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

/// Makes tests of functions that hold for links over QUIC as well as over TCP.
macro_rules! over_both {
    ($($name:ident,)*) => {
        mod over_quic {
            $(#[tokio::test]
            async fn $name() {
                super::$name(antiphon_transport::Limits::peers).await;
            })*
        }
        mod over_tcp {
            $(#[tokio::test]
            async fn $name() {
                super::$name(antiphon_transport::Limits::shards).await;
            })*
        }
    };
}

mod flow;
mod handshake;
mod several;
mod throughput;

use antiphon_transport::{Accept, Dialer, Identity, Limits, Link, Server};

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
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
