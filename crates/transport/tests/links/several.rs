//! Several links over one connection.

use antiphon_transport::{
    Accept, CloseReason, Connection, DialError, Dialer, Limits, LinkLost, LinkReceiver, LinkSender,
    RecvError, Server,
};
use bytes::Bytes;

use crate::{identity, listen};

type Halves = (LinkSender, LinkReceiver);

fn limits(links_per_connection: u32) -> Limits {
    Limits { links_per_connection, max_received_bytes: 64 << 10, ..Limits::clients() }
}

async fn connect(server: &Server) -> Connection {
    let dialer = Dialer::new(None, limits(8));
    dialer.connect(server.local_addr().unwrap(), identity(1).public()).await.unwrap()
}

/// Both ends of a link, the server's first.
async fn open(server: &mut Server, connection: &Connection) -> (Halves, Halves) {
    let theirs = connection.open_link().await.unwrap();
    (server.accept().await.unwrap().split(), theirs.split())
}

async fn frame(receiver: &mut LinkReceiver) -> Bytes {
    match receiver.recv().await {
        Ok(Some(frame)) => frame,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn each_link_carries_its_own_frames_both_ways() {
    let mut server = listen(Accept::Anonymous, limits(3));
    let connection = connect(&server).await;
    let mut links = Vec::new();
    for _ in 0..3 {
        links.push(open(&mut server, &connection).await);
    }
    assert_eq!(server.stats().links, 3);
    for (i, ((ours, _), (theirs, _))) in links.iter().enumerate() {
        ours.send(Bytes::from(format!("down {i}"))).await.unwrap();
        theirs.send(Bytes::from(format!("up {i}"))).await.unwrap();
    }
    for (i, ((_, ours), (_, theirs))) in links.iter_mut().enumerate() {
        assert_eq!(frame(ours).await, format!("up {i}"));
        assert_eq!(frame(theirs).await, format!("down {i}"));
    }
}

#[tokio::test]
async fn a_link_closes_alone_and_the_last_closes_the_connection() {
    let mut server = listen(Accept::Anonymous, limits(3));
    let connection = connect(&server).await;
    let (mut first, mut their_first) = open(&mut server, &connection).await;
    let (second, mut their_second) = open(&mut server, &connection).await;
    let (third, their_third) = open(&mut server, &connection).await;

    // One side closes the first, the other drops the third: the second stays.
    first.0.close(CloseReason::Protocol);
    let lost = LinkLost::ByPeer { reason: CloseReason::Protocol };
    assert_eq!(their_first.0.closed().await, lost);
    assert!(matches!(their_first.1.recv().await, Err(RecvError::Lost(why)) if why == lost));
    assert_eq!(first.0.closed().await, LinkLost::ByUs);
    assert!(matches!(first.1.recv().await, Err(RecvError::Lost(LinkLost::ByUs))));
    assert!(first.0.send(Bytes::new()).await.is_err());
    drop(their_third);
    assert_eq!(third.0.closed().await, LinkLost::ByPeer { reason: CloseReason::Done });
    second.0.send(Bytes::from_static(b"still here")).await.unwrap();
    assert_eq!(frame(&mut their_second.1).await, &b"still here"[..]);

    // Their places are free again.
    drop((first, third, their_first));
    assert_eq!(server.stats().links, 1);
    let (fourth, their_fourth) = open(&mut server, &connection).await;

    drop(their_fourth);
    assert_eq!(fourth.0.closed().await, LinkLost::ByPeer { reason: CloseReason::Done });
    drop(fourth);
    second.0.close(CloseReason::Overloaded);
    let lost = LinkLost::ByPeer { reason: CloseReason::Overloaded };
    assert_eq!(their_second.0.closed().await, lost);
    assert!(matches!(connection.open_link().await, Err(DialError::Refused { .. })));
}

#[tokio::test]
async fn a_finished_link_ends_after_its_last_frame_beside_others() {
    let mut server = listen(Accept::Anonymous, limits(2));
    let connection = connect(&server).await;
    let _first = open(&mut server, &connection).await;
    let ((_sender, mut receiver), (their_sender, _theirs)) = open(&mut server, &connection).await;
    their_sender.send(Bytes::from_static(b"last")).await.unwrap();
    their_sender.finish().await.unwrap();
    their_sender.close(CloseReason::Done);
    assert_eq!(frame(&mut receiver).await, &b"last"[..]);
    assert!(matches!(receiver.recv().await, Ok(None)));
}

#[tokio::test]
async fn no_more_links_than_the_server_allows() {
    let mut server = listen(Accept::Anonymous, limits(2));
    let connection = connect(&server).await;
    let first = open(&mut server, &connection).await;
    let second = open(&mut server, &connection).await;
    for _ in 0..5 {
        let third = connection.open_link().await;
        assert!(matches!(third, Err(DialError::Refused { .. })), "{third:?}");
    }
    assert_eq!((server.stats().links, server.stats().refused()), (2, 5));
    drop(first);
    let _third = open(&mut server, &connection).await;
    drop(second);
}

#[tokio::test]
async fn links_of_one_connection_count_among_all_links() {
    let mut server = listen(Accept::Anonymous, Limits { max_links: 2, ..limits(8) });
    let connection = connect(&server).await;
    let _first = open(&mut server, &connection).await;
    let _second = open(&mut server, &connection).await;
    let third = connection.open_link().await;
    assert!(matches!(third, Err(DialError::Refused { .. })), "{third:?}");
}

#[tokio::test]
async fn a_link_that_is_not_read_holds_up_no_other() {
    let mut server = listen(Accept::Anonymous, limits(2));
    let connection = connect(&server).await;
    let (_unread, theirs) = open(&mut server, &connection).await;
    let (mut other, their_other) = open(&mut server, &connection).await;
    let stuck =
        tokio::spawn(
            async move { while theirs.0.send(Bytes::from(vec![0; 60_000])).await.is_ok() {} },
        );
    for _ in 0..20 {
        their_other.0.send(Bytes::from(vec![1; 60_000])).await.unwrap();
        assert_eq!(frame(&mut other.1).await.len(), 60_000);
    }
    assert!(!stuck.is_finished());
    stuck.abort();
}
