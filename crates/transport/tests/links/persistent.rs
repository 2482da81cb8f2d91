//! A peer's link across losses.

use std::sync::Arc;
use std::time::Duration;

use antiphon_transport::{
    Accept, CloseReason, Dialer, Incoming, Limits, PeerEvent, Persistence, Persistent, QueueFull,
};
use bytes::Bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use crate::{identity, listen};

fn start(
    host: String,
    queue: usize,
    limits: Limits,
) -> (Persistent, tokio::sync::mpsc::Receiver<PeerEvent>) {
    let persistence =
        Persistence { first_wait: Duration::from_millis(5), queue, ..Persistence::default() };
    let dialer = Arc::new(Dialer::new(Some(&identity(2)), limits));
    let rng = ChaCha20Rng::seed_from_u64(1);
    Persistent::start(dialer, host, identity(1).public(), persistence, rng)
}

async fn a_lost_link_comes_back_and_carries_on(kind: fn() -> Limits) {
    let mut server = listen(Accept::AnyIdentity, kind());
    let (peer, mut events) = start(server.local_addr().unwrap().to_string(), 8, kind());
    for i in 0..3_u8 {
        let (sender, mut receiver) = server.accept().await.unwrap().split();
        let Some(PeerEvent::Up(_their_receiver)) = events.recv().await else { panic!("not up") };
        peer.send(Bytes::from(vec![i])).unwrap();
        peer.send_bulk(vec![Bytes::from(vec![i, i])]).unwrap();
        for _ in 0..2 {
            match receiver.recv().await {
                Ok(Some(Incoming::Frame(frame))) => assert_eq!(*frame, [i]),
                Ok(Some(Incoming::Bulk(mut bulk))) => {
                    assert_eq!(*bulk.next().await.unwrap().unwrap(), [i, i]);
                    assert_eq!(bulk.next().await, Ok(None));
                }
                other => panic!("{other:?}"),
            }
        }
        sender.close(CloseReason::Overloaded);
        assert!(matches!(events.recv().await, Some(PeerEvent::Down(_))));
    }
    assert_eq!(peer.lost(), 0);
}

#[tokio::test]
async fn a_full_queue_drops_and_reports() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let (peer, _events) = start(silent.local_addr().unwrap().to_string(), 2, Limits::peers());
    assert_eq!(peer.send(Bytes::new()), Ok(()));
    assert_eq!(peer.send_bulk(Vec::new()), Ok(()));
    assert_eq!(peer.send(Bytes::new()), Err(QueueFull));
    assert_eq!(peer.lost(), 1);
}

over_both! {
    a_lost_link_comes_back_and_carries_on,
}
