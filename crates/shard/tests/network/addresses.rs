//! Shards that advertise addresses at which they are not.

use std::net::{SocketAddr, TcpListener, UdpSocket};

use antiphon_shard::{Advertised, ShardServer};
use antiphon_transport::{Dialer, Limits, PeerIdentity};
use antiphon_wire::RoundOutcome;
use tokio::time::{Instant, timeout};

use crate::world::{PATIENCE, World, round_end};

/// Nobody listens on the discard port.
const CLOSED: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_that_are_silent_or_closed_come_before_the_right_one_and_rounds_go_on() {
    let world = World::start(150);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Advertised::Address(silent.local_addr().unwrap());
    let start = |number| {
        let mut config = world.config(number);
        config.advertise_peers =
            vec![silent.clone(), Advertised::Address(CLOSED), Advertised::Auto(None)];
        config.advertise_clients = vec![Advertised::Address(CLOSED), Advertised::Auto(None)];
        ShardServer::start(config).unwrap()
    };
    let shards = [start(0), start(1), start(2)];
    let mut seen = shards[1].subscribe();
    let mut delivered = 0;
    timeout(PATIENCE, async {
        while delivered < 3 {
            let (_, outcome) = round_end(&mut seen).await;
            delivered += usize::from(outcome == RoundOutcome::Delivered);
        }
    })
    .await
    .expect("the right address is found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_dials_takes_no_other_identity_and_loses_little_time_to_silence() {
    let world = World::start(150);
    let shards = world.shards();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let addresses = [
        silent.local_addr().unwrap(),
        CLOSED,
        shards[1].client_address(),
        shards[0].client_address(),
    ];
    let dialer = Dialer::new(None, Limits::clients());
    let expected = PeerIdentity(shards[0].identity().0);
    let since = Instant::now();
    let link = dialer.dial_first(&addresses, expected).await.unwrap();
    assert_eq!(link.remote_addr(), shards[0].client_address());
    assert!(since.elapsed() < Limits::clients().handshake_timeout, "{:?}", since.elapsed());
    let nobody = dialer.dial_first(&addresses[1..3], expected).await.unwrap_err().to_string();
    assert!(nobody.contains("presented identity"), "{nobody}");
}
