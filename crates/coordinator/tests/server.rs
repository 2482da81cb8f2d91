//! The coordinator's process on the loopback, with stand-ins for shards.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../coordinator-core/tests/network/shard.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod shard;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use antiphon_coordinator::{
    CoordinatorConfig, CoordinatorServer, Notice, RoundResult, ServerConfig,
};
use antiphon_process::clock::SystemClock;
use antiphon_process::readiness::Readiness;
use antiphon_routing::VerifiedEpoch;
use antiphon_transport::{Dialer, Identity, Limits, Link};
use antiphon_wire::{
    Announcement, Blob, Decode, Encode, Epoch, FromClient, IdentityKey, NetworkFile, Operator,
    OperatorIndex, OperatorList, PROTOCOL_VERSION, Policy, Round, Signed, SignedDocument, ToClient,
    ToCoordinator, ToShard,
};
use ed25519_dalek::SigningKey;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use shard::FakeShard;

const PATIENCE: Duration = Duration::from_secs(20);
const AT_ONCE: Duration = Duration::ZERO;

fn network() -> NetworkFile {
    let operators = (0..3u8).map(|i| Operator {
        name: format!("operator {i}"),
        key: IdentityKey::of(&SigningKey::from_bytes(&[100 + i; 32])),
        weight: 1,
    });
    let policy = Policy {
        epsilon: 8.0,
        delta: 0.01,
        disturbed_rounds: 1,
        least_mixing_hops: 2,
        least_round_interval_ms: 50,
        total_delta: 1.0,
        trusts_heavy_operators: true,
        ..Policy::default()
    };
    NetworkFile::new(operators.collect(), policy).unwrap()
}

fn config(folder: &Path) -> ServerConfig {
    ServerConfig {
        listen_shards: "127.0.0.1:0".parse().unwrap(),
        listen_clients: "127.0.0.1:0".parse().unwrap(),
        identity: Identity::from_seed(&[9; 32]),
        trusted: Vec::new(),
        network: network(),
        state: folder.join("state.json"),
        coordinator: CoordinatorConfig {
            epoch_rounds: 8,
            interval_ms: 100,
            prepare_ahead_rounds: 4,
            ..CoordinatorConfig::default()
        },
    }
}

async fn frame(link: &mut antiphon_transport::LinkReceiver) -> Option<bytes::Bytes> {
    match link.recv().await {
        Ok(Some(frame)) => Some(frame),
        _ => None,
    }
}

async fn dial_as_shard(seed: u8, addr: SocketAddr) -> Link {
    let limits = Limits::coordinator();
    let dialer = Dialer::new(Some(&Identity::from_seed(&[seed; 32])), limits);
    dialer.dial(addr, Identity::from_seed(&[9; 32]).public()).await.unwrap()
}

fn list(operator: u8, seed: u8) -> Signed<OperatorList> {
    let list = OperatorList {
        network: network().id(),
        operator: OperatorIndex(operator.into()),
        number: 1,
        first_epoch: Epoch(1),
        last_epoch: Epoch(1000),
        shards: vec![IdentityKey::of(&SigningKey::from_bytes(&[seed; 32]))],
    };
    Signed::new(list, &SigningKey::from_bytes(&[100 + operator; 32]))
}

/// Plays a shard, at which rounds take some time, until the coordinator goes.
async fn play(operator: u8, addr: SocketAddr, round: Duration) {
    let seed = 1 + operator;
    let mut shard = FakeShard::new(SigningKey::from_bytes(&[seed; 32]), list(operator, seed));
    let mut rng = ChaCha20Rng::seed_from_u64(seed.into());
    let (sender, mut receiver) = dial_as_shard(seed, addr).await.split();
    let sender = Arc::new(sender);
    let register = ToCoordinator::Register {
        registration: shard.registration(),
        standing: shard.standing(SystemClock::now()),
    };
    sender.send(register.to_bytes().into()).await.unwrap();
    while let Some(frame) = frame(&mut receiver).await {
        let answer = match ToShard::from_bytes(&frame).unwrap() {
            ToShard::Open { announcement: Announcement { epoch, round: number, .. } } => {
                let (end, sender) = (shard.end(epoch, number, None), Arc::clone(&sender));
                tokio::spawn(async move {
                    tokio::time::sleep(round).await;
                    let _ = sender.send(end.unwrap().to_bytes().into()).await;
                });
                shard.ready(epoch, number.next())
            }
            other => shard.answer(other, &mut rng),
        };
        if let Some(answer) = answer {
            let _ = sender.send(answer.to_bytes().into()).await;
        }
    }
}

async fn documents(addr: SocketAddr, count: usize) -> Vec<SignedDocument> {
    let limits = Limits::documents();
    let server = Identity::from_seed(&[9; 32]).public();
    let link = Dialer::new(None, limits).dial(addr, server).await.unwrap();
    let (sender, mut receiver) = link.split();
    let hello = FromClient::Hello { version: PROTOCOL_VERSION };
    sender.send(hello.to_bytes().into()).await.unwrap();
    let mut documents = Vec::new();
    while documents.len() < count {
        let frame = frame(&mut receiver).await.unwrap();
        let ToClient::Document { document } = ToClient::from_bytes(&frame).unwrap() else {
            panic!("not a document");
        };
        documents.push(document);
    }
    documents
}

async fn delivered(notices: &mut Receiver<Notice>) -> Round {
    let next = async {
        loop {
            if let Notice::RoundEnded(report) = notices.recv().await.unwrap()
                && report.result == RoundResult::Delivered
            {
                return report.round;
            }
        }
    };
    timeout(PATIENCE, next).await.unwrap()
}

#[tokio::test]
async fn rounds_run_over_quic_and_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut last = Round(0);
    for _ in 0..2 {
        let server = CoordinatorServer::start(config(folder.path())).unwrap();
        let mut notices = server.subscribe();
        let shards: Vec<_> = (0..3)
            .map(|operator| tokio::spawn(play(operator, server.shard_addr(), AT_ONCE)))
            .collect();
        let first = delivered(&mut notices).await;
        assert!(first > last, "no number twice");
        let documents = timeout(PATIENCE, documents(server.client_addr(), 3)).await.unwrap();
        for pair in documents.windows(2) {
            assert!(pair[0].document.epoch < pair[1].document.epoch);
        }
        for document in documents {
            VerifiedEpoch::verify(document, &network()).unwrap();
        }
        last = delivered(&mut notices).await;
        server.shut_down().await.unwrap();
        while let Ok(notice) = notices.try_recv() {
            if let Notice::RoundOpened { round, .. } = notice {
                last = round;
            }
        }
        for shard in shards {
            timeout(PATIENCE, shard).await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn one_of_several_is_ready_when_shards_enough_are_linked_to_elect_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut two = config(folder.path());
    two.coordinator.replicas = 2;
    let server = CoordinatorServer::start(two).unwrap();
    let mut readiness = server.readiness();
    assert!(!readiness.borrow().is_ready(), "nobody is linked");
    let shards: Vec<_> =
        (0..3).map(|operator| tokio::spawn(play(operator, server.shard_addr(), AT_ONCE))).collect();
    timeout(PATIENCE, readiness.wait_for(Readiness::is_ready)).await.unwrap().unwrap();
    shards.iter().for_each(tokio::task::JoinHandle::abort);
    let is_idle = |readiness: &Readiness| !readiness.is_ready();
    timeout(PATIENCE, readiness.wait_for(is_idle)).await.unwrap().unwrap();
}

#[tokio::test]
async fn rounds_that_take_longer_than_the_interval_overlap() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path());
    config.coordinator.epoch_rounds = 100;
    let server = CoordinatorServer::start(config).unwrap();
    let mut notices = server.subscribe();
    let long = Duration::from_secs(1);
    (0..3).for_each(|operator| drop(tokio::spawn(play(operator, server.shard_addr(), long))));
    let mut open = Vec::new();
    let overlap = async {
        while open.len() < 4 {
            match notices.recv().await.unwrap() {
                Notice::RoundOpened { round, .. } => open.push(round),
                Notice::RoundEnded(report) => {
                    assert_eq!(report.result, RoundResult::Delivered);
                    open.retain(|round| *round != report.round);
                }
                _ => {}
            }
        }
    };
    timeout(PATIENCE, overlap).await.unwrap();
    // Those that are open end, and no other opens.
    server.shut_down().await.unwrap();
    while let Ok(notice) = notices.try_recv() {
        if let Notice::RoundEnded(report) = notice {
            assert_eq!(report.result, RoundResult::Delivered);
            open.retain(|round| *round != report.round);
        }
    }
    assert!(open.is_empty(), "{open:?}");
}

#[tokio::test]
async fn a_shard_that_nobody_certified_hears_why_and_loses_its_link() {
    let folder = tempfile::tempdir().unwrap();
    let server = CoordinatorServer::start(config(folder.path())).unwrap();
    let (sender, mut receiver) = dial_as_shard(77, server.shard_addr()).await.split();
    let stranger = FakeShard::new(SigningKey::from_bytes(&[77; 32]), list(0, 1));
    let register = ToCoordinator::Register {
        registration: stranger.registration(),
        standing: stranger.standing(SystemClock::now()),
    };
    sender.send(register.to_bytes().into()).await.unwrap();
    let answer = timeout(PATIENCE, frame(&mut receiver)).await.unwrap().unwrap();
    let Ok(ToShard::Reject { reason: Blob(reason) }) = ToShard::from_bytes(&answer) else {
        panic!("not rejected");
    };
    assert!(String::from_utf8(reason).unwrap().contains("operator's list"));
    assert_eq!(timeout(PATIENCE, frame(&mut receiver)).await.unwrap(), None);
}

#[tokio::test]
async fn garbage_costs_its_sender_the_link_and_nobody_else_anything() {
    let folder = tempfile::tempdir().unwrap();
    let server = CoordinatorServer::start(config(folder.path())).unwrap();
    let mut notices = server.subscribe();
    (0..3).for_each(|operator| drop(tokio::spawn(play(operator, server.shard_addr(), AT_ONCE))));
    delivered(&mut notices).await;
    let (sender, mut receiver) = dial_as_shard(77, server.shard_addr()).await.split();
    sender.send(vec![0xff; 100].into()).await.unwrap();
    assert_eq!(timeout(PATIENCE, frame(&mut receiver)).await.unwrap(), None);
    delivered(&mut notices).await;
}
