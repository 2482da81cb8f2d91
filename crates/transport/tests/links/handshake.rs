//! Who gets in.

use std::collections::HashSet;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use antiphon_transport::{
    Accept, CloseReason, DialError, Dialer, Incoming, Limits, LinkLost, PeerIdentity, Server,
};
use bytes::Bytes;
use rand::{Rng, SeedableRng};

use crate::{dial, identity, listen, pair};

async fn both_sides_know_each_other(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(kind(), kind()).await;
    assert_eq!(ours.remote_identity(), Some(identity(2).public()));
    assert_eq!(theirs.remote_identity(), Some(identity(1).public()));
}

async fn a_server_with_another_identity_is_refused(kind: fn() -> Limits) {
    let server = listen(Accept::AnyIdentity, kind());
    let dialer = Dialer::new(Some(&identity(2)), kind());
    let expected = identity(9).public();
    match dialer.dial(server.local_addr().unwrap(), expected).await {
        Err(DialError::WrongIdentity { presented, expected: wanted, .. }) => {
            assert_eq!((presented, wanted), (identity(1).public(), expected));
        }
        other => panic!("{other:?}"),
    }
}

async fn only_listed_identities_get_in_and_the_list_may_change(kind: fn() -> Limits) {
    let list = Arc::new(Mutex::new(HashSet::<PeerIdentity>::new()));
    let asked = Arc::clone(&list);
    let listed = Accept::Listed(Arc::new(move |who| asked.lock().unwrap().contains(who)));
    let mut server = listen(listed, kind());
    let addr = server.local_addr().unwrap();
    let dialer = Dialer::new(Some(&identity(2)), kind());
    let refused = dialer.dial(addr, identity(1).public()).await;
    assert!(matches!(refused, Err(DialError::Refused { .. })), "{refused:?}");

    list.lock().unwrap().insert(identity(2).public());
    let _link = dial(&server, &dialer).await;
    assert_eq!(server.accept().await.unwrap().remote_identity(), Some(identity(2).public()));

    list.lock().unwrap().clear();
    let refused = dialer.dial(addr, identity(1).public()).await;
    assert!(matches!(refused, Err(DialError::Refused { .. })), "{refused:?}");
}

async fn anonymous_clients_get_in_only_where_they_belong(kind: fn() -> Limits) {
    let anonymous = Dialer::new(None, kind());
    let named = Dialer::new(Some(&identity(2)), kind());
    let mut clients = listen(Accept::Anonymous, kind());
    let peers = listen(Accept::AnyIdentity, kind());

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
    let limits = Limits { handshake_timeout: Duration::from_millis(100), ..Limits::peers() };
    let dialer = Dialer::new(None, limits);
    let failed = dialer.dial(silent.local_addr().unwrap(), identity(1).public()).await;
    assert!(matches!(failed, Err(DialError::TimedOut { .. })), "{failed:?}");
}

async fn a_host_name_is_looked_up(kind: fn() -> Limits) {
    let server = listen(Accept::Anonymous, kind());
    let dialer = Dialer::new(None, kind());
    let host = format!("localhost:{}", server.local_addr().unwrap().port());
    assert!(dialer.dial_host(&host, identity(1).public()).await.is_ok());
    let failed = dialer.dial_host("no port", identity(1).public()).await;
    assert!(matches!(failed, Err(DialError::Lookup { .. })), "{failed:?}");
}

async fn one_address_gets_its_share_and_gets_it_back(kind: fn() -> Limits) {
    let mut server = listen(Accept::Anonymous, Limits { max_links_per_ip: 2, ..kind() });
    let addr = server.local_addr().unwrap();
    let dialer = Dialer::new(None, kind());
    let _first = dial(&server, &dialer).await;
    let _second = dial(&server, &dialer).await;
    let third = dialer.dial(addr, identity(1).public()).await;
    assert!(matches!(third, Err(DialError::Refused { .. })), "{third:?}");
    assert_eq!((server.stats().links, server.stats().refused()), (2, 1));

    server.accept().await.unwrap().close(CloseReason::NotWelcome);
    assert_eq!(server.stats().links, 1);
    let _fourth = dial(&server, &dialer).await;
}

async fn a_busy_server_asks_for_proof_of_address_and_still_serves(kind: fn() -> Limits) {
    let mut server = listen(Accept::AnyIdentity, Limits { retry_above: 0, ..kind() });
    let dialer = Dialer::new(Some(&identity(2)), kind());
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
    let mut server = listen(Accept::AnyIdentity, Limits::peers());
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
    let dialer = Dialer::new(Some(&identity(2)), Limits::peers());
    let _link = dial(&server, &dialer).await;
    assert!(server.accept().await.is_some());
}

async fn shutting_down_tells_the_other_sides(kind: fn() -> Limits) {
    let (_ours, theirs, (mut server, _dialer)) = pair(kind(), kind()).await;
    server.shut_down().await;
    assert_eq!(theirs.closed().await, LinkLost::ByPeer { reason: CloseReason::ShuttingDown });
    assert!(server.accept().await.is_none());
}

async fn many_links_at_once(kind: fn() -> Limits) {
    const LINKS: usize = 200;
    let limits = Limits { max_links_per_ip: LINKS, ..kind() };
    let mut server: Server = listen(Accept::Anonymous, limits);
    let addr = server.local_addr().unwrap();
    let dialer = Arc::new(Dialer::new(None, kind()));
    let clients: Vec<_> = (0..LINKS)
        .map(|i| {
            let dialer = Arc::clone(&dialer);
            tokio::spawn(async move {
                let link = dialer.dial(addr, identity(1).public()).await.unwrap();
                let (sender, mut receiver) = link.split();
                sender.send(Bytes::from(i.to_string())).await.unwrap();
                match receiver.recv().await {
                    Ok(Some(Incoming::Frame(frame))) => assert_eq!(frame, i.to_string()),
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
            while let Ok(Some(Incoming::Frame(frame))) = receiver.recv().await {
                sender.send(frame).await.unwrap();
            }
        }));
    }
    for task in clients.into_iter().chain(echoes) {
        task.await.unwrap();
    }
    assert_eq!(server.stats().links, 0);
}

over_both! {
    both_sides_know_each_other,
    a_server_with_another_identity_is_refused,
    only_listed_identities_get_in_and_the_list_may_change,
    anonymous_clients_get_in_only_where_they_belong,
    a_host_name_is_looked_up,
    one_address_gets_its_share_and_gets_it_back,
    a_busy_server_asks_for_proof_of_address_and_still_serves,
    shutting_down_tells_the_other_sides,
    many_links_at_once,
}
