use std::fs;
use std::time::{Duration, Instant};

use crate::network::{Network, RoundLine, delivered_after, rounds};

/// More than the deadlines of one round in these networks, should every one of them be waited for.
const LONGEST_ROUND: Duration = Duration::from_secs(40);

const STOPPING: &str = "stopping after the running round";

#[test]
fn asked_to_stop_every_process_ends_its_round_and_a_coordinator_goes_on_later() {
    let network = Network::new();
    network.write_file("large.bin", 300_000, 6);
    let mut coordinator = network.start_coordinator("coordinator");
    let mut shards = network.start_shards();
    let mut first = network.start_client("first", "");
    let mut second = network.start_client("second", "");
    first.wait_for_words("the conversation is open");
    second.wait_for_words("the conversation is open");
    let mut send = network.start_job("first", "send", "large.bin");
    delivered_after(&mut coordinator, 3);
    send.wait_for_words("sending");

    let (code, _) = send.terminate();
    assert_eq!(code, 3, "the job is not done");
    for words in ["interrupted before the job was done", "of 300000 bytes"] {
        assert!(send.log().contains(words), "{words}: {}", send.log());
    }
    assert_eq!(network.report("first", "send")["stored"], false);
    second.wait_for_words("the partner took a file back");

    let (code, took) = first.terminate();
    assert_eq!(code, 0);
    assert!(took < LONGEST_ROUND, "{took:?}");
    assert!(first.log().contains(STOPPING), "{}", first.log());

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

    assert_eq!(second.terminate().0, 0);
}

#[test]
fn a_client_without_a_network_or_a_partner_stays_until_it_is_asked_or_its_time_is_up() {
    let network = Network::new();
    // Idle: it talks to nobody, and takes no files.
    let path = network.folder().join("first.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.split("[conversation]").next().unwrap()).unwrap();
    let mut idle = network.start_client("first", "");
    let began = Instant::now();
    let mut fixed = network.start_client("second", "--for 4s");
    idle.wait_for_words("no link to the coordinator");
    assert_eq!(fixed.exit_code(), 0);
    assert!((4..20).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());

    let mut coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    delivered_after(&mut coordinator, 3);
    idle.wait_for("rounds", |_| {
        (network.status("first")["rounds"]["undisturbed"].as_u64() > Some(2)).then_some(())
    });
    let status = network.status("first");
    assert_eq!(status["conversation"], "there is no conversation: the configuration names none");
    assert_eq!(status["charged"], 0);
    let mut send = network.start_job("first", "send", "network.toml");
    assert_eq!(send.exit_code(), 1);
    assert_eq!(idle.terminate().0, 0);
    let mut nobody = network.start_job("first", "send", "network.toml");
    assert_eq!(nobody.exit_code(), 1);
    assert!(nobody.log().contains("no client runs with this configuration"), "{}", nobody.log());
}

#[test]
fn before_an_end_that_was_fixed_the_partner_is_told_and_the_end_waits_for_nobody() {
    let network = Network::new();
    let mut coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    delivered_after(&mut coordinator, 1);
    let mut stays = network.start_client("first", "");
    let began = Instant::now();
    let mut leaves = network.start_client("second", "--for 25s");
    stays.wait_for_words("there is no conversation: the partner closed it");
    assert!(leaves.log().contains("this client leaves soon"), "{}", leaves.log());
    assert!(!leaves.log().contains(STOPPING), "told before it left: {}", leaves.log());
    // Nobody pays for an end that is gone, and the other goes on with its idle rounds.
    let charged = network.status("first")["charged"].clone();
    assert_eq!(leaves.exit_code(), 0);
    assert!((25..35).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let (_, round) = delivered_after(&mut coordinator, 1);
    delivered_after(&mut coordinator, round + 5);
    assert_eq!(network.status("first")["charged"], charged);
    assert_eq!(stays.terminate().0, 0);
}

#[test]
fn a_client_stays_when_its_ledger_is_used_up_and_its_partner_is_silent() {
    let network = Network::with_budget(4);
    let mut coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    let mut alone = network.start_client("first", "");
    alone.wait_for_words("the ledger is used up");
    let last = |network: &Network| network.status("first")["last_round"].as_u64().unwrap();
    let rested = last(&network);
    delivered_after(&mut coordinator, rested + 20);
    alone.wait_for("idle rounds after that", |_| (last(&network) > rested + 15).then_some(()));
    let status = network.status("first");
    assert!(status["conversation"].as_str().unwrap().contains("rests"), "{status}");
    assert_eq!(status["left"], 0);
    assert_eq!(alone.terminate().0, 0);
}

#[test]
fn asked_twice_a_process_ends_at_once() {
    let network = Network::new();
    let mut coordinator = network.start_coordinator("coordinator");
    let mut shards = network.start_shards();
    let mut client = network.start_client("first", "");
    client.wait_for_words("linked to a gateway");
    delivered_after(&mut coordinator, 1);
    // A round that is open and never ends.
    for shard in &mut shards {
        shard.pause();
    }
    client.wait_for("a round in flight", |_| {
        std::thread::sleep(Duration::from_millis(400));
        Some(())
    });
    client.ask_to_stop();
    client.wait_for_words(STOPPING);
    // What comes at once is the same signal, as `timeout` sends it.
    std::thread::sleep(Duration::from_millis(800));
    let (code, took) = client.terminate();
    assert_eq!(code, 3);
    assert!(took < Duration::from_secs(3), "{took:?}");
}
