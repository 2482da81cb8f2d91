//! Making an honest filter claim noise that was dropped.

use super::super::cases::noise;
use super::dropping::without_one_each;
use crate::count::log_ratio;
use crate::ideal::{Attacker, Broken, Held, IdealSetup};
use crate::{Against, Case, Game, Kept, Profile, Strategy};

/// Drops one onion of A and one of B at the gateway, and all noise that is with a malicious shard just
/// before an honest seal shard, to which it sends look-alikes: made-up onions that together set the bits of
/// those that were dropped, under the key that it expects.
pub(super) struct FilterStuffing;

struct Stuffer {
    kept: Kept,
    hops: u8,
    malicious: Vec<bool>,
}

impl Attacker for Stuffer {
    fn submits(&mut self, user: usize, onion: usize) -> bool {
        self.kept[user][onion]
    }

    fn keeps(&mut self, held: &Held) -> bool {
        let before_honest = held.next.is_some_and(|next| !self.malicious[next.position()]);
        held.known.is_some() || held.layer + 1 != self.hops || !before_honest
    }

    fn sends_look_alikes(&self) -> bool {
        true
    }
}

impl Strategy for FilterStuffing {
    fn profile(&self) -> &Profile {
        &Profile {
            name: "filter-stuffing",
            about: "drops noise on its way to an honest seal shard, and sends look-alikes that set its bits",
            notices: &[Broken::KnownFilterKeys],
            rounds: 4,
            patterns: None,
            // What is known of users' onions is exact for two hops only.
            scales: false,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        // With half of the weight malicious, most noise takes the way on which it can be replaced.
        let setup = IdealSetup::equal(2, 1, 2, noise(64));
        Case::charged(setup.with_users(against.users(), 0), rounds, 12_000)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let setup = game.setup();
        let f = setup.malicious_share().as_f64();
        // A pair arrives if neither of its onions takes that way.
        let arrives = 1.0 - f * (1.0 - f);
        let noise = game.field.noise.thinned(arrives * arrives);
        let mut attacker = Stuffer {
            kept: without_one_each(game.users(), game.against),
            hops: setup.mixing_hops,
            malicious: setup.shards(),
        };
        let laws = game.user_pairs(&attacker.kept).map(|pairs| noise.plus(pairs));
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            let Some(opened) = game.round(&mut attacker).opened else { continue };
            let seen = opened.counts.pairs;
            sum += log_ratio(laws[1].of(seen), laws[0].of(seen));
        }
        sum
    }
}
