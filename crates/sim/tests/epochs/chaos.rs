//! Crashes, restarts and delays in any order. Nothing breaks a promise, and all heals.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use antiphon_client_core::Outcome;
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{converse, log};
use antiphon_sim::{LinkModel, Network, Party, Sent, Setup};
use antiphon_wire::Timestamp;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

const SHARDS: usize = 4;

/// Holds messages of shards back now and then, beyond their deadlines.
fn hold_back(seed: u64) -> impl FnMut(Timestamp, Sent, &Keys) -> Vec<(u64, Sent)> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    move |_, sent, _| {
        let held = matches!(sent.from, Party::Shard(_)) && rng.next_u32() % 3000 == 0;
        vec![(if held { 3_000 } else { 0 }, sent)]
    }
}

fn run(seed: u64) {
    let link = LinkModel { delay_ms: 20, jitter_ms: 20, loss_ppm: 5_000 };
    let mut setup = Setup { link, seed, ..Setup::small(SHARDS, 4).with_little_noise() };
    setup.coordinator.epoch_rounds = 9;
    setup.coordinator.prepare_ahead_rounds = 3;
    let mut network = Network::with_adversary(setup, hold_back(seed));
    let (a, b) = converse(&mut network, 0, 1);
    for client in [0, 1] {
        network.client(client).continue_at_a_price(1_000);
    }
    for number in 0..40u8 {
        network.client(0).send(a, vec![number; 200]).unwrap();
        network.client(1).send(b, vec![number; 200]).unwrap();
    }
    let mut rng = ChaCha20Rng::seed_from_u64(1000 + seed);
    let mut pick = |below: usize| (rng.next_u32() as usize) % below;
    let mut down = [false; SHARDS];
    for _ in 0..25 {
        network.run_ms(100 + pick(2_500) as u64);
        let shard = pick(SHARDS);
        match pick(6) {
            0 | 1 if !down[shard] => {
                network.crash(shard);
                down[shard] = true;
            }
            0..=2 if down[shard] => {
                network.restart(shard);
                down[shard] = false;
            }
            3 => network.restart_coordinator(0),
            4 => network.restart_client(2),
            _ => network.move_client(pick(2), shard),
        }
        network.record.promises.assert_kept();
    }
    network.set_adversary(antiphon_sim::adversary::Honest);
    for shard in (0..SHARDS).filter(|shard| down[*shard]) {
        network.restart(shard);
    }
    for client in 0..2 {
        network.move_client(client, client);
    }
    let all = |network: &Network| (0..2).all(|c| network.record.received(c).count() >= 40);
    for turn in 0..60 {
        if network.run_until(10_000, all) {
            break;
        }
        for client in 0..2 {
            // A gateway that sits out epochs opens no rounds: clients leave it.
            let last = network.record.events[client].last().map(|(at, _)| at.plus_ms(10_000));
            if last < Some(network.now()) {
                network.move_client(client, (client + turn) % SHARDS);
            }
        }
    }
    assert!(all(&network), "seed {seed}\n{}", log(&network));
    for client in 0..2 {
        let numbers: Vec<_> = network.record.received(client).map(|m| m[0]).collect();
        assert_eq!(numbers, (0..40).collect::<Vec<_>>(), "seed {seed}, client {client}");
    }
    // A round that was free was opened nowhere.
    for report in network.record.rounds() {
        let free =
            |client| network.record.outcome(client, report.round) == Some(Outcome::FreeAbort);
        if (0..4).any(free) {
            assert_ne!(report.result, RoundResult::Delivered, "seed {seed} {report:?}");
            assert_eq!(report.totals.pairs + report.totals.singles, 0, "seed {seed} {report:?}");
        }
    }
    network.record.promises.assert_kept();
}

#[test]
fn whatever_happens_promises_are_kept_and_messages_arrive_once() {
    // With 42, a client's gateway is left out of epochs for minutes.
    for seed in [1, 2, 3, 42] {
        run(seed);
    }
}
