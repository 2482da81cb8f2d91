//! Shards that join and leave by new lists of their operator, while rounds go on.

use antiphon_mix::Notice;
use antiphon_shard::{ShardNotice, ShardServer, StartError};
use antiphon_wire::{Epoch, RoundOutcome};
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::world::{PATIENCE, World};

/// Waits for what is looked for. Every round up to there has to be delivered.
async fn until<T>(
    notices: &mut Receiver<ShardNotice>,
    mut found: impl FnMut(&ShardNotice) -> Option<T>,
) -> T {
    timeout(PATIENCE, async {
        loop {
            let notice = notices.recv().await.unwrap();
            if let ShardNotice::Machine(Notice::RoundEnded { round, outcome, .. }) = &notice {
                assert_eq!(*outcome, RoundOutcome::Delivered, "round {round}");
            }
            if let Some(found) = found(&notice) {
                return found;
            }
        }
    })
    .await
    .expect("it comes")
}

async fn epoch_of(notices: &mut Receiver<ShardNotice>, expected: usize) -> Epoch {
    until(notices, |notice| match notice {
        ShardNotice::EpochPublished { epoch, shards, .. } => {
            (*shards == expected).then_some(*epoch)
        }
        _ => None,
    })
    .await
}

async fn taken(notices: &mut Receiver<ShardNotice>, expected: u32) {
    until(notices, |notice| match notice {
        ShardNotice::Machine(Notice::ListTaken { number, .. }) => {
            (*number == expected).then_some(())
        }
        ShardNotice::Machine(Notice::ListRefused { why }) => panic!("{why}"),
        _ => None,
    })
    .await;
}

fn next(epoch: Epoch) -> Epoch {
    Epoch(epoch.0 + 1)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_joins_and_another_leaves_by_new_lists_and_no_round_is_lost() {
    let world = World::start(150);
    let shards = world.shards();
    let (mut seen, mut first) = (shards[1].subscribe(), shards[0].subscribe());
    let began = next(epoch_of(&mut seen, 3).await);

    shards[0].renew_list(world.list(0, (2, began), &[])).unwrap();
    taken(&mut first, 2).await;
    let joined = world.list(0, (3, began), &[0, 3]);
    let mut config = world.config(3);
    config.list = joined.clone();
    let newcomer = ShardServer::start(config).unwrap();
    let mut new = newcomer.subscribe();
    shards[0].renew_list(joined).unwrap();
    let began = next(epoch_of(&mut seen, 4).await);

    let end = world.list(0, (4, began), &[]);
    shards[0].renew_list(end.clone()).unwrap();
    newcomer.renew_list(end).unwrap();
    taken(&mut first, 4).await;
    taken(&mut new, 4).await;
    let left = world.list(0, (5, began), &[3]);
    shards[0].renew_list(left.clone()).unwrap();
    newcomer.renew_list(left).unwrap();
    epoch_of(&mut seen, 3).await;
    // The epoch without it has taken over when its first round has ended at the newcomer.
    let first_round = until(&mut new, |notice| match notice {
        ShardNotice::EpochPublished { epoch, first_round, .. } => {
            (*epoch >= began).then_some(*first_round)
        }
        _ => None,
    })
    .await;
    for notices in [&mut seen, &mut new] {
        until(notices, |notice| match notice {
            ShardNotice::Machine(Notice::RoundEnded { round, .. }) => {
                (*round > first_round).then_some(())
            }
            _ => None,
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_does_not_start_with_an_older_list_than_it_has_taken() {
    let world = World::start(150);
    let directory = tempfile::tempdir().unwrap();
    let config = |number| {
        let mut config = world.config(0);
        config.state = Some(directory.path().join("0.toml"));
        config.list = world.list(0, (number, Epoch(1)), &[0]);
        config
    };
    drop(ShardServer::start(config(3)).unwrap());
    // The lock goes with the task.
    let refused = timeout(PATIENCE, async {
        loop {
            match ShardServer::start(config(2)) {
                Err(StartError::List(error)) => return error.to_string(),
                _ => tokio::task::yield_now().await,
            }
        }
    });
    let why = refused.await.expect("it is refused");
    assert!(why.contains("list 2 is older than list 3"), "{why}");
}
