//! Honest shards whose links somebody slows down.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use antiphon_coordinator_core::{Notice, RoundResult};
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{converse, log};
use antiphon_sim::{Network, Party, Payload, START, Sent, Setup};
use antiphon_wire::{IdentityKey, Timestamp};

const SHARDS: usize = 4;
const SLOW_MS: u64 = 5_000;

fn setup() -> Setup {
    let mut setup = Setup::small(SHARDS, 4).with_little_noise();
    setup.coordinator.epoch_rounds = 10;
    setup.coordinator.prepare_ahead_rounds = 4;
    setup
}

/// Slows some shards' links from one moment until another.
fn slow(
    shards: &'static [usize],
    until_ms: u64,
    which: fn(&Payload) -> bool,
) -> impl FnMut(Timestamp, Sent, &Keys) -> Vec<(u64, Sent)> {
    move |now, sent, _| {
        let is_slow = |party| matches!(party, Party::Shard(i) if shards.contains(&i));
        let hit = (is_slow(sent.from) || is_slow(sent.to)) && which(&sent.payload);
        let time = now.ms_since(START);
        let slows = hit && (5_000..until_ms).contains(&time);
        vec![(if slows { SLOW_MS } else { 0 }, sent)]
    }
}

fn between_shards(payload: &Payload) -> bool {
    matches!(payload, Payload::Peer(_) | Payload::Batch { .. })
}

fn with_coordinator(payload: &Payload) -> bool {
    matches!(payload, Payload::ToCoordinator(_) | Payload::ToShard(_))
}

fn talking(setup: Setup) -> Network {
    let mut network = Network::new(setup);
    let (a, b) = converse(&mut network, 0, 1);
    for number in 0..20u8 {
        network.client(0).send(a, vec![number; 300]).unwrap();
        network.client(1).send(b, vec![number; 300]).unwrap();
    }
    network
}

fn assert_all_arrived(network: &mut Network) {
    let all = |network: &Network| (0..2).all(|c| network.record.received(c).count() >= 20);
    assert!(network.run_until(150_000, all), "{}", log(network));
    network.run_ms(2_000);
    for client in 0..2 {
        let numbers: Vec<_> = network.record.received(client).map(|m| m[0]).collect();
        assert_eq!(numbers, (0..20).collect::<Vec<_>>(), "client {client}");
    }
    network.record.promises.assert_kept();
}

/// How long each suspension of a shard was, in epochs.
fn suspensions(network: &Network, of: &IdentityKey) -> Vec<u32> {
    let record = network.record.coordinator.iter();
    record
        .filter_map(|(_, notice)| match notice {
            Notice::ShardSuspended { shard, epochs, .. } if shard == of => Some(*epochs),
            _ => None,
        })
        .collect()
}

#[test]
fn a_slow_shard_is_named_sits_out_ever_longer_and_comes_back() {
    let mut network = talking(setup());
    network.set_adversary(slow(&[2], 60_000, between_shards));
    let victim = network.identity(2);
    network.run_ms(60_000 + SLOW_MS);
    let aborted: Vec<_> = network
        .record
        .rounds()
        .filter_map(|report| match &report.result {
            RoundResult::Aborted { missing, .. } => Some(missing.clone()),
            _ => None,
        })
        .collect();
    assert!(!aborted.is_empty());
    assert!(aborted.iter().all(|missing| missing.contains(&victim)), "{}", log(&network));
    let mut suspended = suspensions(&network, &victim);
    suspended.dedup();
    assert!(suspended.len() >= 2, "{suspended:?}\n{}", log(&network));
    assert!(suspended.is_sorted() && suspended[..2] == [1, 2], "{suspended:?}");
    // Whoever was not slowed is not blamed for it.
    for other in [0, 1, 3] {
        let other = network.identity(other);
        assert!(suspensions(&network, &other).is_empty(), "{}", log(&network));
    }
    // Rounds without it went through, all the same.
    let delivered = network.record.rounds().filter(|r| r.result == RoundResult::Delivered).count();
    assert!(delivered > 20, "{delivered}\n{}", log(&network));
    // Nothing of it is charged to anybody.
    for client in 0..4 {
        assert_eq!(network.client(client).ledger().charged(), 0);
    }

    let before = network.record.epochs().count();
    let back = |network: &Network| network.record.epochs().skip(before).any(|(.., n)| n == SHARDS);
    assert!(network.run_until(150_000, back), "{}", log(&network));
    let rounds = network.record.rounds().count();
    network.run_ms(15_000);
    let delivered =
        |r: &&antiphon_coordinator_core::RoundReport| r.result == RoundResult::Delivered;
    assert!(network.record.rounds().skip(rounds).filter(delivered).count() > 8);
    assert_all_arrived(&mut network);
}

#[test]
fn no_delay_takes_the_roster_below_its_quorum() {
    let mut network = talking(setup());
    network.set_adversary(slow(&[1, 2], 40_000, between_shards));
    network.run_ms(40_000);
    // A gateway that is slowed hears no other shard in time, and cannot show that two operators withheld their
    // keys: its clients are charged for three in a row, and then for one at each level of a schedule that gets
    // ever sparser. Clients of the others are charged for nothing.
    let charged = |network: &mut Network, client| network.client(client).ledger().charged();
    for client in 0..4 {
        let most = if [1, 2].contains(&client) { 8 } else { 0 };
        assert!(charged(&mut network, client) <= most, "client {client}");
    }
    // A slow gateway sits out for long by then. Clients here keep theirs; others draw one of the epoch.
    network.move_client(1, 3);
    network.run_ms(SLOW_MS);
    assert!(network.record.epochs().all(|(.., shards)| shards >= 3), "{}", log(&network));
    assert_all_arrived(&mut network);
    // One end comes densely still, to a partner who comes rarely by then, and thins out likewise.
    assert!(charged(&mut network, 0) <= 4);
    assert_eq!(charged(&mut network, 3), 0);
}

#[test]
fn a_shard_far_from_the_coordinator_holds_up_no_rounds_for_long() {
    let mut network = talking(setup());
    network.set_adversary(slow(&[2], 40_000, with_coordinator));
    network.run_ms(40_000 + SLOW_MS);
    let delivered = network.record.rounds().filter(|r| r.result == RoundResult::Delivered).count();
    assert!(delivered > 10, "{delivered}\n{}", log(&network));
    for other in [0, 1, 3] {
        let other = network.identity(other);
        assert!(suspensions(&network, &other).is_empty(), "{}", log(&network));
    }
    assert_all_arrived(&mut network);
}
