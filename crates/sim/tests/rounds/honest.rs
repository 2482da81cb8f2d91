//! Networks in which everybody does what they should.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use antiphon_client_core::{ConversationId, ConversationSecret, Opening, Outcome, Role, Start};
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::{Network, Setup};
use antiphon_wire::Suite;

fn open(network: &mut Network, a: usize, b: usize) -> (ConversationId, ConversationId) {
    let secret = || ConversationSecret([7; 32]);
    let first = Opening::new(secret(), Role::First, Start::Dense);
    let second = Opening::new(secret(), Role::Second, Start::Dense);
    let first = network.client(a).open_conversation(&first).unwrap();
    let second = network.client(b).open_conversation(&second).unwrap();
    (first, second)
}

#[test]
fn two_clients_exchange_messages_both_ways() {
    for (shards, suite) in [(3, Suite::Classic), (5, Suite::Classic), (3, Suite::Hybrid)] {
        let mut setup = Setup::small(shards, 6);
        setup.policy.suite = suite;
        let mut network = Network::new(setup);
        let (a, b) = open(&mut network, 0, 1);
        let there: Vec<u8> = (0..3000u32).map(|i| i as u8).collect();
        let back = b"and back".to_vec();
        network.client(0).send(a, there.clone()).unwrap();
        network.client(1).send(b, back.clone()).unwrap();
        let done = network.run_until(120_000, |network| {
            network.record.received(1).next().is_some()
                && network.record.received(0).next().is_some()
        });
        for (at, notice) in &network.record.coordinator {
            println!("{} {notice}", at.0 - antiphon_sim::START.0);
        }
        assert!(done, "not delivered with {shards} shards and suite {suite}");
        assert_eq!(network.record.received(1).collect::<Vec<_>>(), [there]);
        assert_eq!(network.record.received(0).collect::<Vec<_>>(), [back]);
    }
}

#[test]
fn every_client_adds_exactly_one_pair_whoever_talks() {
    let clients = 6;
    let mut network = Network::new(Setup::small(4, clients));
    open(&mut network, 0, 5);
    network.run_ms(30_000);
    let mut delivered = 0;
    for report in network.record.rounds().filter(|report| report.result == RoundResult::Delivered) {
        let totals = &report.totals;
        assert_eq!(totals.user_onions, 2 * clients as u64);
        // Deposits meet in pairs or stay alone, and none is lost.
        assert_eq!(totals.user_onions + totals.noise_onions, 2 * totals.pairs + totals.singles);
        // What is alone is noise: users' deposits all met.
        assert!(totals.pairs >= clients as u64);
        for client in 0..clients {
            let outcome = network.record.outcome(client, report.round);
            assert!(matches!(outcome, None | Some(Outcome::Undisturbed)), "{outcome:?}");
        }
        delivered += 1;
    }
    assert!(delivered > 10, "only {delivered} rounds");
}
