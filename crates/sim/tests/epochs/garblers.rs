//! Networks with a shard that garbles cells, and networks that only have bad luck.

use std::collections::BTreeSet;

use antiphon_client_core::Event;
use antiphon_coordinator_core::{Notice, RoundReport, RoundResult};
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{layers, log};
use antiphon_sim::{LinkModel, Network, Party, Payload, Sent, Setup};
use antiphon_wire::{Direction, IdentityKey, Timestamp};
use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// A shard that is no gateway of those who talk.
const GARBLER: usize = 3;
const INTERVAL_MS: u64 = 10_000;
const EPOCH_ROUNDS: u64 = 6;
const CELL: usize = 256;

/// Five shards of five operators, with a round every ten seconds and a beat each second.
fn setup() -> Setup {
    let mut setup = Setup::small(5, 2).with_little_noise();
    setup.policy.least_round_interval_ms = INTERVAL_MS as u32;
    let coordinator = &mut setup.coordinator;
    coordinator.interval_ms = INTERVAL_MS as u32;
    coordinator.epoch_rounds = EPOCH_ROUNDS as u32;
    coordinator.prepare_ahead_rounds = 3;
    coordinator.beats = 20;
    coordinator.beat_ms = 1000;
    coordinator.beat_layer_ms = 80;
    coordinator.first_beat_ms = 4000;
    setup
}

/// A shard that garbles so many in a thousand of the cells that it sends.
fn garbles(per_mille: u32) -> impl FnMut(Timestamp, Sent, &Keys) -> Vec<(u64, Sent)> {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    move |_, mut sent, _| {
        if let (Party::Shard(GARBLER), Payload::Cells { bytes, .. }) =
            (sent.from, &mut sent.payload)
        {
            for cell in bytes.chunks_exact_mut(CELL) {
                if rng.random_range(0..1000) < per_mille {
                    rng.fill_bytes(cell);
                }
            }
        }
        vec![(0, sent)]
    }
}

/// The shards that were named so far.
fn named(network: &Network) -> BTreeSet<IdentityKey> {
    let told = network.record.coordinator.iter().filter_map(|(_, notice)| match notice {
        Notice::ShardNamed { shard, .. } => Some(*shard),
        _ => None,
    });
    told.collect()
}

/// How many cells of canaries were found garbled, and how many lost to delays.
fn judged(network: &Network) -> (u32, u32) {
    let told = network.record.coordinator.iter().filter_map(|(_, notice)| match notice {
        Notice::CellsJudged { garbled, lost, .. } => Some((*garbled, *lost)),
        _ => None,
    });
    told.fold((0, 0), |(garbled, lost), (more, others)| (garbled + more, lost + others))
}

/// The share of the last beats of client 0 in which both of its own cells came back whole.
fn whole(network: &Network, beats: usize) -> f64 {
    let ended = network.record.events[0].iter().rev().filter_map(|(_, event)| match event {
        Event::BeatEnded { arrived, .. } => Some(*arrived == 2),
        _ => None,
    });
    let last: Vec<_> = ended.take(beats).collect();
    last.iter().filter(|whole| **whole).count() as f64 / last.len().max(1) as f64
}

#[test]
fn who_garbles_one_cell_in_a_hundred_is_named_within_two_epochs_and_left_out() {
    let mut network = Network::with_adversary(setup(), garbles(10));
    let two_epochs = 2 * EPOCH_ROUNDS * INTERVAL_MS;
    let is_named = |network: &Network| !named(network).is_empty();
    assert!(network.run_until(two_epochs, is_named), "{}", log(&network));
    // It is told once, and its epochs go on without it.
    network.run_ms(2 * INTERVAL_MS);
    let garbler = network.identity(GARBLER);
    assert_eq!(named(&network), [garbler].into(), "{}", log(&network));
    let shards = network.record.epochs().last().map(|(.., shards)| shards);
    assert_eq!(shards, Some(4), "{}", log(&network));
    network.run_ms(INTERVAL_MS);
    assert!(whole(&network, 10) > 0.999, "{}\n{}", whole(&network, 10), log(&network));
}

/// One judgement alone names nobody here: marks of several do, which outlive the coordinator that made them.
#[test]
fn a_garbler_is_named_by_a_coordinator_that_is_started_again_after_every_judgement() {
    let mut network = Network::with_adversary(setup(), garbles(4));
    let mut restarts = 0;
    while named(&network).is_empty() {
        let (before, _) = judged(&network);
        let news = |network: &Network| judged(network).0 > before || !named(network).is_empty();
        assert!(network.run_until(60 * INTERVAL_MS, news), "{}", log(&network));
        if named(&network).is_empty() {
            network.restart_coordinator(0);
            restarts += 1;
        }
        assert!(restarts < 20, "{}", log(&network));
    }
    assert!(restarts > 0, "the first judgement named it: {}", log(&network));
    assert_eq!(named(&network), [network.identity(GARBLER)].into());
}

/// Batches that are late, a shard that crashes and comes back, and a coordinator that is killed.
#[test]
fn nobody_is_named_for_losses_delays_a_crash_or_a_killed_coordinator() {
    let mut network = Network::new(setup());
    // One message in fifty comes after its stop has closed.
    network.set_link(LinkModel { delay_ms: 20, jitter_ms: 10, loss_ppm: 20_000 });
    network.run_ms(2 * INTERVAL_MS);
    network.crash(1);
    network.run_ms(INTERVAL_MS);
    network.restart(1);
    network.run_ms(2 * INTERVAL_MS);
    network.restart_coordinator(0);
    network.run_ms(EPOCH_ROUNDS * INTERVAL_MS);
    let (garbled, lost) = judged(&network);
    assert!(lost > 0, "canaries were lost, and somebody asked why: {}", log(&network));
    assert_eq!((named(&network), garbled), (BTreeSet::new(), 0), "{}", log(&network));
}

/// The garbled onions are refused at layer L, so that cells of their circuits end there: without a look at what the round
/// answered, their makers would have them judged.
#[test]
fn canaries_that_were_spoilt_in_their_round_accuse_nobody_afterwards() {
    let (_, _, last) = layers(&setup());
    let spoils = move |_: Timestamp, mut sent: Sent, keys: &Keys| {
        if let (Party::Shard(GARBLER), Payload::Batch { header, bytes, item_bytes }) =
            (sent.from, &mut sent.payload)
            && (header.claimed().layer, header.claimed().direction) == (last, Direction::Forward)
        {
            let spoilt = bytes.iter().map(|byte| byte ^ 1).collect();
            sent.payload = keys.other_batch(GARBLER, header, spoilt, *item_bytes);
        }
        vec![(0, sent)]
    };
    let mut network = Network::with_adversary(setup(), spoils);
    network.run_ms(7 * INTERVAL_MS);
    let delivered = |report: &&RoundReport| report.result == RoundResult::Delivered;
    assert!(network.record.rounds().filter(delivered).count() >= 4, "{}", log(&network));
    assert_eq!((judged(&network), named(&network)), ((0, 0), BTreeSet::new()), "{}", log(&network));
}
