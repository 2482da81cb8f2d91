use std::fs;

use crate::network::{Network, SHARDS, delivered_after, epochs};

#[test]
fn a_killed_shard_is_left_out_and_comes_back_and_no_file_suffers() {
    let network = Network::new();
    let there = network.write_file("there.bin", 12_000, 4);
    let back = network.write_file("back.bin", 12_000, 5);
    let mut coordinator = network.start_coordinator("coordinator");
    let mut shards = network.start_shards();
    let mut first = network.start_client("first", "");
    let mut second = network.start_client("second", "");
    for client in [&mut first, &mut second] {
        client.wait_for_words("the conversation is open");
    }
    let mut send_there = network.start_job("first", "send", "there.bin");
    let mut send_back = network.start_job("second", "send", "back.bin");
    let (epoch, round) = delivered_after(&mut coordinator, 3);
    assert_eq!(epochs(&coordinator.log())[0].1, SHARDS);

    // The gateways of both clients live.
    shards[SHARDS - 1].kill();
    let without = coordinator.wait_for("an epoch without the shard", |log| {
        epochs(log).into_iter().find(|(_, shards)| *shards == SHARDS - 1)
    });
    assert!(without.0 > epoch);
    let goes_on = coordinator.wait_for("a round of that epoch", |log| {
        crate::network::rounds(log)
            .into_iter()
            .find(|line| line.epoch == without.0 && line.what.starts_with("delivered after"))
    });
    assert!(goes_on.round > round);

    shards[SHARDS - 1] = network.start_shard(SHARDS - 1, "restarted");
    let with = coordinator.wait_for("an epoch with the shard again", |log| {
        epochs(log).into_iter().find(|(epoch, shards)| *epoch > without.0 && *shards == SHARDS)
    });
    coordinator.wait_for("a round of that epoch", |log| {
        crate::network::rounds(log)
            .into_iter()
            .find(|line| line.epoch == with.0 && line.what.starts_with("delivered after"))
    });

    assert_eq!((send_there.exit_code(), send_back.exit_code()), (0, 0), "{}", send_there.log());
    assert_eq!(fs::read(network.folder().join("second.in/there.bin")).unwrap(), there);
    assert_eq!(fs::read(network.folder().join("first.in/back.bin")).unwrap(), back);
}
