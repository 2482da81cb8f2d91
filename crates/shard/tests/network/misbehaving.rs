//! Clients that break the rules, and what it does to the others: nothing.

use antiphon_shard::{ServerLimits, ShardServer, StartError};
use antiphon_transport::{CloseReason, Limits, LinkLost};
use antiphon_wire::RoundOutcome;
use tokio::time::timeout;

use crate::client::{Client, dial, limits};
use crate::world::{PATIENCE, World, round_end, shard_key};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_costs_a_client_its_link_and_nobody_else_anything() {
    let world = World::start(50);
    let shards = world.shards();
    let mut good = Client::join(&shards[0], 1).await;
    for garbage in [&b""[..], b"\xff\xff", &[1; 40], &[0; 900]] {
        let (sender, _receiver) = dial(&shards[0], limits()).await.split();
        sender.send(garbage.to_vec().into()).await.unwrap();
        let lost = timeout(PATIENCE, sender.closed()).await.expect("the shard closes the link");
        assert_eq!(lost, LinkLost::ByPeer { reason: CloseReason::Protocol });
    }
    assert_eq!(good.exchange(&world.network).await, Some(true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_never_reads_is_dropped() {
    let world = World::start(50);
    let mut shards: Vec<_> =
        (1..3).map(|number| ShardServer::start(world.config(number)).unwrap()).collect();
    let mut config = world.config(0);
    config.limits = ServerLimits { client_queue: 2, ..ServerLimits::default() };
    shards.insert(0, ShardServer::start(config).unwrap());
    let tiny = Limits { stream_window_bytes: 256, ..limits() };
    let (sender, _unread) = dial(&shards[0], tiny).await.split();
    let lost = timeout(PATIENCE, sender.closed()).await.expect("the shard closes the link");
    assert_eq!(lost, LinkLost::ByPeer { reason: CloseReason::Overloaded });
    let mut notices = shards[0].subscribe();
    assert_eq!(round_end(&mut notices).await.1, RoundOutcome::Delivered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_work_is_said_before_anything_starts() {
    let world = World::start(50);
    let mut config = world.config(0);
    config.identity = shard_key(1);
    let error = config.check().unwrap_err();
    assert!(matches!(&error, StartError::NotListed { number: 1, .. }), "{error}");
    // A list may still come: it runs, and says that it waits.
    ShardServer::start(config).unwrap();

    let mut config = world.config(0);
    config.listen_clients = "0.0.0.0:0".parse().unwrap();
    let error = ShardServer::start(config).unwrap_err();
    assert!(error.to_string().contains("`advertise_clients`"), "{error}");
}
