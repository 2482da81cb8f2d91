//! What somebody finds who seizes a process: its memory then, and not what its host's generator gives
//! before or after.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

mod host;
mod memory;

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use antiphon_onion::ErasingRng;
use antiphon_sim::adversary::Keys;
use antiphon_sim::scenario::{converse, log};
use antiphon_sim::{Network, Payload, Sent, Setup};
use antiphon_wire::{
    Direction, Epoch, FromClient, Round, Suite, Timestamp, ToCoordinator, ToShard,
};
use curve25519_dalek::{EdwardsPoint, Scalar};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;
use zeroize::Zeroizing;

use host::{Hosts, Once};
use memory::Needles;

/// What travelled that tells one secret from another.
#[derive(Default)]
struct Seen {
    /// Of each epoch that shards were called for: when, and which onion keys they made.
    onion_keys: Vec<(Epoch, [u8; 32])>,
    seal_keys: Vec<(Epoch, [u8; 32])>,
    /// The last round opened.
    opened: Round,
    /// The ephemeral keys of onions as they enter layer 1.
    from_clients: Vec<(Round, [u8; 32])>,
    between_shards: Vec<(Round, [u8; 32])>,
}

impl Seen {
    fn see(&mut self, sent: &Sent) {
        match &sent.payload {
            Payload::ToCoordinator(ToCoordinator::Contribute { contribution }) => {
                self.onion_keys.push((contribution.epoch, contribution.onion_key));
                let seals = contribution.seal_keys.iter();
                self.seal_keys.extend(seals.map(|key| (contribution.epoch, *key)));
            }
            Payload::ToShard(ToShard::Open { announcement }) => self.opened = announcement.round,
            Payload::FromClient(FromClient::Submit { round, onions, .. }) => {
                for onion in onions.0.chunks_exact(onions.0.len() / 2) {
                    self.from_clients.push((*round, *onion[2..].first_chunk().unwrap()));
                }
            }
            Payload::Batch { header, bytes, item_bytes } => {
                let header = header.claimed();
                if header.direction == Direction::Forward && header.layer.0 == 1 {
                    for onion in bytes.chunks_exact(*item_bytes) {
                        self.between_shards.push((header.round, *onion.first_chunk().unwrap()));
                    }
                }
            }
            _ => {}
        }
    }

    fn called(&self) -> Epoch {
        self.onion_keys.iter().map(|(epoch, _)| *epoch).max().unwrap_or_default()
    }
}

/// Three shards and four clients, of whom two talk, whose epochs have eight rounds of a second. Suite 2 has all
/// the secrets of suite 1, and one more.
fn network(hosts: &mut Hosts) -> (Network, Arc<Mutex<Seen>>) {
    let mut setup = Setup::small(3, 4).with_little_noise();
    setup.policy.suite = Suite::Hybrid;
    setup.coordinator.epoch_rounds = 8;
    setup.coordinator.prepare_ahead_rounds = 3;
    let seen = Arc::new(Mutex::new(Seen::default()));
    let seeing = Arc::clone(&seen);
    let onlooker = move |_: Timestamp, sent: Sent, _: &Keys| {
        seeing.lock().unwrap().see(&sent);
        vec![(0, sent)]
    };
    let mut network = Network::with_entropy(setup, onlooker, || hosts.next());
    converse(&mut network, 0, 1);
    (network, seen)
}

/// The secrets of both kinds that were made of what hosts gave for these public onion keys, masked: of X25519, and
/// the half of an ML-KEM key's seed that the key has in it.
fn onion_secrets(given: &Needles, public: &[[u8; 32]]) -> Needles {
    let mut secrets = Needles::default();
    for entropy in given.iter() {
        let mut host = Once(entropy);
        let mut rng = ErasingRng::drawn_from(&mut host);
        let secret = Zeroizing::new(Scalar::random(&mut rng));
        if public.contains(&EdwardsPoint::mul_base(&secret).compress().0) {
            secrets.add(secret.as_bytes());
            let mut seed = Zeroizing::new([0; 64]);
            rng.fill_bytes(&mut *seed);
            secrets.add(seed.last_chunk::<32>().unwrap());
        }
    }
    secrets
}

/// Who has the entropy of an epoch or a round has all of its secrets. It is used up when they are
/// made, and they are erased when it is over; so in the memory of shards and clients that have run for
/// ten epochs, there is nothing of the first eight.
#[test]
fn memory_gives_no_secret_of_an_epoch_or_round_that_is_over() {
    let mut hosts = Hosts::new(1000, 0);
    let (mut network, seen) = network(&mut hosts);
    while seen.lock().unwrap().called() < Epoch(9) {
        network.run_ms(1000);
    }
    // All of it was over before: an epoch takes eight seconds, and is called for three before it.
    let given = hosts.given.lock().unwrap().clone();
    let made: Vec<_> = seen.lock().unwrap().onion_keys.iter().map(|(_, key)| *key).collect();
    network.run_ms(30_000);
    let seen = seen.lock().unwrap();
    assert!(seen.called() >= Epoch(11) && seen.opened >= Round(80), "{}", log(&network));
    assert!(made.len() >= 27, "{} onion keys", made.len());
    assert_eq!(given.found(), [0; 0], "of {} times that hosts gave entropy", given.len());

    let all = hosts.given.lock().unwrap().clone();
    let now: Vec<_> = seen.onion_keys.iter().map(|(_, key)| *key).collect();
    let alive = onion_secrets(&all, &now[made.len()..]);
    let found = alive.found();
    for kind in 0..2 {
        assert!(found.iter().any(|at| at % 2 == kind), "keys in use are found: {found:?}");
    }
    let over = onion_secrets(&given, &made);
    assert_eq!(over.len(), 2 * made.len(), "the test knows how keys are made");
    assert_eq!(over.found(), [0; 0], "onion keys of epochs that are over");
}

/// What a machine would keep that draws from one generator for as long as it lives.
#[test]
fn a_generator_that_is_kept_is_found_in_memory() {
    let seed = needle();
    assert_eq!(seed.found(), [0; 0]);
    let kept = Box::new(ChaCha20Rng::from_seed(bytes()));
    assert_eq!(seed.found(), [0]);
    drop(kept);
}

/// Nobody's secret.
fn bytes() -> [u8; 32] {
    std::array::from_fn(|i| 5 + 7 * i as u8)
}

/// What is left in its frame is below that of whoever calls.
#[inline(never)]
fn needle() -> Needles {
    let mut needles = Needles::default();
    needles.add(&bytes());
    needles
}

/// Two networks that are the same, down to the last bit of their machines, until the hosts' generators
/// give them different bytes: each is what somebody has who seized the other. What is made from then on
/// has nothing in common.
#[test]
fn what_is_seized_gives_no_secret_of_a_later_epoch_or_round() {
    let mut hosts = [Hosts::new(2000, 0), Hosts::new(2000, 1)];
    let [(mut one, seen), (mut other, seized)] = hosts.each_mut().map(network);
    one.run_ms(20_300);
    other.run_ms(20_300);
    let (called, opened) = {
        let seen = seen.lock().unwrap();
        (seen.called(), seen.opened)
    };
    assert!(called >= Epoch(2) && opened >= Round(10), "{}", log(&one));
    hosts.iter().for_each(|hosts| hosts.departed.store(true, Ordering::Relaxed));
    one.run_ms(25_000);
    other.run_ms(25_000);
    let (seen, seized) = (seen.lock().unwrap(), seized.lock().unwrap());
    assert!(seen.called().0 >= called.0 + 2 && seen.opened.0 >= opened.0 + 15, "{}", log(&one));

    let later = Epoch(called.0 + 1);
    compare(&seen.onion_keys, &seized.onion_keys, called, later);
    compare(&seen.seal_keys, &seized.seal_keys, called, later);
    compare(&seen.from_clients, &seized.from_clients, opened, opened.next());
    // Noise is built while the round before it is open.
    compare(&seen.between_shards, &seized.between_shards, opened, opened.next().next());
}

/// Sees that all that was made up to `last` is the same, and nothing from `first` on.
fn compare<N: Ord + Copy + std::fmt::Debug>(
    one: &[(N, [u8; 32])],
    other: &[(N, [u8; 32])],
    last: N,
    first: N,
) {
    let made = |by: &[(N, [u8; 32])], when: &dyn Fn(N) -> bool| -> BTreeSet<_> {
        by.iter().filter(|(number, _)| when(*number)).map(|(_, bytes)| *bytes).collect()
    };
    let [before, same] = [one, other].map(|by| made(by, &|number| number <= last));
    assert!(!before.is_empty() && before == same, "{last:?}");
    let [after, different] = [one, other].map(|by| made(by, &|number| number >= first));
    assert!(!after.is_empty() && after.is_disjoint(&different), "{first:?}");
}
