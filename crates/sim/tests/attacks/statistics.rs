//! Hundreds of rounds with losses, late links and aborts, idle and talking, each with randomness of its
//! own: no statistic of a client's link tells which is which.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::collections::BTreeSet;

use antiphon_client_core::{ConversationSecret, Opening, Outcome, Role, Start};
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::converse;
use antiphon_sim::{LinkModel, Network, Observed, Party, Payload, Sent, Setup};
use antiphon_wire::{Direction, Timestamp};

const CLIENTS: usize = 4;
const RUN_MS: u64 = 68_000;
/// The chance of an alarm by chance, per comparison.
const LEVEL: f64 = 1e-6;

#[derive(Clone, Copy, Debug)]
enum Use {
    Nothing,
    /// Full queues at both ends.
    Much,
    /// A conversation whose other end is not there, until the ledger is used up and beyond.
    Alone,
}

/// Some rounds lose batches before the seal, some their replies. Each comes from a shard of its own choice, and the
/// coordinator leaves out who spoiled an epoch, so that one in three of the former is spoilt by nobody.
fn spoil(_: Timestamp, sent: Sent, _: &Keys) -> Vec<(u64, Sent)> {
    let Payload::Batch { header, .. } = &sent.payload else { return vec![(0, sent)] };
    let header = header.claimed();
    let (round, layer) = (header.round.0, header.layer.0);
    let at = |every| Party::Shard((round / every % 3) as usize) == sent.from;
    let lost = match header.direction {
        Direction::Forward => round % 9 == 0 && at(9) && layer == 2,
        Direction::Reply => round % 7 == 0 && at(7) && layer == 3,
    };
    if lost { vec![] } else { vec![(0, sent)] }
}

fn run(of: Use, seed: u64) -> Network {
    let link = LinkModel { delay_ms: 20, jitter_ms: 15, loss_ppm: 10_000 };
    let mut setup = Setup { link, seed, ..Setup::small(3, CLIENTS).with_little_noise() };
    setup.policy.disturbed_rounds = 30;
    let mut network = Network::with_adversary(setup, spoil);
    match of {
        Use::Nothing => {}
        Use::Much => {
            for (a, b) in [(0, 1), (2, 3)] {
                let (a_id, b_id) = converse(&mut network, a, b);
                network.client(a).send(a_id, vec![1; 100_000]).unwrap();
                network.client(b).send(b_id, vec![2; 100_000]).unwrap();
            }
        }
        Use::Alone => {
            for client in 0..CLIENTS {
                let secret = ConversationSecret([client as u8; 32]);
                let opening = Opening::new(secret, Role::First, Start::Dense);
                let id = network.client(client).open_conversation(&opening).unwrap();
                network.client(client).send(id, vec![1; 10_000]).unwrap();
            }
        }
    }
    network.run_ms(RUN_MS);
    network
}

/// What is measured at each onion submission of each client: how long after the message before it,
/// how long after the submission before it, bytes, and messages and bytes between the two.
fn measure(links: &[Vec<Observed>]) -> [Vec<f64>; 5] {
    let mut samples = <[Vec<f64>; 5]>::default();
    for seen in links {
        let ups: Vec<_> = (0..seen.len()).filter(|at| seen[*at].up).collect();
        for pair in ups.windows(2) {
            let between = &seen[pair[0] + 1..pair[1]];
            let (before, up) = (&seen[pair[0]], &seen[pair[1]]);
            let last = between.last().unwrap_or(before);
            let values = [
                up.at.ms_since(last.at) as f64,
                up.at.ms_since(before.at) as f64,
                up.bytes as f64,
                between.len() as f64,
                between.iter().map(|seen| seen.bytes).sum::<usize>() as f64,
            ];
            for (samples, value) in samples.iter_mut().zip(values) {
                samples.push(value);
            }
        }
    }
    samples
}

/// The chance that two samples of one distribution differ as much as these: the two-sample
/// Kolmogorov-Smirnov test, by its limit. Ties make it larger.
fn likelihood(a: &[f64], b: &[f64]) -> f64 {
    let share = |of: &[f64], at: f64| {
        of.iter().filter(|value| **value <= at).count() as f64 / of.len() as f64
    };
    let points: BTreeSet<u64> = a.iter().chain(b).map(|value| value.to_bits()).collect();
    let distance = points
        .into_iter()
        .map(f64::from_bits)
        .map(|at| (share(a, at) - share(b, at)).abs())
        .fold(0.0, f64::max);
    let lambda = ((a.len() * b.len()) as f64 / (a.len() + b.len()) as f64).sqrt() * distance;
    if lambda < 0.3 {
        return 1.0;
    }
    let term = |k: i32| (-2.0 * f64::from(k * k) * lambda * lambda).exp();
    (1..=50).map(|k| if k % 2 == 1 { 2.0 * term(k) } else { -2.0 * term(k) }).sum()
}

fn least(a: &[Vec<f64>; 5], b: &[Vec<f64>; 5]) -> f64 {
    a.iter().zip(b).map(|(a, b)| likelihood(a, b)).fold(1.0, f64::min)
}

fn links(of: Use, seeds: [u64; 2]) -> Vec<Vec<Observed>> {
    seeds.into_iter().flat_map(|seed| run(of, seed).record.observed).collect()
}

#[test]
fn no_statistic_of_a_clients_link_tells_whether_its_user_talks() {
    let idle = links(Use::Nothing, [11, 12]);
    let sizes = |links: &[Vec<Observed>]| -> BTreeSet<usize> {
        links.iter().flatten().filter(|seen| seen.up).map(|seen| seen.bytes).collect()
    };
    let idle_measured = measure(&idle);
    assert!(idle_measured[0].len() > 300, "{} submissions", idle_measured[0].len());
    for (of, seeds) in [(Use::Much, [13, 14]), (Use::Alone, [15, 16])] {
        let seen = links(of, seeds);
        assert_eq!(sizes(&seen), sizes(&idle), "{of:?}");
        let least = least(&idle_measured, &measure(&seen));
        assert!(least > LEVEL, "{of:?}: {least}");
    }
    // The same measures catch a client that hesitates for 8 ms when its user talks, and one that
    // sends a message more in every second round.
    let mut late = links(Use::Nothing, [17, 18]);
    let mut more = late.clone();
    for seen in &mut late {
        let ups = seen.iter_mut().filter(|seen| seen.up);
        ups.for_each(|seen| seen.at = seen.at.plus_ms(8));
    }
    for seen in &mut more {
        let mut ups = 0;
        *seen = std::mem::take(seen)
            .into_iter()
            .flat_map(|seen| {
                ups += usize::from(seen.up);
                let times = if seen.up && ups % 2 == 0 { 2 } else { 1 };
                std::iter::repeat_n(seen, times)
            })
            .collect();
    }
    for leaky in [late, more] {
        let least = least(&idle_measured, &measure(&leaky));
        assert!(least < LEVEL, "{least}");
    }
}

#[test]
fn the_runs_have_rounds_of_every_outcome() {
    // Onions of a client that come after its gateway's patience make an aborted round a disturbed one for it alone,
    // so that all clients are counted.
    let network = run(Use::Nothing, 11);
    for outcome in [Outcome::Undisturbed, Outcome::Disturbed, Outcome::FreeAbort] {
        let rounds = network.record.rounds();
        let clients = |round| (0..CLIENTS).map(move |client| (client, round));
        let ended = rounds.flat_map(|report| clients(report.round));
        let count = ended.filter(|(c, round)| network.record.outcome(*c, *round) == Some(outcome));
        let count = count.count();
        assert!(count > 8, "{outcome:?}: {count}");
    }
}
