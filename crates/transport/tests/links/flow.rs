//! Frames, and what holds them back.

use std::time::Duration;

use antiphon_transport::{
    Accept, CloseReason, Dialer, Limits, LinkLost, LinkReceiver, RecvError, SendError,
};
use bytes::Bytes;
use tokio::time::timeout;

use crate::{dial, identity, known, listen, pair};

const WINDOW: u32 = 64 << 10;

fn small() -> Limits {
    Limits { stream_window_bytes: WINDOW, ..known() }
}

/// Long enough for anything to pass that is going to pass on the loopback interface.
const SETTLED: Duration = Duration::from_millis(300);

async fn frame(receiver: &mut LinkReceiver) -> Bytes {
    match receiver.recv().await {
        Ok(Some(frame)) => frame,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn frames_arrive_in_order_both_ways() {
    let (ours, theirs, _running) = pair(known(), known()).await;
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

#[tokio::test]
async fn a_finished_link_ends_after_its_last_frame() {
    let (ours, theirs, _running) = pair(known(), known()).await;
    let (sender, _their_receiver) = theirs.split();
    sender.send(Bytes::from_static(b"last")).await.unwrap();
    sender.finish().await.unwrap();
    sender.close(CloseReason::Done);
    let (_sender, mut receiver) = ours.split();
    assert_eq!(frame(&mut receiver).await, &b"last"[..]);
    assert!(matches!(receiver.recv().await, Ok(None)));
}

#[tokio::test]
async fn a_frame_too_long_closes_its_link_and_no_other() {
    let mut server = listen(Accept::AnyIdentity, Limits { max_received_bytes: 1000, ..known() });
    let dialer = Dialer::new(Some(&identity(2)), known());
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

#[tokio::test]
async fn a_frame_too_long_for_our_own_limit_is_not_sent() {
    let limits = Limits { max_frame_bytes: 10, ..known() };
    let (ours, theirs, _running) = pair(known(), limits).await;
    let (sender, _receiver) = theirs.split();
    let refused = sender.send(Bytes::from_static(&[0; 11])).await;
    assert!(matches!(refused, Err(SendError::FrameTooLarge(_))), "{refused:?}");
    sender.send(Bytes::from_static(&[0; 10])).await.unwrap();
    let (_sender, mut receiver) = ours.split();
    assert_eq!(frame(&mut receiver).await.len(), 10);
}

#[tokio::test]
async fn a_sender_waits_for_its_receiver() {
    let (ours, theirs, _running) = pair(small(), small()).await;
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

#[tokio::test]
async fn a_frame_dropped_half_way_closes_the_link() {
    let (ours, theirs, _running) = pair(small(), small()).await;
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

#[tokio::test]
async fn dropping_a_link_ends_it_for_the_other_side() {
    let (ours, theirs, _running) = pair(known(), known()).await;
    drop(theirs);
    let (_sender, mut receiver) = ours.split();
    assert!(matches!(receiver.recv().await, Ok(None)));
}
