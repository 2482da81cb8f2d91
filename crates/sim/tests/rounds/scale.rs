//! Networks of other sizes and shapes.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::scenario::{converse, log};
use antiphon_sim::{LinkModel, Network, Setup};
use antiphon_wire::OperatorIndex;

/// Runs until clients 0 and 1 have each other's messages, with a few rounds at least.
fn delivers(setup: Setup, rounds: usize) -> Network {
    let mut network = Network::new(setup);
    let (a, b) = converse(&mut network, 0, 1);
    let there: Vec<u8> = (0..1000u32).map(|i| i as u8).collect();
    network.client(0).send(a, there.clone()).unwrap();
    network.client(1).send(b, b"back".to_vec()).unwrap();
    let done = network.run_until(120_000, |network| {
        (0..2).all(|client| network.record.received(client).next().is_some())
            && network.record.rounds().count() >= rounds
    });
    assert!(done, "{}", log(&network));
    assert_eq!(network.record.received(1).collect::<Vec<_>>(), [there]);
    assert_eq!(network.record.received(0).collect::<Vec<_>>(), [b"back"]);
    network.record.promises.assert_kept();
    network
}

fn assert_undisturbed(network: &Network) {
    for report in network.record.rounds() {
        assert_eq!(report.result, RoundResult::Delivered, "{}", log(network));
        for client in 0..network.record.events.len() {
            let outcome = network.record.outcome(client, report.round);
            assert!(matches!(outcome, None | Some(Outcome::Undisturbed)), "{outcome:?}");
        }
    }
}

#[test]
fn fifty_shards_deliver() {
    let mut setup = Setup::small(50, 6).with_little_noise();
    setup.coordinator.epoch_rounds = 12;
    setup.coordinator.prepare_ahead_rounds = 1;
    let network = delivers(setup, 3);
    assert_undisturbed(&network);
}

#[test]
fn five_operators_run_twenty_shards_and_one_of_them_may_lose_one() {
    let mut setup = Setup::small(20, 6).with_little_noise();
    setup.operators = 5;
    setup.coordinator.epoch_rounds = 12;
    setup.coordinator.prepare_ahead_rounds = 3;
    let mut network = delivers(setup, 3);
    assert_undisturbed(&network);
    let epoch = network.client(0).newest_epoch().unwrap().clone();
    assert_eq!(epoch.document().operators.len(), 5);
    assert!((0..5).all(|operator| {
        let of = |shard: &&antiphon_wire::ShardEntry| shard.operator == OperatorIndex(operator);
        epoch.shards().iter().filter(of).count() == 4
    }));

    // With three of four shards an operator still counts.
    network.crash(19);
    let epochs = network.record.epochs().count();
    let again = network.run_until(30_000, |network| network.record.epochs().count() > epochs);
    assert!(again, "{}", log(&network));
    assert_eq!(network.record.epochs().last().unwrap().3, 19);
    // With two of four it does not, and its other shards are left out too.
    network.crash(14);
    let epochs = network.record.epochs().count();
    let again = network.run_until(30_000, |network| network.record.epochs().count() > epochs);
    assert!(again, "{}", log(&network));
    assert_eq!(network.record.epochs().last().unwrap().3, 16);
    let rounds = network.record.rounds().count();
    network.run_until(10_000, |network| network.record.rounds().count() > rounds + 2);
    let last = network.record.rounds().last().unwrap();
    assert_eq!(last.result, RoundResult::Delivered, "{}", log(&network));
}

#[test]
fn links_around_the_world_that_lose_messages_deliver() {
    let mut setup = Setup::small(5, 6).with_little_noise();
    setup.link = LinkModel { delay_ms: 100, jitter_ms: 50, loss_ppm: 50_000 };
    setup.coordinator.submit_ms = 1_500;
    setup.coordinator.layer_ms = 1_500;
    setup.coordinator.verify_ms = 1_500;
    setup.coordinator.reply_ms = 1_500;
    setup.coordinator.interval_ms = 3_000;
    setup.coordinator.contribute_ms = 3_000;
    setup.coordinator.endorse_ms = 3_000;
    setup.coordinator.ready_ms = 3_000;
    let network = delivers(setup, 10);
    // A gateway waits for onions that were lost once on the way and sent again. Those that were lost
    // twice come too late, and their client has a disturbed round: at so much loss, one in a hundred.
    let (mut all, mut disturbed) = (0, 0);
    for report in network.record.rounds() {
        assert_eq!(report.result, RoundResult::Delivered, "{}", log(&network));
        for client in 0..network.record.events.len() {
            match network.record.outcome(client, report.round) {
                None | Some(Outcome::Undisturbed) => all += 1,
                Some(Outcome::Disturbed) => (all, disturbed) = (all + 1, disturbed + 1),
                other => panic!("{other:?}"),
            }
        }
    }
    assert!(50 * disturbed < all, "{disturbed} of {all}");
}
