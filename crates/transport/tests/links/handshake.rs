//! Who gets in.

use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Duration;

use antiphon_transport::{Accept, CloseReason, DialError, Dialer, Limits, LinkLost, Server};
use bytes::Bytes;
use rand::{Rng, SeedableRng};

use crate::{dial, identity, known, listen, pair};

#[tokio::test]
async fn both_sides_know_each_other() {
    let (ours, theirs, _running) = pair(known(), known()).await;
    assert_eq!(ours.remote_identity(), Some(identity(2).public()));
    assert_eq!(theirs.remote_identity(), Some(identity(1).public()));
}

#[tokio::test]
async fn a_server_with_another_identity_is_refused() {
    let server = listen(Accept::AnyIdentity, known());
    let dialer = Dialer::new(Some(&identity(2)), known());
    let expected = identity(9).public();
    match dialer.dial(server.local_addr().unwrap(), expected).await {
        Err(DialError::WrongIdentity { presented, expected: wanted, .. }) => {
            assert_eq!((presented, wanted), (identity(1).public(), expected));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn anonymous_clients_get_in_only_where_they_belong() {
    let anonymous = Dialer::new(None, known());
    let named = Dialer::new(Some(&identity(2)), known());
    let mut clients = listen(Accept::Anonymous, known());
    let peers = listen(Accept::AnyIdentity, known());

    let _link = dial(&clients, &anonymous).await;
    assert_eq!(clients.accept().await.unwrap().remote_identity(), None);

    for (dialer, server) in [(&anonymous, &peers), (&named, &clients)] {
        let refused = dialer.dial(server.local_addr().unwrap(), identity(1).public()).await;
        assert!(matches!(refused, Err(DialError::Refused { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn a_silent_address_times_out() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let limits = Limits { handshake_timeout: Duration::from_millis(100), ..known() };
    let dialer = Dialer::new(None, limits);
    let failed = dialer.dial(silent.local_addr().unwrap(), identity(1).public()).await;
    assert!(matches!(failed, Err(DialError::TimedOut { .. })), "{failed:?}");
}

#[tokio::test]
async fn a_host_name_is_looked_up() {
    let server = listen(Accept::Anonymous, known());
    let dialer = Dialer::new(None, known());
    let host = format!("localhost:{}", server.local_addr().unwrap().port());
    assert!(dialer.dial_host(&host, identity(1).public()).await.is_ok());
    let failed = dialer.dial_host("no port", identity(1).public()).await;
    assert!(matches!(failed, Err(DialError::Lookup { .. })), "{failed:?}");
}

#[tokio::test]
async fn one_address_gets_its_share_and_gets_it_back() {
    let mut server = listen(Accept::Anonymous, Limits { max_links_per_ip: 2, ..known() });
    let addr = server.local_addr().unwrap();
    let dialer = Dialer::new(None, known());
    let _first = dial(&server, &dialer).await;
    let _second = dial(&server, &dialer).await;
    let third = dialer.dial(addr, identity(1).public()).await;
    assert!(matches!(third, Err(DialError::Refused { .. })), "{third:?}");
    assert_eq!((server.stats().links, server.stats().refused()), (2, 1));

    server.accept().await.unwrap().close(CloseReason::NotWelcome);
    assert_eq!(server.stats().links, 1);
    let _fourth = dial(&server, &dialer).await;
}

#[tokio::test]
async fn a_busy_server_asks_for_proof_of_address_and_still_serves() {
    let mut server = listen(Accept::AnyIdentity, Limits { retry_above: 0, ..known() });
    let dialer = Dialer::new(Some(&identity(2)), known());
    let _link = dial(&server, &dialer).await;
    assert!(server.accept().await.is_some());
}

#[tokio::test]
async fn half_a_handshake_delays_nobody() {
    let mut server = listen(Accept::Anonymous, Limits::clients());
    // A client whose packets stop after the first ones: a relay that forwards one way only.
    let relay = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (relay_addr, server_addr) = (relay.local_addr().unwrap(), server.local_addr().unwrap());
    let onward = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let stuck = tokio::spawn(async move {
        let dialer = Dialer::new(None, Limits::clients());
        dialer.dial(relay_addr, identity(1).public()).await.map(drop)
    });
    let mut packet = [0; 2000];
    for _ in 0..2 {
        let len = relay.recv(&mut packet).await.unwrap();
        onward.send_to(&packet[..len], server_addr).await.unwrap();
    }
    // The server's answer shows that it works on that handshake.
    onward.recv(&mut packet).await.unwrap();
    let dialer = Dialer::new(None, Limits::clients());
    let _link = dial(&server, &dialer).await;
    assert!(server.accept().await.is_some());
    assert!(!stuck.is_finished());
    stuck.abort();
}

#[tokio::test]
async fn garbage_datagrams_are_harmless() {
    let mut server = listen(Accept::AnyIdentity, known());
    let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(1);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for i in 0..500_usize {
        let mut datagram = vec![0; 1 + i * 3 % 1400];
        rng.fill_bytes(&mut datagram);
        // Half of them look like the beginning of a QUIC handshake.
        if i % 2 == 0 && datagram.len() > 5 {
            datagram[..5].copy_from_slice(&[0xc0, 0, 0, 0, 1]);
        }
        socket.send_to(&datagram, server.local_addr().unwrap()).unwrap();
    }
    let dialer = Dialer::new(Some(&identity(2)), known());
    let _link = dial(&server, &dialer).await;
    assert!(server.accept().await.is_some());
}

#[tokio::test]
async fn shutting_down_tells_the_other_sides() {
    let (_ours, theirs, (mut server, _dialer)) = pair(known(), known()).await;
    server.shut_down().await;
    assert_eq!(theirs.closed().await, LinkLost::ByPeer { reason: CloseReason::ShuttingDown });
    assert!(server.accept().await.is_none());
}

#[tokio::test]
async fn many_links_at_once() {
    const LINKS: usize = 200;
    let limits = Limits { max_links_per_ip: LINKS, ..known() };
    let mut server: Server = listen(Accept::Anonymous, limits);
    let addr = server.local_addr().unwrap();
    let dialer = Arc::new(Dialer::new(None, known()));
    let clients: Vec<_> = (0..LINKS)
        .map(|i| {
            let dialer = Arc::clone(&dialer);
            tokio::spawn(async move {
                let link = dialer.dial(addr, identity(1).public()).await.unwrap();
                let (sender, mut receiver) = link.split();
                sender.send(Bytes::from(i.to_string())).await.unwrap();
                match receiver.recv().await {
                    Ok(Some(frame)) => assert_eq!(frame, i.to_string()),
                    other => panic!("{other:?}"),
                }
            })
        })
        .collect();
    let mut echoes = Vec::new();
    for _ in 0..LINKS {
        let link = server.accept().await.unwrap();
        echoes.push(tokio::spawn(async move {
            let (sender, mut receiver) = link.split();
            while let Ok(Some(frame)) = receiver.recv().await {
                sender.send(frame).await.unwrap();
            }
        }));
    }
    for task in clients.into_iter().chain(echoes) {
        task.await.unwrap();
    }
    assert_eq!(server.stats().links, 0);
}
