//! Other sides that do not play by the rules, spoken to over plain QUIC.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::crypto::{CryptoProvider, aws_lc_rs};

use tokio::time::{Instant, timeout};

use crate::{
    Accept, CloseReason, Dialer, Identity, Limits, LinkLost, LinkReceiver, LinkSender, RecvError,
    Server, tls,
};

const SERVER: [u8; 32] = [1; 32];
const ALPN: &[u8] = b"antiphon/2 gateway";

fn server() -> Server {
    server_with(Limits::clients())
}

fn server_with(limits: Limits) -> Server {
    let identity = Identity::from_seed(&SERVER);
    let addr = "127.0.0.1:0".parse().unwrap();
    Server::bind(addr, &identity, Accept::Anonymous, limits).unwrap()
}

/// The server's half of a new link, and what a client has of it.
async fn linked(
    server: &mut Server,
) -> (LinkReceiver, (LinkSender, Connection, RecvStream), SendStream) {
    let (conn, send, recv) = control(server).await;
    let (sender, receiver) = server.accept().await.unwrap().split();
    (receiver, (sender, conn, recv), send)
}

#[tokio::test]
async fn a_stranger_has_little_room_and_little_time() {
    let frame_within = Duration::from_millis(200);
    let limits = Limits { max_received_bytes: 100, frame_within, ..Limits::clients() };
    let mut server = server_with(limits);

    let (mut receiver, _rest, mut send) = linked(&mut server).await;
    send.write_all(&101_u32.to_be_bytes()).await.unwrap();
    assert!(matches!(receiver.recv().await, Err(RecvError::FrameTooLarge(_))));

    let (mut receiver, _rest, mut send) = linked(&mut server).await;
    send.write_all(&100_u32.to_be_bytes()).await.unwrap();
    assert_eq!(receiver.recv().await.unwrap_err(), RecvError::Unfinished);

    // Saying nothing is no frame that has begun.
    let (mut receiver, _rest, mut send) = linked(&mut server).await;
    assert!(timeout(2 * frame_within, receiver.recv()).await.is_err());
    receiver.trust(1000);
    send.write_all(&1000_u32.to_be_bytes()).await.unwrap();
    assert!(timeout(2 * frame_within, receiver.recv()).await.is_err());
    send.write_all(&[7; 1000]).await.unwrap();
    assert!(matches!(receiver.recv().await, Ok(Some(frame)) if frame.len() == 1000));

    server.accept_up_to(200);
    let (mut receiver, _rest, mut send) = linked(&mut server).await;
    send.write_all(&[&200_u32.to_be_bytes()[..], &[7; 200]].concat()).await.unwrap();
    assert!(matches!(receiver.recv().await, Ok(Some(frame)) if frame.len() == 200));
}

#[tokio::test]
async fn all_strangers_together_have_one_budget() {
    let limits = Limits {
        max_received_bytes: 64 << 10,
        max_unfinished_bytes: 40 << 10,
        ..Limits::clients()
    };
    let mut server = server_with(limits);
    let mut held = Vec::new();
    for number in 0..3 {
        let (mut receiver, rest, mut send) = linked(&mut server).await;
        send.write_all(&[&65_000_u32.to_be_bytes()[..], &[7; 10_000]].concat()).await.unwrap();
        let received = timeout(Duration::from_millis(300), receiver.recv()).await;
        match (number, &received) {
            (0 | 1, Err(_)) | (2, Ok(Err(RecvError::NoRoom))) => {}
            _ => panic!("{number}: {received:?}"),
        }
        held.push((receiver, rest, send));
    }
}

#[tokio::test]
async fn each_kind_of_port_takes_its_own_links_only() {
    let server = server();
    let who = Identity::from_seed(&SERVER).public();
    for limits in [Limits::documents(), Limits::coordinator()] {
        let dialled = Dialer::new(None, limits).dial(server.local_addr().unwrap(), who).await;
        assert!(dialled.is_err());
    }
    assert!(
        Dialer::new(None, Limits::clients()).dial(server.local_addr().unwrap(), who).await.is_ok()
    );
}

#[tokio::test]
async fn dead_addresses_of_a_host_cost_a_quarter_of_a_second_each_and_are_named() {
    let server = server();
    let who = Identity::from_seed(&SERVER).public();
    let silent = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let silent = silent.each_ref().map(|socket| socket.local_addr().unwrap());
    let addresses = silent.into_iter().chain([server.local_addr().unwrap()]);
    let began = Instant::now();
    let dialer = Dialer::new(None, Limits::clients());
    assert!(dialer.dial_any("host", addresses, who).await.is_ok());
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());

    let limits = Limits { handshake_timeout: Duration::from_millis(300), ..Limits::clients() };
    let failed = Dialer::new(None, limits).dial_any("host", silent.into_iter(), who).await;
    let said = failed.unwrap_err().to_string();
    assert!(silent.iter().all(|addr| said.contains(&addr.to_string())), "{said}");
}

#[test]
fn a_process_that_was_restarted_ends_the_links_of_the_one_before() {
    let [before, after] = [(); 2].map(|()| tokio::runtime::Runtime::new().unwrap());
    let who = Identity::from_seed(&SERVER);
    let server = before.block_on(async { server() });
    let addr = server.local_addr().unwrap();
    let dialer = Dialer::new(None, Limits::clients());
    let link = after.block_on(dialer.dial(addr, who.public())).unwrap();
    // Gone without a word.
    before.shutdown_timeout(Duration::from_secs(5));
    drop(server);
    after.block_on(async {
        let again = || Server::bind(addr, &who, Accept::Anonymous, Limits::clients());
        let mut server = again();
        for _ in 0..50 {
            if server.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            server = again();
        }
        let _server = server.unwrap();
        let (sender, _receiver) = link.split();
        let _ = sender.send(bytes::Bytes::from_static(b"still there?")).await;
        let lost = timeout(Duration::from_secs(8), sender.closed()).await;
        assert!(matches!(lost, Ok(LinkLost::Transport(_))), "{lost:?}");
    });
}

async fn connect(
    server: &Server,
    provider: CryptoProvider,
    alpn: &[u8],
) -> Result<Connection, ConnectionError> {
    let expected = Identity::from_seed(&SERVER).public();
    let mut tls = tls::client_config(provider, None, expected, Arc::new(OnceLock::new())).unwrap();
    tls.alpn_protocols = vec![alpn.to_vec()];
    let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    let endpoint = Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.connect_with(config, server.local_addr().unwrap(), "raw").unwrap().await
}

async fn control(server: &Server) -> (Connection, SendStream, RecvStream) {
    let conn = connect(server, tls::provider(), ALPN).await.unwrap();
    let (send, recv) = conn.accept_bi().await.unwrap();
    (conn, send, recv)
}

#[tokio::test]
async fn the_key_exchange_is_hybrid_or_nothing() {
    let server = server();
    for group in
        [aws_lc_rs::kx_group::X25519, aws_lc_rs::kx_group::SECP256R1, aws_lc_rs::kx_group::MLKEM768]
    {
        let provider = CryptoProvider { kx_groups: vec![group], ..tls::provider() };
        let refused = connect(&server, provider, ALPN).await;
        assert!(matches!(refused, Err(ConnectionError::ConnectionClosed(_))), "{refused:?}");
    }
    let hybrid =
        CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768], ..tls::provider() };
    assert!(connect(&server, hybrid, ALPN).await.is_ok());
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let server = server();
    let refused = connect(&server, tls::provider(), b"h3").await;
    assert!(matches!(refused, Err(ConnectionError::ConnectionClosed(_))), "{refused:?}");
}

#[tokio::test]
async fn garbage_on_the_control_stream_costs_the_link_only() {
    let mut server = server();
    let (conn, mut send, _recv) = control(&server).await;
    let (_, mut receiver) = server.accept().await.unwrap().split();
    send.write_all(&[0xff; 5000]).await.unwrap();
    assert!(matches!(receiver.recv().await, Err(RecvError::FrameTooLarge(_))));
    let reason = LinkLost::from(conn.closed().await);
    assert_eq!(reason, LinkLost::ByPeer { reason: CloseReason::FrameTooLarge });

    let (_conn, mut send, _recv) = control(&server).await;
    let (_, mut receiver) = server.accept().await.unwrap().split();
    send.write_all(&[0, 0, 0, 2, 8, 9]).await.unwrap();
    assert!(matches!(receiver.recv().await, Ok(Some(f)) if *f == [8, 9]));
}

#[tokio::test]
async fn a_stream_ending_within_a_frame_is_an_error() {
    let mut server = server();
    let (mut receiver, (_sender, conn, _recv), mut send) = linked(&mut server).await;
    send.write_all(&[0, 0, 0, 1, 5, 0, 0, 0, 9, 1]).await.unwrap();
    send.finish().unwrap();
    assert_eq!(receiver.recv().await.unwrap().unwrap(), &[5][..]);
    assert_eq!(receiver.recv().await, Err(RecvError::Truncated));
    let reason = LinkLost::from(conn.closed().await);
    assert_eq!(reason, LinkLost::ByPeer { reason: CloseReason::Protocol });
    let again = receiver.recv().await;
    assert!(again.is_err(), "{again:?}");
}

#[tokio::test]
async fn a_client_cannot_open_streams_of_its_own() {
    let mut server = server();
    let (conn, _send, _recv) = control(&server).await;
    let _link = server.accept().await.unwrap();
    let ready = tokio::select! {
        biased;
        _ = conn.open_bi() => true,
        _ = conn.open_uni() => true,
        () = std::future::ready(()) => false,
    };
    assert!(!ready);
}
