//! Frames, bulks, and what holds them back.

use std::time::Duration;

use antiphon_transport::{
    Accept, BulkReceiver, CloseReason, Dialer, Incoming, Limits, LinkLost, LinkReceiver, RecvError,
    SendError,
};
use bytes::Bytes;
use tokio::time::timeout;

use crate::{dial, identity, listen, pair};

const WINDOW: u32 = 64 << 10;

fn small(kind: fn() -> Limits) -> Limits {
    Limits { stream_window_bytes: WINDOW, max_bulks: 3, ..kind() }
}

/// Long enough for anything to pass that is going to pass on the loopback interface.
const SETTLED: Duration = Duration::from_millis(300);

async fn frame(receiver: &mut LinkReceiver) -> Bytes {
    match receiver.recv().await {
        Ok(Some(Incoming::Frame(frame))) => frame,
        other => panic!("{other:?}"),
    }
}

async fn bulk(receiver: &mut LinkReceiver) -> BulkReceiver {
    match receiver.recv().await {
        Ok(Some(Incoming::Bulk(bulk))) => bulk,
        other => panic!("{other:?}"),
    }
}

async fn control_frames_arrive_in_order_both_ways(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(kind(), kind()).await;
    let (ours, theirs) = (ours.split(), theirs.split());
    for (sender, mut receiver) in [(ours.0, theirs.1), (theirs.0, ours.1)] {
        let sent: Vec<_> = (0..300_usize).map(|i| Bytes::from(vec![i as u8; i * 7])).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            let (alone, together) = sent.split_at(150);
            for frame in alone {
                sender.send(frame.clone()).await.unwrap();
            }
            sender.send_all(together).await.unwrap();
            sender
        });
        for wanted in expected {
            assert_eq!(frame(&mut receiver).await, wanted);
        }
        sending.await.unwrap();
    }
}

async fn a_finished_link_ends_after_its_last_frame(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(kind(), kind()).await;
    let (sender, _their_receiver) = theirs.split();
    sender.send(Bytes::from_static(b"last")).await.unwrap();
    sender.finish().await.unwrap();
    sender.close(CloseReason::Done);
    let (_sender, mut receiver) = ours.split();
    assert_eq!(frame(&mut receiver).await, &b"last"[..]);
    assert!(matches!(receiver.recv().await, Ok(None)));
}

async fn a_frame_too_long_closes_its_link_and_no_other(kind: fn() -> Limits) {
    let mut server = listen(Accept::AnyIdentity, Limits { max_received_bytes: 1000, ..kind() });
    let dialer = Dialer::new(Some(&identity(2)), kind());
    let good = dial(&server, &dialer).await;
    let (_, mut good_receiver) = server.accept().await.unwrap().split();
    let bad = dial(&server, &dialer).await;
    let (_, mut bad_receiver) = server.accept().await.unwrap().split();

    let (bad, _receiver) = bad.split();
    bad.send(Bytes::from(vec![0; 1001])).await.unwrap();
    match bad_receiver.recv().await {
        Err(RecvError::FrameTooLarge(error)) => assert_eq!((error.len, error.max), (1001, 1000)),
        other => panic!("{other:?}"),
    }
    assert_eq!(bad.closed().await, LinkLost::ByPeer { reason: CloseReason::FrameTooLarge });

    let (good, _receiver) = good.split();
    good.send(Bytes::from(vec![0; 1000])).await.unwrap();
    assert_eq!(frame(&mut good_receiver).await.len(), 1000);
}

async fn a_frame_too_long_for_our_own_limit_is_not_sent(kind: fn() -> Limits) {
    let limits = Limits { max_frame_bytes: 10, ..kind() };
    let (ours, theirs, _running) = pair(kind(), limits).await;
    let (sender, _receiver) = theirs.split();
    let refused = sender.send(Bytes::from_static(&[0; 11])).await;
    assert!(matches!(refused, Err(SendError::FrameTooLarge(_))), "{refused:?}");
    sender.send(Bytes::from_static(&[0; 10])).await.unwrap();
    let (_sender, mut receiver) = ours.split();
    assert_eq!(frame(&mut receiver).await.len(), 10);
}

async fn a_sender_waits_for_its_receiver(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(small(kind), small(kind)).await;
    let (sender, _receiver) = theirs.split();
    let (_sender, mut receiver) = ours.split();
    let (progress, mut sent) = tokio::sync::mpsc::unbounded_channel();
    let sending = tokio::spawn(async move {
        for i in 0..1000_u32 {
            sender.send(Bytes::from(vec![i as u8; 1000])).await.unwrap();
            progress.send(()).unwrap();
        }
        sender
    });
    let mut before = 0;
    while let Ok(Some(())) = timeout(SETTLED, sent.recv()).await {
        before += 1;
    }
    assert!(!sending.is_finished());
    assert!(before * 1004 <= WINDOW, "{before} frames are above the window");
    for i in 0..1000_u32 {
        assert_eq!(frame(&mut receiver).await, vec![i as u8; 1000]);
    }
    sending.await.unwrap();
}

async fn unread_bulks_do_not_hold_up_control_frames(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(small(kind), small(kind)).await;
    let (sender, _receiver) = theirs.split();
    let (_sender, mut receiver) = ours.split();
    let batch = vec![Bytes::from(vec![3; 50_000]); 10];
    // One more than may be open at once.
    let sending: Vec<_> = (0..4)
        .map(|_| {
            let (sender, batch) = (sender.clone(), batch.clone());
            tokio::spawn(async move { sender.send_bulk(batch).await })
        })
        .collect();
    let mut bulks = Vec::new();
    for _ in 0..3 {
        bulks.push(bulk(&mut receiver).await);
    }
    // Nothing reads them: every bulk now fills its window and waits.
    assert!(timeout(SETTLED, receiver.recv()).await.is_err());
    assert!(sending.iter().all(|task| !task.is_finished()));

    sender.send(Bytes::from(vec![1; 60_000])).await.unwrap();
    assert_eq!(frame(&mut receiver).await.len(), 60_000);

    for _ in 0..4 {
        let mut reading = match bulks.pop() {
            Some(reading) => reading,
            None => bulk(&mut receiver).await,
        };
        for wanted in &batch {
            assert_eq!(reading.next().await.unwrap().unwrap(), wanted);
        }
        assert_eq!(reading.next().await, Ok(None));
    }
    for task in sending {
        task.await.unwrap().unwrap();
    }
}

async fn a_bulk_is_read_while_it_is_written(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(kind(), kind()).await;
    let (sender, _receiver) = theirs.split();
    let (_sender, mut receiver) = ours.split();
    let mut sending = sender.open_bulk().await.unwrap();
    sending.send(vec![Bytes::from_static(b"first")]).await.unwrap();
    let mut reading = bulk(&mut receiver).await;
    assert_eq!(reading.next().await.unwrap().unwrap(), &b"first"[..]);
    sending.send(vec![Bytes::new(), Bytes::from_static(b"second")]).await.unwrap();
    assert_eq!(reading.next().await.unwrap().unwrap(), &b""[..]);
    let waiting = tokio::spawn(sending.finish_and_wait());
    assert_eq!(reading.next().await.unwrap().unwrap(), &b"second"[..]);
    assert_eq!(reading.next().await, Ok(None));
    waiting.await.unwrap().unwrap();
}

async fn an_abandoned_bulk_is_never_taken_for_a_whole_one(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(kind(), kind()).await;
    let (sender, _receiver) = theirs.split();
    let (_sender, mut receiver) = ours.split();
    let mut sending = sender.open_bulk().await.unwrap();
    sending.send(vec![Bytes::from_static(b"first")]).await.unwrap();
    let mut reading = bulk(&mut receiver).await;
    assert_eq!(reading.next().await.unwrap().unwrap(), &b"first"[..]);
    drop(sending);
    assert_eq!(
        reading.next().await,
        Err(RecvError::Lost(LinkLost::ByPeer { reason: CloseReason::Abandoned }))
    );
    sender.send(Bytes::from_static(b"still good")).await.unwrap();
    assert_eq!(frame(&mut receiver).await, &b"still good"[..]);
}

async fn a_bulk_nobody_wants_stops_its_sender(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(small(kind), small(kind)).await;
    let (sender, _receiver) = theirs.split();
    let (_sender, mut receiver) = ours.split();
    let sending = tokio::spawn({
        let sender = sender.clone();
        async move { sender.send_bulk(vec![Bytes::from(vec![0; 1 << 20])]).await }
    });
    drop(bulk(&mut receiver).await);
    assert_eq!(sending.await.unwrap(), Err(SendError::Stopped));
    assert_eq!(sender.lost(), None);
}

async fn a_control_frame_dropped_half_way_closes_the_link(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(small(kind), small(kind)).await;
    let (sender, _receiver) = theirs.split();
    let (_sender, mut receiver) = ours.split();
    assert!(timeout(SETTLED, sender.send(Bytes::from(vec![0; 1 << 20]))).await.is_err());
    assert!(matches!(sender.send(Bytes::new()).await, Err(SendError::Abandoned)));
    let lost = LinkLost::ByPeer { reason: CloseReason::Abandoned };
    match receiver.recv().await {
        Err(RecvError::Lost(reason)) => assert_eq!(reason, lost),
        other => panic!("{other:?}"),
    }
}

async fn dropping_a_link_ends_it_for_the_other_side(kind: fn() -> Limits) {
    let (ours, theirs, _running) = pair(kind(), kind()).await;
    drop(theirs);
    let (_sender, mut receiver) = ours.split();
    assert!(matches!(receiver.recv().await, Ok(None)));
}

over_both! {
    control_frames_arrive_in_order_both_ways,
    a_finished_link_ends_after_its_last_frame,
    a_frame_too_long_closes_its_link_and_no_other,
    a_frame_too_long_for_our_own_limit_is_not_sent,
    a_sender_waits_for_its_receiver,
    unread_bulks_do_not_hold_up_control_frames,
    a_bulk_is_read_while_it_is_written,
    an_abandoned_bulk_is_never_taken_for_a_whole_one,
    a_bulk_nobody_wants_stops_its_sender,
    a_control_frame_dropped_half_way_closes_the_link,
    dropping_a_link_ends_it_for_the_other_side,
}
