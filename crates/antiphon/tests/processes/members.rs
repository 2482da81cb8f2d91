use std::fs;
use std::time::{Duration, Instant};

use crate::done;
use crate::metrics::page::Page;
use crate::network::{Network, RoundLine, SHARDS, delivered_after, epochs, rounds};
use crate::process::Process;

/// Far less than a round's deadlines take, which is what everybody waited for once.
const SOON: Duration = Duration::from_secs(30);

/// Sees that rounds go on above `round` with all shards, and that nobody sits out. Returns the last
/// round.
fn goes_on(coordinator: &mut Process, round: u64, since: Instant) -> u64 {
    let (_, first) = delivered_after(coordinator, round);
    assert!(since.elapsed() < SOON, "{:?}", since.elapsed());
    let (_, last) = delivered_after(coordinator, first + 1);
    let log = coordinator.log();
    assert!(!log.contains("sits out"), "{log}");
    last
}

#[test]
fn a_coordinator_whose_state_is_old_or_lost_goes_on_by_itself() {
    let network = Network::new();
    let state = network.folder().join("coordinator.state");
    let mut coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    delivered_after(&mut coordinator, 2);
    let old = fs::read(&state).unwrap();
    let (_, round) = delivered_after(&mut coordinator, 8);
    coordinator.terminate();

    fs::write(&state, old).unwrap();
    let mut with_old = network.start_coordinator("coordinator.old");
    let round = goes_on(&mut with_old, round, Instant::now());
    with_old.terminate();

    fs::remove_file(&state).unwrap();
    let mut without = network.start_coordinator("coordinator.lost");
    goes_on(&mut without, round, Instant::now());
    assert!(without.log().contains("no state"));
    assert!(without.log().contains("going on above that"));
}

#[test]
fn after_a_power_cut_everything_is_back_in_seconds() {
    let network = Network::new();
    let mut coordinator = network.start_coordinator("coordinator");
    let mut shards = network.start_shards();
    let (_, round) = delivered_after(&mut coordinator, 3);
    coordinator.kill();
    shards.iter_mut().for_each(Process::kill);

    let since = Instant::now();
    let mut coordinator = network.start_coordinator("coordinator.again");
    let _shards: Vec<_> =
        (0..SHARDS).map(|i| network.start_shard(i, &format!("{i}.again"))).collect();
    goes_on(&mut coordinator, round, since);
    assert_eq!(epochs(&coordinator.log()).last().unwrap().1, SHARDS);
}

#[test]
fn shards_that_are_stopped_politely_cost_no_round_and_come_back() {
    let network = Network::new();
    let mut coordinator = network.start_coordinator("coordinator");
    let mut shards = network.start_shards();
    delivered_after(&mut coordinator, 3);
    for i in 0..2 {
        let (code, took) = shards[i].terminate();
        assert_eq!(code, 0);
        assert!(took < SOON, "{took:?}");
        let before = epochs(&coordinator.log()).last().unwrap().0;
        shards[i] = network.start_shard(i, &format!("{i}.again"));
        coordinator.wait_for("an epoch with the shard again", |log| {
            epochs(log).into_iter().find(|(epoch, shards)| *epoch > before && *shards == SHARDS)
        });
    }
    let log = coordinator.log();
    assert!(!log.contains("sits out") && !log.contains("cannot go on"), "{log}");
}

#[test]
fn a_second_process_with_a_state_file_or_an_identity_is_refused() {
    let network = Network::new();
    let mut coordinator = network.start_coordinator("coordinator");
    let _shards = network.start_shards();
    let (epoch, _) = delivered_after(&mut coordinator, 2);

    let mut same_state = network.start_shard(0, "second");
    assert_eq!(same_state.exit_code(), 1);
    assert!(same_state.log().contains("in use by process"), "{}", same_state.log());
    let mut second = network.start_coordinator("second.coordinator");
    assert_eq!(second.exit_code(), 1);
    assert!(second.log().contains("in use by process"), "{}", second.log());

    // With a state file and ports of its own, it gets as far as the coordinator.
    let mut same_identity = network.start_twin(0, "twin");
    same_identity.wait_for_words("another process registered with this identity from 127.0.0.1");
    let (_, round) = delivered_after(&mut coordinator, 8);
    let (still, _) = delivered_after(&mut coordinator, round + 3);
    assert_eq!(still, epoch, "{}", coordinator.log());
    assert!(!coordinator.log().contains("is gone"));
}

#[test]
fn a_drained_shard_is_in_no_epoch_until_it_is_wanted_again_and_costs_no_round() {
    let network = Network::new();
    let admin = network.look_after("alpha.toml");
    let mut coordinator = network.start_coordinator("coordinator");
    let mut shards = network.start_shards();
    delivered_after(&mut coordinator, 3);
    let drain = |arguments: &str, report: &str| -> serde_json::Value {
        let command = format!("drain {admin} {arguments} --timeout 60s --json {report}");
        done(network.folder(), &command);
        serde_json::from_str(&fs::read_to_string(network.folder().join(report)).unwrap()).unwrap()
    };
    for report in ["first.json", "again.json"] {
        let status = drain("", report);
        assert_eq!(
            (&status["drain"]["state"], &status["ready"]),
            (&"drained".into(), &false.into())
        );
    }
    let without = *epochs(&coordinator.log()).last().unwrap();
    assert_eq!(without.1, SHARDS - 1, "{}", coordinator.log());
    assert!(
        done(network.folder(), &format!("status {admin}")).contains("drained: it may be stopped")
    );
    drain("--undo", "undone.json");
    coordinator.wait_for("an epoch with the shard again", |log| {
        epochs(log).into_iter().find(|(epoch, shards)| *epoch > without.0 && *shards == SHARDS)
    });

    drain("", "last.json");
    let (code, took) = shards[0].terminate();
    assert_eq!(code, 0);
    assert!(took < Duration::from_secs(5), "nothing is waited for: {took:?}");
    let log = coordinator.log();
    assert!(!log.contains("sits out") && !log.contains("cannot go on"), "{log}");
    let good = |line: &RoundLine| ["opened", "delivered"].iter().any(|w| line.what.starts_with(w));
    assert_eq!(rounds(&log).into_iter().find(|line| !good(line)), None, "{log}");
}

#[test]
fn an_operator_puts_a_shard_with_a_new_key_in_the_place_of_one_and_rounds_go_on() {
    let network = Network::new();
    let here = network.folder();
    let admin = network.look_after("alpha.toml");
    let mut coordinator = network.start_coordinator("coordinator");
    let mut shards = network.start_shards();
    let (epoch, _) = delivered_after(&mut coordinator, 2);
    let taken = || Page::of(&admin).value("antiphon_shard_list_number");
    assert_eq!(taken(), Some(1.0));

    let key = done(here, "keygen identity --out alpha-2.key");
    let (old, new, next) = (network.identity(0), key.trim(), epoch + 1);
    done(
        here,
        &format!(
            "keygen operator-list --operator-key alpha.operator --network network.toml --after alpha.list \
             --add {new} --remove {old} --first-epoch {next} --out alpha-2.list"
        ),
    );
    fs::rename(here.join("alpha-2.list.end"), here.join("alpha.list")).unwrap();
    shards[0].wait_for_words("took a list of the operator number=2");
    assert_eq!(taken(), Some(2.0), "what whoever hands lists out waits for");
    let mut successor = network.start_successor(0, "alpha-2");

    successor.wait_for_words("new epoch");
    let (all, _) = coordinator.wait_for("an epoch with the new shard", |log| {
        epochs(log).into_iter().find(|(epoch, shards)| *epoch >= next && *shards == SHARDS)
    });
    coordinator.wait_for("a round of it", |log| {
        let of_it = |line: &RoundLine| line.epoch == all && line.what.starts_with("delivered");
        rounds(log).into_iter().find(of_it)
    });
    let log = coordinator.log();
    assert!(!log.contains("sits out") && !log.contains("cannot go on"), "{log}");
    let good = |line: &RoundLine| ["opened", "delivered"].iter().any(|w| line.what.starts_with(w));
    assert_eq!(rounds(&log).into_iter().find(|line| !good(line)), None, "{log}");
    assert_eq!(shards[0].terminate().0, 0, "it serves nobody, and ends at once");
}
