//! Shards that leave at the wish of those who look after them, and stay up.

use antiphon_mix::Notice;
use antiphon_process::requests::{Answer, Wanted};
use antiphon_shard::{Drain, ShardNotice, ShardServer, Status};
use antiphon_wire::RoundOutcome;
use tokio::sync::broadcast::Receiver;
use tokio::time::timeout;

use crate::world::{PATIENCE, World};

async fn ask(shard: &ShardServer, wanted: Wanted) -> Answer {
    shard.asker().ask(wanted).await.expect("it is there")
}

async fn status(shard: &ShardServer) -> Status {
    serde_json::from_str(&ask(shard, Wanted::Status).await.unwrap()).unwrap()
}

/// Lets rounds go by until it is so. Every one of them has to be delivered.
async fn until(
    notices: &mut Receiver<ShardNotice>,
    shard: &ShardServer,
    is_so: impl Fn(&Status) -> bool,
) -> Status {
    let waited = timeout(PATIENCE, async {
        loop {
            let notice = notices.recv().await.unwrap();
            if let ShardNotice::Machine(Notice::RoundEnded { round, outcome, .. }) = notice {
                assert_eq!(outcome, RoundOutcome::Delivered, "round {round}");
                let status = status(shard).await;
                if is_so(&status) {
                    return status;
                }
            }
        }
    });
    match waited.await {
        Ok(status) => status,
        Err(_) => panic!("{:?}", status(shard).await),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_is_drained_stays_up_and_takes_part_again_and_no_round_is_lost() {
    let world = World::start(150);
    let shards = world.shards();
    let mut rounds = shards[2].subscribe();
    let before = until(&mut rounds, &shards[0], |status| status.epoch.is_some()).await;
    assert!(before.ready && before.drain == Drain::No, "{before:?}");

    for _ in 0..2 {
        ask(&shards[0], Wanted::Drain).await.expect("any number of times");
    }
    let drained = until(&mut rounds, &shards[0], |status| status.drain == Drain::Drained).await;
    assert!(!drained.ready && drained.epoch.is_none(), "{drained:?}");
    assert!(drained.words.contains("has left") && drained.unlinked.is_none(), "{drained:?}");

    // Two of three operators are the least that an epoch takes.
    ask(&shards[1], Wanted::Drain).await.expect("the coordinator is asked first");
    let refused = |status: &Status| matches!(status.drain, Drain::Refused { .. });
    let needed = until(&mut rounds, &shards[1], refused).await;
    let Drain::Refused { why } = &needed.drain else { unreachable!() };
    assert!(why.contains("operator 0, operator 1") && why.contains("weight 2"), "{why}");
    assert!(needed.ready, "{needed:?}");

    ask(&shards[0], Wanted::Undo).await.expect("it is listed");
    let back = until(&mut rounds, &shards[0], |status| status.ready).await;
    assert!(back.drain == Drain::No && back.epoch > before.epoch, "{back:?}");
    // It is not needed any more, and leaving is asked for anew.
    ask(&shards[1], Wanted::Drain).await.unwrap();
    until(&mut rounds, &shards[1], |status| status.drain == Drain::Drained).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_drained_says_why() {
    let world = World::start(150);
    let mut config = world.config(0);
    config.coordinators[0].address = "127.0.0.1:9".to_owned();
    let alone = ShardServer::start(config).unwrap();
    let why = ask(&alone, Wanted::Drain).await.unwrap_err();
    assert!(why.contains("no link to the coordinator"), "{why}");
    assert_eq!(status(&alone).await.drain, Drain::No);
    ask(&alone, Wanted::Undo).await.expect("nothing is to be undone");
}
