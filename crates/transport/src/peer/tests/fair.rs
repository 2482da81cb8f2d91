//! What links give those who keep to the rules.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;

use super::*;
use crate::{BatchSender, Chunk, DialError};

#[tokio::test]
async fn both_sides_know_each_other_and_the_lane() {
    for (lane, medium) in Lane::ALL.into_iter().flat_map(|lane| media().map(|m| (lane, m))) {
        let (sender, receiver, _server) = pair_over(&medium, Limits::shards(), lane).await;
        assert_eq!(sender.remote_identity(), identity(1).public());
        assert_eq!(receiver.remote_identity(), identity(2).public());
        assert_eq!(receiver.lane(), lane);
    }
}

#[tokio::test]
async fn frames_arrive_in_order() {
    for medium in media() {
        let (mut sender, mut receiver, _server) =
            pair_over(&medium, Limits::shards(), Lane::Control).await;
        let sent: Vec<_> = (1..300_usize).map(|i| Bytes::from(vec![i as u8; i * 7])).collect();
        let expected = sent.clone();
        let sending = tokio::spawn(async move {
            let (alone, together) = sent.split_at(150);
            for frame in alone {
                sender.send(std::slice::from_ref(frame)).await.unwrap();
            }
            sender.send(together).await.unwrap();
            sender
        });
        for wanted in expected {
            assert_eq!(receiver.recv().await.unwrap().unwrap(), wanted);
        }
        sending.await.unwrap();
    }
}

#[tokio::test]
async fn a_finished_link_ends_after_its_last_frame_and_its_sender_learns_that_all_arrived() {
    for medium in media() {
        let (mut sender, mut receiver, _server) =
            pair_over(&medium, Limits::shards(), Lane::Control).await;
        let finishing = tokio::spawn(async move {
            let frames = [Bytes::from(vec![1; 1 << 20]), Bytes::from_static(b"last")];
            sender.send(&frames).await.unwrap();
            sender.finish().await
        });
        assert_eq!(receiver.recv().await.unwrap().unwrap().len(), 1 << 20);
        assert_eq!(receiver.recv().await.unwrap().unwrap(), &b"last"[..]);
        assert_eq!(receiver.recv().await, Ok(None));
        assert!(!finishing.is_finished(), "it is not handed over yet");
        drop(receiver);
        assert_eq!(finishing.await.unwrap(), Ok(()));
    }
}

#[tokio::test]
async fn a_frame_too_long_for_our_own_limit_is_not_sent() {
    let limits = Limits { max_frame_bytes: 10, ..Limits::shards() };
    let (mut sender, mut receiver, _server) = pair(limits, Lane::Control).await;
    let refused = sender.send(&[Bytes::from_static(&[0; 11])]).await;
    assert!(matches!(refused, Err(PeerSendError::FrameTooLarge(_))), "{refused:?}");
    sender.send(&[Bytes::from_static(&[0; 10])]).await.unwrap();
    assert_eq!(receiver.recv().await.unwrap().unwrap().len(), 10);
}

/// A peer that sends batches for ever to one that takes none of them. Gives what the sender has handed
/// to the system.
fn flood(mut batches: BatchSender) -> (Arc<AtomicUsize>, tokio::task::JoinHandle<LinkLost>) {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let sending = tokio::spawn(async move {
        loop {
            while batches.has_room() {
                batches.begin(vec![Bytes::from(vec![3; 128 << 10]); 8]);
            }
            if let Err(lost) = batches.send_some().await {
                return lost;
            }
            count.fetch_add(128 << 10, Ordering::Relaxed);
        }
    });
    (sent, sending)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_does_not_read_batches_stops_their_sender_and_no_control_message() {
    for medium in media() {
        let brief = Limits {
            idle_timeout: Duration::from_secs(2),
            keep_alive: Some(Duration::from_millis(100)),
            ..Limits::shards()
        };
        let mut server = server_over(&medium, brief.clone());
        let batches =
            BatchSender::new(dial_over(&medium, &server, brief.clone(), Lane::Batches).await);
        let mut unread = server.accept().await.unwrap();
        let mut control = dial_over(&medium, &server, brief.clone(), Lane::Control).await;
        let mut receiver = server.accept().await.unwrap();

        let (sent, sending) = flood(batches);
        let mut before = usize::MAX;
        while sent.load(Ordering::Relaxed) != before {
            before = sent.load(Ordering::Relaxed);
            tokio::time::sleep(SETTLED).await;
        }
        // Loopback sockets hold a few megabytes at either end.
        assert!(before < 64 << 20, "{before} bytes were taken by nobody");

        for i in 0..100_u8 {
            control.send(&[Bytes::from(vec![i; 1000])]).await.unwrap();
            let frame =
                timeout(PATIENCE, receiver.recv()).await.expect("at once").unwrap().unwrap();
            assert_eq!(frame, vec![i; 1000]);
        }

        // Being slow is not being dead: both sides are still there after the time that tells the dead.
        tokio::time::sleep(2 * brief.idle_timeout).await;
        assert!(!sending.is_finished());
        let mut total = 0;
        while total < 2 * before {
            total += Chunk::from_frame(unread.recv().await.unwrap().unwrap()).unwrap().bytes.len();
        }
        drop(unread);
        assert_eq!(sending.await.unwrap(), LinkLost::ByPeer { reason: CloseReason::Done });
    }
}

#[tokio::test]
async fn only_listed_shards_get_in_and_the_list_may_change() {
    let listed = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&listed);
    let server = server_for(move |_| asked.load(Ordering::Relaxed), Limits::shards());
    let dialer = PeerDialer::new(&identity(2), Limits::shards());
    for expected in [false, true, false] {
        listed.store(expected, Ordering::Relaxed);
        let dialled = dialer.dial(server.local_addr(), identity(1).public(), Lane::Control).await;
        match dialled {
            Ok(_) if expected => {}
            Err(DialError::Refused { .. }) if !expected => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_shard_with_another_identity_is_refused() {
    let server = server(Limits::shards());
    let dialer = PeerDialer::new(&identity(2), Limits::shards());
    let expected = identity(9).public();
    match dialer.dial(server.local_addr(), expected, Lane::Control).await {
        Err(DialError::WrongIdentity { presented, expected: wanted, .. }) => {
            assert_eq!((presented, wanted), (identity(1).public(), expected));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_silent_address_times_out() {
    // It accepts connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let limits = Limits { handshake_timeout: Duration::from_millis(100), ..Limits::shards() };
    let dialer = PeerDialer::new(&identity(2), limits);
    let addr = silent.local_addr().unwrap();
    let failed = dialer.dial(addr, identity(1).public(), Lane::Control).await;
    assert!(matches!(failed, Err(DialError::TimedOut { .. })), "{failed:?}");
}

#[tokio::test]
async fn one_address_gets_its_share_and_gets_it_back() {
    let mut server = server(Limits { max_links_per_ip: 2, ..Limits::shards() });
    let dialer = PeerDialer::new(&identity(2), Limits::shards());
    let first = dial(&server, Limits::shards(), Lane::Control).await;
    let _second = dial(&server, Limits::shards(), Lane::Batches).await;
    let third = dialer.dial(server.local_addr(), identity(1).public(), Lane::Control).await;
    assert!(matches!(third, Err(DialError::Refused { .. })), "{third:?}");
    let stats = server.endpoint().stats();
    assert_eq!((stats.links, stats.refused()), (2, 1));

    drop(server.accept().await.unwrap());
    assert_eq!(server.endpoint().stats().links, 1);
    drop(first);
    let _fourth = dial(&server, Limits::shards(), Lane::Control).await;
}

#[tokio::test]
async fn closing_and_shutting_down_tell_the_other_side_why() {
    for medium in media() {
        let (mut sender, receiver, _server) =
            pair_over(&medium, Limits::shards(), Lane::Control).await;
        receiver.handle().close(CloseReason::NotWelcome);
        assert_eq!(sender.idle().await, LinkLost::ByPeer { reason: CloseReason::NotWelcome });

        let (mut sender, _receiver, mut server) =
            pair_over(&medium, Limits::shards(), Lane::Control).await;
        server.shut_down().await;
        assert_eq!(sender.idle().await, LinkLost::ByPeer { reason: CloseReason::ShuttingDown });
        assert!(server.accept().await.is_none());
    }
}

#[tokio::test]
async fn dropping_a_sender_breaks_the_link() {
    for medium in media() {
        let (sender, mut receiver, _server) =
            pair_over(&medium, Limits::shards(), Lane::Control).await;
        drop(sender);
        let ended = receiver.recv().await;
        assert!(matches!(ended, Err(RecvError::Lost(LinkLost::Transport(_)))), "{ended:?}");
    }
}

#[tokio::test]
async fn an_idle_link_stays_and_a_dead_one_is_found_out_by_both_sides() {
    for medium in media() {
        let brief = Limits {
            idle_timeout: Duration::from_millis(1500),
            keep_alive: Some(Duration::from_millis(100)),
            ..Limits::shards()
        };
        let (mut sender, mut receiver, _server) =
            pair_over(&medium, brief.clone(), Lane::Control).await;
        tokio::select! {
            lost = sender.idle() => panic!("{lost}"),
            received = receiver.recv() => panic!("{received:?}"),
            () = tokio::time::sleep(brief.idle_timeout * 3) => {}
        }
        // Nobody keeps it alive from here.
        let lost = timeout(PATIENCE, receiver.recv()).await.expect("found out");
        assert_eq!(lost, Err(RecvError::Lost(LinkLost::TimedOut)));
    }
}
