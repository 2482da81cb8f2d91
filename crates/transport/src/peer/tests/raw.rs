//! Other sides that do not keep to the rules, spoken to over plain TLS.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, OnceLock};

use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::ServerName;
use rustls::{ClientConnection, ServerConnection, StreamOwned};

use super::*;
use crate::peer::answer::Answer;
use crate::tls;

type Raw = StreamOwned<ClientConnection, TcpStream>;

/// A TLS session that reads as much as it wants, and blocks.
fn connect(server: &PeerServer, provider: CryptoProvider, alpn: &[u8]) -> Raw {
    let identity = identity(2);
    let expected = Identity::from_seed(&SERVER).public();
    let shown = Arc::new(OnceLock::new());
    let mut tls = tls::client_config(provider, Some(&identity), expected, shown).unwrap();
    tls.alpn_protocols = if alpn.is_empty() { vec![] } else { vec![alpn.to_vec()] };
    let name = ServerName::try_from("raw").unwrap();
    let tls = ClientConnection::new(Arc::new(tls), name).unwrap();
    let tcp = TcpStream::connect(server.local_addr()).unwrap();
    tcp.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    StreamOwned::new(tls, tcp)
}

/// A link whose dialler says `then`; gives what it hears, too.
async fn say(
    server: &mut PeerServer,
    then: Vec<u8>,
) -> (PeerReceiver, tokio::task::JoinHandle<Vec<Answer>>) {
    let mut raw = connect(server, tls::provider(), Lane::Control.alpn());
    let speaking = tokio::task::spawn_blocking(move || {
        // Fails if the server has hung up by then.
        let _ = raw.write_all(&then);
        let mut heard = Vec::new();
        let _ = raw.read_to_end(&mut heard);
        heard.into_iter().map(Answer::decode).collect()
    });
    (server.accept().await.unwrap(), speaking)
}

#[tokio::test]
async fn a_stranger_has_little_room_and_little_time_and_learns_why_it_is_closed() {
    let limits = Limits {
        max_received_bytes: 100,
        frame_within: Duration::from_millis(200),
        ..Limits::shards()
    };
    let mut server = server(limits);
    for (len, error, reason) in [
        (
            101_u32,
            RecvError::FrameTooLarge(crate::FrameTooLarge { len: 101, max: 100 }),
            CloseReason::FrameTooLarge,
        ),
        (100, RecvError::Unfinished, CloseReason::Protocol),
    ] {
        let (mut receiver, heard) = say(&mut server, len.to_be_bytes().to_vec()).await;
        assert_eq!(receiver.recv().await, Err(error));
        assert_eq!(heard.await.unwrap().last(), Some(&Answer::Closing(reason)));
    }
    // Whoever is trusted has both.
    let frame = [&101_u32.to_be_bytes()[..], &[7; 101]].concat();
    let (mut receiver, _heard) = say(&mut server, frame).await;
    receiver.trust(101);
    assert_eq!(receiver.recv().await.unwrap().unwrap(), vec![7; 101]);
    assert!(timeout(2 * SETTLED, receiver.recv()).await.is_err());
}

#[tokio::test]
async fn all_strangers_together_have_one_budget() {
    let limits = Limits { max_unfinished_bytes: 140_000, ..Limits::shards() };
    let mut server = server(limits);
    let mut held = Vec::new();
    for number in 0..3 {
        let begun = [&65_000_u32.to_be_bytes()[..], &[7; 10_000]].concat();
        let (mut receiver, speaking) = say(&mut server, begun).await;
        let received = timeout(SETTLED, receiver.recv()).await;
        match (number, &received) {
            (0 | 1, Err(_)) | (2, Ok(Err(RecvError::NoRoom))) => {}
            _ => panic!("{number}: {received:?}"),
        }
        held.push((receiver, speaking));
    }
}

#[tokio::test]
async fn empty_frames_say_nothing() {
    let mut server = server(Limits::shards());
    let said = [&[0; 4000][..], &[0, 0, 0, 2, 8, 9], &[0; 8]].concat();
    let (mut receiver, _heard) = say(&mut server, said).await;
    assert_eq!(receiver.recv().await.unwrap().unwrap(), &[8, 9][..]);
    assert!(timeout(SETTLED, receiver.recv()).await.is_err());
}

#[tokio::test]
async fn hanging_up_is_not_a_goodbye_and_neither_is_ending_within_a_frame() {
    let mut server = server(Limits::shards());
    for (goodbye, error) in [(false, None), (true, Some(RecvError::Truncated))] {
        let mut raw = connect(&server, tls::provider(), Lane::Control.alpn());
        let speaking = tokio::task::spawn_blocking(move || {
            // Nothing is left unread: hanging up over it would take back what was said.
            raw.read_exact(&mut [0]).unwrap();
            raw.write_all(&[0, 0, 0, 9, 1]).unwrap();
            if goodbye {
                raw.conn.send_close_notify();
                raw.flush().unwrap();
            }
        });
        let mut receiver = server.accept().await.unwrap();
        speaking.await.unwrap();
        match (receiver.recv().await, error) {
            (Err(RecvError::Lost(LinkLost::Transport(_))), None) => {}
            (Err(found), Some(error)) if found == error => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_peer_that_stops_answering_is_lost() {
    let brief = Limits { idle_timeout: Duration::from_millis(200), ..Limits::shards() };
    let mut server = server(brief);
    let (mut receiver, silent) = say(&mut server, Vec::new()).await;
    assert_eq!(receiver.recv().await, Err(RecvError::Lost(LinkLost::TimedOut)));
    drop(receiver);
    silent.await.unwrap();
}

#[tokio::test]
async fn a_shard_that_answers_nonsense_or_nothing_is_left() {
    for (said, expected) in [
        (vec![Answer::LetIn.encode()], LinkLost::TimedOut),
        (
            vec![Answer::LetIn.encode(); 2],
            LinkLost::Transport("it let this side in twice".to_owned()),
        ),
        (
            vec![Answer::LetIn.encode(), 1, 1, 1, 3],
            LinkLost::ByPeer { reason: CloseReason::ShuttingDown },
        ),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let answering = tokio::task::spawn_blocking(move || {
            let identity = Identity::from_seed(&SERVER);
            let mut tls = tls::server_config(&identity, Some(Arc::new(|_| true))).unwrap();
            tls.alpn_protocols = vec![Lane::Control.alpn().to_vec()];
            let tls = ServerConnection::new(Arc::new(tls)).unwrap();
            let mut raw = StreamOwned::new(tls, listener.accept().unwrap().0);
            raw.write_all(&said).unwrap();
            let _ = raw.read_to_end(&mut Vec::new());
        });
        let brief = Limits {
            idle_timeout: Duration::from_millis(300),
            keep_alive: None,
            ..Limits::shards()
        };
        let dialer = PeerDialer::new(&identity(2), brief);
        let mut sender = dialer.dial(addr, identity(1).public(), Lane::Control).await.unwrap();
        assert_eq!(sender.idle().await, expected);
        drop(sender);
        answering.await.unwrap();
    }
}

#[tokio::test]
async fn the_key_exchange_is_hybrid_or_nothing_and_other_protocols_are_refused() {
    let server = server(Limits::shards());
    let classical =
        CryptoProvider { kx_groups: vec![aws_lc_rs::kx_group::X25519], ..tls::provider() };
    let provider = tls::provider;
    for (provider, alpn) in [
        (classical, Lane::Control.alpn()),
        (provider(), b"h2"),
        (provider(), b""),
        (provider(), b"antiphon/2 gateway"),
    ] {
        let mut raw = connect(&server, provider, alpn);
        let refused = tokio::task::spawn_blocking(move || raw.read_exact(&mut [0]));
        assert!(refused.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_is_harmless() {
    let mut server = server(Limits::shards());
    for len in [0, 1, 100, 10_000] {
        let mut tcp = TcpStream::connect(server.local_addr()).unwrap();
        tcp.write_all(&vec![len as u8; len]).unwrap();
    }
    let _link = dial(&server, Limits::shards(), Lane::Control).await;
    assert!(server.accept().await.is_some());
}
