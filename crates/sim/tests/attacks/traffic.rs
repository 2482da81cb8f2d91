//! What the whole network's links show of users: nothing but that they are there.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use antiphon_client_core::{ConversationSecret, Opening, Outcome, Role, Start};
use antiphon_coordinator_core::RoundResult;
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{converse, log};
use antiphon_sim::{LinkModel, Network, Observed, Party, Payload, Sent, Setup};
use antiphon_wire::{Direction, Timestamp};

const CLIENTS: usize = 4;

/// What users do.
#[derive(Clone, Copy, Debug)]
enum Use {
    Nothing,
    /// A conversation is open, and nobody says anything.
    Silence,
    /// Two conversations with full queues at all ends.
    Much,
    /// A message now and then, from one end.
    Little,
    /// A conversation whose other end is not there, until the ledger is used up.
    Alone,
    /// A conversation that closes soon.
    Short,
}

const USES: [Use; 6] = [Use::Nothing, Use::Silence, Use::Much, Use::Little, Use::Alone, Use::Short];

fn run(setup: Setup, of: Use) -> Network {
    run_against(setup, of, |_: Timestamp, sent: Sent, _: &Keys| vec![(0, sent)])
}

fn run_against(
    setup: Setup,
    of: Use,
    adversary: impl antiphon_sim::adversary::Adversary + 'static,
) -> Network {
    let mut network = Network::with_adversary(setup, adversary);
    match of {
        Use::Nothing => network.run_ms(20_000),
        Use::Silence => {
            converse(&mut network, 0, 1);
            network.run_ms(20_000);
        }
        Use::Much => {
            for (a, b) in [(0, 1), (2, 3)] {
                let (a_id, b_id) = converse(&mut network, a, b);
                network.client(a).send(a_id, vec![1; 100_000]).unwrap();
                network.client(b).send(b_id, vec![2; 100_000]).unwrap();
            }
            network.run_ms(20_000);
        }
        Use::Little => {
            let (a, _) = converse(&mut network, 0, 1);
            for number in 0..10u8 {
                network.client(0).send(a, vec![number; 10]).unwrap();
                network.run_ms(2_000);
            }
        }
        Use::Alone => {
            let opening = Opening::new(ConversationSecret([3; 32]), Role::First, Start::Dense);
            let a = network.client(0).open_conversation(&opening).unwrap();
            network.client(0).send(a, vec![1; 10_000]).unwrap();
            network.run_ms(20_000);
        }
        Use::Short => {
            let (a, _) = converse(&mut network, 0, 1);
            network.client(0).send(a, b"bye".to_vec()).unwrap();
            network.run_ms(8_000);
            network.client(0).close_conversation(a);
            network.run_ms(12_000);
        }
    }
    network
}

fn assert_same(name: &str, of: Use, idle: &[Vec<Observed>], seen: &[Vec<Observed>]) {
    assert!(idle.concat().len() > 80, "{name}: only {} messages", idle.concat().len());
    for (client, (idle, seen)) in idle.iter().zip(seen).enumerate() {
        let differs = idle.iter().zip(seen).find(|(idle, seen)| idle != seen);
        assert_eq!(differs, None, "{name}: client {client} of {of:?}");
        assert_eq!(idle.len(), seen.len(), "{name}: client {client} of {of:?}");
    }
}

#[test]
fn clients_links_look_the_same_to_the_millisecond_whatever_users_do() {
    let exact = LinkModel { delay_ms: 20, jitter_ms: 0, loss_ppm: 0 };
    let lossy = LinkModel { delay_ms: 20, jitter_ms: 15, loss_ppm: 20_000 };
    for (name, link, uses) in [("exact links", exact, &USES[..2]), ("lossy links", lossy, &USES)] {
        let setup = Setup { link, ..Setup::small(3, CLIENTS).with_little_noise() };
        let idle = run(setup.clone(), Use::Nothing);
        for &of in uses {
            let network = run(setup.clone(), of);
            assert_same(name, of, &idle.record.observed, &network.record.observed);
        }
    }
}

#[test]
fn every_client_sends_and_receives_the_same_in_every_round() {
    let link = LinkModel { delay_ms: 20, jitter_ms: 0, loss_ppm: 0 };
    let network = run(Setup { link, ..Setup::small(3, CLIENTS).with_little_noise() }, Use::Much);
    assert!(network.record.received(1).next().is_none(), "the queue lasts the whole run");
    let by_client: BTreeSet<Vec<(u64, usize, bool)>> = network
        .record
        .observed
        .iter()
        .map(|seen| seen.iter().map(|seen| (seen.at.0, seen.bytes, seen.up)).collect())
        .collect();
    // All four at the same moments, with the same sizes.
    assert_eq!(by_client.len(), 1);
    let sizes: BTreeSet<usize> =
        network.record.observed[0].iter().filter(|seen| seen.up).map(|seen| seen.bytes).collect();
    assert_eq!(sizes.len(), 1, "{sizes:?}");
}

#[test]
fn spoilt_rounds_look_the_same_whatever_users_do() {
    // Every fourth round loses a shard's batches before the seal, every third one replies of half of the shards.
    // There are ten rounds in all: one that waits for replies takes four seconds, and whoever kept others waiting is
    // left out of the next epoch, where it spoils nothing. Replies of one shard alone would be too few.
    let spoil = || {
        |_: Timestamp, sent: Sent, _: &Keys| {
            let Payload::Batch { header, .. } = &sent.payload else { return vec![(0, sent)] };
            let header = header.claimed();
            let (round, layer) = (header.round.0, header.layer.0);
            let Party::Shard(shard) = sent.from else { return vec![(0, sent)] };
            let is = |number: u64, of| number % of == shard as u64 % of;
            let lost = match header.direction {
                Direction::Forward => round % 4 == 0 && is(round / 4, 4) && layer == 2,
                Direction::Reply => round % 3 == 0 && is(round / 3, 2) && layer == 3,
            };
            if lost { vec![] } else { vec![(0, sent)] }
        }
    };
    let mut setup = Setup::small(4, CLIENTS).with_little_noise();
    // So few that a conversation uses them up.
    setup.policy.disturbed_rounds = 6;
    let idle = run_against(setup.clone(), Use::Nothing, spoil());
    for outcome in [Outcome::Disturbed, Outcome::FreeAbort, Outcome::Undisturbed] {
        let of = |client: usize| {
            let rounds = idle.record.rounds();
            rounds.filter(|r| idle.record.outcome(client, r.round) == Some(outcome)).count()
        };
        let count = (0..CLIENTS).map(of).sum::<usize>();
        assert!(count > 3, "{outcome:?}: {count}\n{}", log(&idle));
    }
    for of in [Use::Much, Use::Alone, Use::Short] {
        let mut network = run_against(setup.clone(), of, spoil());
        if matches!(of, Use::Alone) {
            assert_eq!(network.client(0).ledger().left(), 0, "the ledger is used up");
        }
        assert_same("spoilt rounds", of, &idle.record.observed, &network.record.observed);
    }
}

#[test]
fn onions_of_a_layer_have_one_size() {
    let setup = Setup::small(3, CLIENTS).with_little_noise();
    let body = usize::from(setup.coordinator.body);
    let network = run(setup, Use::Much);
    let sizes = &network.record.onion_sizes;
    let (_, last, _) = *sizes.iter().max_by_key(|(_, layer, _)| *layer).unwrap();
    for &(round, layer, bytes) in sizes {
        let above = usize::from(last - layer);
        // A dead drop, a body, and an ephemeral key and a tag for each layer to open, with the
        // index of the next hop for each but the last.
        assert_eq!(bytes, 16 + body + 48 * (above + 1) + 2 * above, "{round:?} {layer}");
    }
}

#[test]
fn a_round_has_one_pair_for_each_client_and_noise_that_knows_nothing_of_users() {
    let mut means = Vec::new();
    for of in [Use::Nothing, Use::Much] {
        let network = run(Setup::small(3, CLIENTS).with_little_noise(), of);
        let mut pairs = Vec::new();
        for report in network.record.rounds().filter(|r| r.result == RoundResult::Delivered) {
            let totals = &report.totals;
            assert_eq!(totals.user_onions, 2 * CLIENTS as u64);
            assert_eq!(totals.user_onions + totals.noise_onions, 2 * totals.pairs + totals.singles);
            assert!(totals.pairs >= CLIENTS as u64);
            pairs.push((totals.pairs - CLIENTS as u64) as f64);
            for client in 0..CLIENTS {
                let outcome = network.record.outcome(client, report.round);
                assert!(matches!(outcome, None | Some(Outcome::Undisturbed)));
            }
        }
        let rounds = pairs.len() as f64;
        let mean = pairs.iter().sum::<f64>() / rounds;
        let variance = pairs.iter().map(|n| (n - mean).powi(2)).sum::<f64>() / rounds;
        assert!(rounds > 15.0 && variance > 1.0, "{rounds} rounds, variance {variance}");
        means.push((mean, variance / rounds));
    }
    let [(idle, a), (talking, b)] = means[..] else { unreachable!() };
    // Five standard deviations of the difference.
    assert!((idle - talking).abs() < 5.0 * (a + b).sqrt(), "{idle} {talking}");
}

fn two_pairs() -> Setup {
    let mut setup = Setup::small(3, CLIENTS).with_little_noise();
    setup.coordinator.pairs_per_client = 2;
    setup.policy.most_pairs = 2;
    setup.link.jitter_ms = 0;
    setup
}

#[test]
fn with_two_pairs_a_conversation_takes_one_and_the_other_is_idle() {
    let mut network = Network::new(two_pairs());
    let (a, b) = converse(&mut network, 0, 1);
    for number in 0..10u8 {
        network.client(0).send(a, vec![number; 300]).unwrap();
        network.client(1).send(b, vec![number; 300]).unwrap();
    }
    network.run_ms(15_000);
    for client in 0..2 {
        let numbers: Vec<_> = network.record.received(client).map(|m| m[0]).collect();
        assert_eq!(numbers, (0..10).collect::<Vec<_>>());
    }
    for report in network.record.rounds() {
        assert_eq!(report.result, RoundResult::Delivered);
        assert_eq!(report.totals.user_onions, 4 * CLIENTS as u64);
        assert!(report.totals.pairs >= 2 * CLIENTS as u64);
        for client in 0..CLIENTS {
            let outcome = network.record.outcome(client, report.round);
            assert!(matches!(outcome, None | Some(Outcome::Undisturbed)), "{outcome:?}");
        }
    }
}

/// Runs with two pairs and the conversations given as (partners, pairs, secret).
fn with_conversations(conversations: &[((usize, usize), u8, u8)]) -> Network {
    let mut network = Network::new(two_pairs());
    // How many pairs there are is known once there is a document.
    network.run_until(10_000, |network| network.record.epochs().next().is_some());
    network.run_ms(1_000);
    for &((a, b), pairs, secret) in conversations {
        for (client, role) in [(a, Role::First), (b, Role::Second)] {
            let secret = ConversationSecret([secret; 32]);
            let opening = Opening { pairs, ..Opening::new(secret, role, Start::Dense) };
            let id = network.client(client).open_conversation(&opening).unwrap();
            network.client(client).send(id, vec![secret_byte(&opening); 2_000]).unwrap();
        }
    }
    network.run_ms(20_000);
    network
}

fn secret_byte(opening: &Opening) -> u8 {
    opening.secret.0[0]
}

#[test]
fn two_pairs_carry_one_wide_conversation_or_two_and_look_the_same() {
    let idle = with_conversations(&[]);
    let wide = with_conversations(&[((0, 1), 2, 5)]);
    // Client 0 talks to 1 and to 2 at once.
    let two = with_conversations(&[((0, 1), 1, 5), ((0, 2), 1, 6)]);
    assert_eq!(wide.record.received(0).count() + wide.record.received(1).count(), 2);
    assert_eq!(two.record.received(0).count(), 2);
    assert_eq!(two.record.received(1).collect::<Vec<_>>(), [vec![5; 2_000]]);
    assert_eq!(two.record.received(2).collect::<Vec<_>>(), [vec![6; 2_000]]);
    for network in [&wide, &two] {
        assert_same("two pairs", Use::Much, &idle.record.observed, &network.record.observed);
        assert!(network.record.rounds().all(|r| r.result == RoundResult::Delivered));
        for client in 0..CLIENTS {
            for report in network.record.rounds() {
                let outcome = network.record.outcome(client, report.round);
                assert!(matches!(outcome, None | Some(Outcome::Undisturbed)), "{outcome:?}");
            }
        }
    }
}
