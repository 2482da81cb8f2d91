//! Networks in which everyone keeps to the rules.

use antiphon_shard::ShardServer;
use antiphon_wire::RoundOutcome;
use tokio::time::timeout;

use crate::client::Client;
use crate::world::{PATIENCE, World, round_end};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rounds_run_without_clients() {
    let world = World::start(50);
    let shards = world.shards();
    let mut notices: Vec<_> = shards.iter().map(ShardServer::subscribe).collect();
    for notices in &mut notices {
        let mut last = None;
        for _ in 0..4 {
            let (round, outcome) = round_end(notices).await;
            assert_eq!(outcome, RoundOutcome::Delivered);
            assert!(last.is_none_or(|last| round > last));
            last = Some(round);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_of_every_gateway_get_their_replies() {
    let world = World::start(50);
    let shards = world.shards();
    let mut clients = Vec::new();
    for (i, shard) in shards.iter().chain(&shards[..1]).enumerate() {
        clients.push(Client::join(shard, i as u64).await);
    }
    let tasks: Vec<_> = clients
        .into_iter()
        .map(|mut client| {
            let network = world.network.clone();
            tokio::spawn(async move {
                for _ in 0..3 {
                    assert_eq!(client.exchange(&network).await, Some(true));
                }
            })
        })
        .collect();
    for task in tasks {
        timeout(PATIENCE, task).await.expect("in time").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_is_told_to_stop_finishes_its_round_first() {
    let world = World::start(50);
    let mut shards = world.shards();
    // Stays between two rounds until it has onions to send.
    let mut client = Client::join(&shards[0], 1).await;
    let mut idle = Client::join(&shards[1], 2).await;
    client.opened(&world.network).await;
    // A round is open at both now, and waits for the clients' onions.
    idle.opened(&world.network).await;
    let stopped = shards.remove(0);
    let mut notices = stopped.subscribe();
    let stop = tokio::spawn(stopped.shut_down());
    let (_, outcome) = round_end(&mut notices).await;
    assert_eq!(outcome, RoundOutcome::Delivered);
    timeout(PATIENCE, stop).await.expect("in time").unwrap().unwrap();
    // The client's link was closed, and none of the others came to harm.
    while client.hear().await.is_some() {}
    for shard in shards {
        timeout(PATIENCE, shard.shut_down()).await.expect("in time").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_starts_again_takes_part_in_a_later_epoch() {
    let world = World::with_epochs(150, 20);
    let directory = tempfile::tempdir().unwrap();
    let config = |number: u8| {
        let mut config = world.config(number);
        config.state = Some(directory.path().join(format!("{number}.toml")));
        config
    };
    let mut shards: Vec<_> =
        (0..3).map(|number| ShardServer::start(config(number)).unwrap()).collect();
    let mut notices = shards[0].subscribe();
    let (before, _) = round_end(&mut notices).await;
    drop(notices);
    shards.remove(0).shut_down().await.unwrap();
    let text = std::fs::read_to_string(directory.path().join("0.toml")).unwrap();
    assert!(text.contains("signed_epoch = 1\n"), "{text}");
    let again = ShardServer::start(config(0)).unwrap();
    let mut notices = again.subscribe();
    let after = loop {
        let (round, outcome) = round_end(&mut notices).await;
        if outcome == RoundOutcome::Delivered {
            break round;
        }
    };
    assert!(after > before);
}
