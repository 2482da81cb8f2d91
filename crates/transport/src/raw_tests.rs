//! Other sides that do not play by the rules, spoken to over plain QUIC.

use std::sync::{Arc, OnceLock};

use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, ConnectionError, Endpoint, RecvStream, SendStream};
use rustls::crypto::{CryptoProvider, aws_lc_rs};

use crate::{Accept, CloseReason, Identity, Incoming, Limits, LinkLost, RecvError, Server, tls};

const SERVER: [u8; 32] = [1; 32];

fn server() -> Server {
    let identity = Identity::from_seed(&SERVER);
    let addr = "127.0.0.1:0".parse().unwrap();
    Server::bind(addr, &identity, Accept::Anonymous, Limits::clients()).unwrap()
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
    let conn = connect(server, tls::provider(), b"antiphon/1").await.unwrap();
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
        let refused = connect(&server, provider, b"antiphon/1").await;
        assert!(matches!(refused, Err(ConnectionError::ConnectionClosed(_))), "{refused:?}");
    }
    let hybrid =
        CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519MLKEM768], ..tls::provider() };
    assert!(connect(&server, hybrid, b"antiphon/1").await.is_ok());
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
    assert!(matches!(receiver.recv().await, Ok(Some(Incoming::Frame(f))) if *f == [8, 9]));
}

#[tokio::test]
async fn a_stream_ending_within_a_frame_is_an_error() {
    let mut server = server();
    let (conn, _send, _recv) = control(&server).await;
    let (_, mut receiver) = server.accept().await.unwrap().split();
    let mut uni = conn.open_uni().await.unwrap();
    uni.write_all(&[0, 0, 0, 1, 5, 0, 0, 0, 9, 1]).await.unwrap();
    uni.finish().unwrap();
    let Ok(Some(Incoming::Bulk(mut bulk))) = receiver.recv().await else { panic!("no bulk") };
    assert_eq!(bulk.next().await.unwrap().unwrap(), &[5][..]);
    assert_eq!(bulk.next().await, Err(RecvError::Truncated));
    let reason = LinkLost::from(conn.closed().await);
    assert_eq!(reason, LinkLost::ByPeer { reason: CloseReason::Protocol });
}

#[tokio::test]
async fn a_client_cannot_open_two_way_streams_nor_more_bulks_than_allowed() {
    let mut server = server();
    let (conn, _send, _recv) = control(&server).await;
    let _link = server.accept().await.unwrap();
    let mut bulks = Vec::new();
    for _ in 0..Limits::clients().max_bulks {
        bulks.push(conn.open_uni().await.unwrap());
    }
    let ready = tokio::select! {
        biased;
        _ = conn.open_bi() => true,
        _ = conn.open_uni() => true,
        () = std::future::ready(()) => false,
    };
    assert!(!ready);
}
