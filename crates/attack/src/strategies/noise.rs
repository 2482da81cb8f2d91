//! Dropping other shards' noise.

use super::super::cases::two_of_five;
use super::dropping::without_one_each;
use crate::count::log_ratio;
use crate::ideal::{Attacker, Broken, Held};
use crate::{Against, Case, Game, Kept, Profile, Strategy};

/// Drops one onion of A and one of B at the gateway, all other users, and at every malicious shard
/// everything that is not known to be a user's.
pub(super) struct DropNoise;

/// Drops noise, and remembers how far it could follow the users' onions.
struct NoiseDropper {
    kept: Kept,
    hops: u8,
    malicious: Vec<bool>,
    /// By user and onion: the mixing layers after the first honest shard, none of which may be
    /// malicious if the onion is to arrive.
    unseen: Vec<[u8; 2]>,
}

impl Attacker for NoiseDropper {
    fn submits(&mut self, user: usize, onion: usize) -> bool {
        self.kept[user][onion]
    }

    fn keeps(&mut self, held: &Held) -> bool {
        let Some((user, onion)) = held.known else { return false };
        // Through here it is safe; where it goes next, it is too, as the next shard is
        // either malicious, and asked in turn, or the first honest one.
        self.unseen[user][onion] = match held.next {
            Some(next) if !self.malicious[next.position()] => self.hops - held.layer - 1,
            _ => 0,
        };
        true
    }
}

impl Strategy for DropNoise {
    fn profile(&self) -> &Profile {
        &Profile {
            name: "drop-noise",
            about: "malicious shards drop all noise they hold; one onion of A and of B is missing as well",
            notices: &[Broken::NoVerification, Broken::EarlyOpen],
            rounds: 10,
            patterns: Some(&[]),
            scales: true,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        Case::charged(two_of_five(128, 2).with_users(against.users(), 0), rounds, 2000)
    }

    /// Deep, as it is one formula: for each round and world, the product over all users.
    fn play(&self, game: &mut Game<'_>) -> f64 {
        let setup = game.setup();
        let hops = setup.mixing_hops;
        let honest = 1.0 - setup.malicious_share().as_f64();
        let malicious = setup.shards();
        // Noise enters at honest shards: a pair arrives if no hop of its two onions is malicious.
        let noise = game.field.noise.thinned(libm::pow(honest, 2.0 * f64::from(hops)));
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            let mut attacker = NoiseDropper {
                kept: without_one_each(game.users(), game.against),
                hops,
                malicious: malicious.clone(),
                // Unless a malicious shard says otherwise, the first hop is honest.
                unseen: vec![[hops - 1; 2]; game.users()],
            };
            let view = game.round(&mut attacker);
            let Some(opened) = view.opened else { continue };
            let arrives = |user: usize, onion: usize| {
                let unseen = f64::from(attacker.unseen[user][onion]);
                if attacker.kept[user][onion] { libm::pow(honest, unseen) } else { 0.0 }
            };
            let likely = |world: usize| {
                let mut law = noise.clone();
                for (user, partner) in game.field.worlds[world].iter().enumerate() {
                    match partner {
                        None => law = law.plus_perhaps(arrives(user, 0) * arrives(user, 1)),
                        Some(partner) if user < *partner => {
                            for onion in 0..2 {
                                let both = arrives(user, onion) * arrives(*partner, onion);
                                law = law.plus_perhaps(both);
                            }
                        }
                        Some(_) => {}
                    }
                }
                law.of(opened.counts.pairs)
            };
            sum += log_ratio(likely(1), likely(0));
        }
        sum
    }
}
