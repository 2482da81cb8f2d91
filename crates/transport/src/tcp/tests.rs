//! Other sides that do not play by the rules, spoken to over plain TLS.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, StreamOwned};

use super::record::{RECORD_BYTES, Record};
use crate::tls;
use crate::{Accept, CloseReason, Dialer, Identity, Incoming, Limits, LinkLost, RecvError, Server};

const SERVER: [u8; 32] = [1; 32];
const HELLO: Record = Record::Hello { window: 1000, max_bulks: 1 };
const ALPN: &[u8] = b"antiphon/2 shards";

fn server(limits: Limits) -> Server {
    let addr = "127.0.0.1:0".parse().unwrap();
    Server::bind(addr, &Identity::from_seed(&SERVER), Accept::AnyIdentity, limits).unwrap()
}

type Raw = StreamOwned<ClientConnection, TcpStream>;

/// A TLS session that reads as much as it wants, and blocks.
fn connect(server: &Server, provider: CryptoProvider, alpn: &[u8]) -> Raw {
    let expected = Identity::from_seed(&SERVER).public();
    let identity = Identity::from_seed(&[2; 32]);
    let shown = Arc::new(OnceLock::new());
    let mut tls = tls::client_config(provider, Some(&identity), expected, shown).unwrap();
    tls.alpn_protocols = if alpn.is_empty() { vec![] } else { vec![alpn.to_vec()] };
    let name = ServerName::try_from("raw").unwrap();
    let tls = ClientConnection::new(Arc::new(tls), name).unwrap();
    let tcp = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    StreamOwned::new(tls, tcp)
}

/// What the server says, up to its goodbye.
fn said(raw: &mut Raw) -> Vec<Record> {
    let mut records = Vec::new();
    let mut bytes = [0; RECORD_BYTES];
    while raw.read_exact(&mut bytes).is_ok() {
        records.push(Record::decode(bytes).unwrap());
    }
    records
}

/// Says hello and `then`, and returns how the link ended for the server and for us.
async fn misbehave(limits: Limits, then: Vec<u8>) -> (LinkLost, Vec<Record>) {
    let mut server = server(limits);
    let mut raw = connect(&server, tls::provider(), ALPN);
    let speaking = tokio::task::spawn_blocking(move || {
        raw.write_all(&HELLO.encode()).unwrap();
        // Fails if the server has hung up by then.
        let _ = raw.write_all(&then);
        said(&mut raw)
    });
    let link = server.accept().await.unwrap();
    let lost = link.closed().await;
    (lost, speaking.await.unwrap())
}

fn records(records: &[Record]) -> Vec<u8> {
    records.iter().flat_map(|record| record.encode()).collect()
}

#[tokio::test]
async fn what_no_peer_says_costs_it_the_link() {
    let small = Limits { stream_window_bytes: 1000, max_bulks: 2, ..Limits::shards() };
    let data = |stream, len: u32| {
        [&Record::Data { stream, len }.encode()[..], &vec![0; len as usize][..]].concat()
    };
    let open = |stream| Record::Open { stream };
    for then in [
        vec![0xff; 100],
        records(&[HELLO]),
        // More than the window.
        data(0, 1001),
        [data(0, 600), data(0, 600)].concat(),
        // Bulks out of order, too many, or never opened.
        records(&[open(2)]),
        records(&[open(0)]),
        records(&[open(1), open(2), open(3)]),
        data(1, 10),
        records(&[Record::Finish { stream: 1 }]),
        // After the end of a stream.
        [records(&[open(1), Record::Finish { stream: 1 }]), data(1, 1)].concat(),
        // About streams that the server did not open.
        records(&[Record::Released { stream: 0 }]),
        records(&[Record::Received { stream: 1 }]),
        records(&[Record::Credit { stream: 1, bytes: 1 }]),
    ] {
        let (lost, heard) = misbehave(small.clone(), then.clone()).await;
        assert_eq!(lost, LinkLost::ByUs, "{then:?}");
        let code = CloseReason::Protocol.number();
        assert_eq!(heard.last(), Some(&Record::Close { code }), "{then:?}");
    }
}

#[tokio::test]
async fn pings_are_answered_and_credit_is_only_credit() {
    let then = records(&[
        Record::Ping,
        Record::Credit { stream: 0, bytes: u32::MAX },
        Record::Credit { stream: 0, bytes: u32::MAX },
        Record::Stop { stream: 0, code: 0 },
        Record::Close { code: 1 },
    ]);
    let (lost, heard) = misbehave(Limits::shards(), then).await;
    assert_eq!(lost, LinkLost::ByPeer { reason: CloseReason::ShuttingDown });
    assert!(matches!(heard[0], Record::Hello { .. }), "{heard:?}");
}

#[tokio::test]
async fn hanging_up_is_not_a_goodbye() {
    let mut server = server(Limits::shards());
    let mut raw = connect(&server, tls::provider(), ALPN);
    let hung_up = tokio::task::spawn_blocking(move || {
        raw.write_all(&HELLO.encode()).unwrap();
        drop(raw);
    });
    let (_sender, mut receiver) = server.accept().await.unwrap().split();
    hung_up.await.unwrap();
    let ended = receiver.recv().await;
    assert!(matches!(ended, Err(RecvError::Lost(LinkLost::Transport(_)))), "{ended:?}");
}

#[tokio::test]
async fn a_peer_that_stops_answering_is_lost() {
    let brief = Limits { idle_timeout: Duration::from_millis(200), ..Limits::shards() };
    let mut server = server(brief);
    let mut raw = connect(&server, tls::provider(), ALPN);
    let silent = tokio::task::spawn_blocking(move || {
        raw.write_all(&HELLO.encode()).unwrap();
        said(&mut raw)
    });
    assert_eq!(server.accept().await.unwrap().closed().await, LinkLost::TimedOut);
    silent.await.unwrap();
}

#[tokio::test]
async fn an_idle_link_with_keep_alive_stays() {
    let brief = Limits {
        idle_timeout: Duration::from_millis(400),
        keep_alive: Some(Duration::from_millis(50)),
        ..Limits::shards()
    };
    // The server alone keeps it alive: the answers are enough for it, the questions for the other.
    let mut server = server(brief.clone());
    let quiet = Limits { keep_alive: None, ..brief.clone() };
    let dialer = Dialer::new(Some(&Identity::from_seed(&[2; 32])), quiet);
    let who = Identity::from_seed(&SERVER).public();
    let theirs = dialer.dial(server.local_addr().unwrap(), who).await.unwrap();
    let (_sender, mut receiver) = server.accept().await.unwrap().split();
    let idle = tokio::time::timeout(brief.idle_timeout * 3, receiver.recv()).await;
    assert!(idle.is_err(), "{idle:?}");
    let (sender, _receiver) = theirs.split();
    sender.send(bytes::Bytes::from_static(b"still here")).await.unwrap();
    assert!(matches!(receiver.recv().await, Ok(Some(Incoming::Frame(_)))));
}

#[tokio::test]
async fn the_key_exchange_is_hybrid_or_nothing_and_other_protocols_are_refused() {
    let server = server(Limits::shards());
    let classical =
        CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..tls::provider() };
    let provider = tls::provider;
    for (provider, alpn) in [
        (classical, ALPN),
        (provider(), b"h2"),
        (provider(), b""),
        (provider(), b"antiphon/2 gateway"),
    ] {
        let mut raw = connect(&server, provider, alpn);
        let refused = tokio::task::spawn_blocking(move || {
            raw.write_all(&HELLO.encode()).and_then(|()| raw.read_exact(&mut [0; RECORD_BYTES]))
        });
        assert!(refused.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_is_harmless() {
    let mut server = server(Limits::shards());
    for len in [0, 1, 100, 10_000] {
        let mut tcp = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        tcp.write_all(&vec![len as u8; len]).unwrap();
    }
    let dialer = Dialer::new(Some(&Identity::from_seed(&[2; 32])), Limits::shards());
    let who = Identity::from_seed(&SERVER).public();
    let _link = dialer.dial(server.local_addr().unwrap(), who).await.unwrap();
    assert!(server.accept().await.is_some());
}
