use std::time::{Duration, Instant};

use crate::network::{Network, RoundLine, delivered_after, rounds};

/// More than the deadlines of one round in these networks, should every one of them be waited for.
const LONGEST_ROUND: Duration = Duration::from_secs(40);

const STOPPING: &str = "stopping after the running round";

#[test]
fn asked_to_stop_every_process_ends_its_round_and_a_coordinator_goes_on_later() {
    let network = Network::new();
    network.write_file("large.bin", 300_000, 6);
    network.make_folder("in");
    let mut coordinator = network.start_coordinator("coordinator");
    let mut shards = network.start_shards();
    let mut first = network.start_client("first", "--send large.bin");
    let mut second = network.start_client("second", "--receive in");
    first.wait_for_words("the conversation is open");
    second.wait_for_words("the conversation is open");
    delivered_after(&mut coordinator, 3);

    let (code, took) = first.terminate();
    assert_eq!(code, 3, "the job is not done");
    assert!(took < LONGEST_ROUND, "{took:?}");
    for words in [STOPPING, "interrupted before the job was done", "of 300000 bytes"] {
        assert!(first.log().contains(words), "{words}: {}", first.log());
    }
    let report = network.report("first");
    assert_eq!((&report["done"], &report["receiving"]), (&false.into(), &false.into()));

    let (code, took) = coordinator.terminate();
    assert_eq!(code, 0);
    assert!(took < LONGEST_ROUND, "{took:?}");
    let before = rounds(&coordinator.log());
    assert!(coordinator.log().contains(STOPPING));
    let last = before.iter().map(|line| line.round).max().unwrap();
    let ended = |line: &RoundLine| line.round == last && line.what != "opened";
    assert!(before.iter().any(ended), "round {last} ended: {before:?}");

    let mut coordinator = network.start_coordinator("coordinator-again");
    let again = Instant::now();
    delivered_after(&mut coordinator, last);
    // Shards were told that it left, so they need not wait for a silent link.
    assert!(again.elapsed() < Duration::from_secs(12), "{:?}", again.elapsed());
    let after = rounds(&coordinator.log());
    assert!(after.iter().all(|line| line.round > last), "{after:?}");

    let (code, took) = shards[3].terminate();
    assert_eq!(code, 0);
    assert!(took < LONGEST_ROUND, "{took:?}");
    assert!(shards[3].log().contains("leaving once") && shards[3].log().contains("stopped"));
    let newest = rounds(&coordinator.log()).iter().map(|line| line.round).max().unwrap();
    delivered_after(&mut coordinator, newest);

    let (code, _) = second.terminate();
    assert_eq!(code, 3);
    assert!(second.log().contains("no whole file"), "{}", second.log());
}

#[test]
fn a_client_that_finds_nobody_can_be_stopped_and_gives_up_in_time() {
    let network = Network::new();
    network.write_file("a.bin", 10, 7);
    let mut waiting = network.start_client("first", "--send a.bin");
    let mut impatient = network.start_client("second", "--send a.bin --timeout 2");
    assert_eq!(impatient.exit_code(), 1);
    assert!(impatient.log().contains("no gateway after 2 seconds"), "{}", impatient.log());
    waiting.wait_for_words("connecting");
    assert_eq!(waiting.terminate().0, 3);
}
