//! The left-out onion: an oracle that honest shards must not be.

use rand::Rng as _;

use super::super::cases::two_of_five;
use super::dropping::without_one_each;
use crate::count::log_ratio;
use crate::ideal::{Attacker, Broken, Held};
use crate::{Against, Case, Game, Kept, Profile, Strategy};

/// Drops one each at the gateway; then a malicious seal shard leaves one onion out of its filter that a
/// malicious shard sent it. If nobody complains the onion may be a user's, and its dead drop says whether
/// that user met somebody.
///
/// Complaints abort rounds for free, so it tries until there is none.
pub(super) struct LeftOut;

struct Oracle {
    kept: Kept,
    /// Chooses among the onions.
    draw: u64,
    place: Option<usize>,
}

impl Attacker for Oracle {
    fn submits(&mut self, user: usize, onion: usize) -> bool {
        self.kept[user][onion]
    }

    fn leaves_out(&mut self, held: &[Held]) -> Option<usize> {
        // Onions that it could follow from the gateway are known anyway: those are delta_mix's.
        let candidates: Vec<usize> =
            (0..held.len()).filter(|&i| !held[i].from_honest && held[i].known.is_none()).collect();
        let chosen = *candidates.get((self.draw % candidates.len().max(1) as u64) as usize)?;
        self.place = Some(held[chosen].place);
        Some(chosen)
    }
}

impl Strategy for LeftOut {
    fn profile(&self) -> &Profile {
        &Profile {
            name: "left-out",
            about: "a malicious seal shard leaves an onion out of its filter until nobody complains",
            notices: &[Broken::NoCover],
            rounds: 60,
            // The account of attempts counts four onions, those of one conversation.
            patterns: None,
            scales: true,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = two_of_five(32, 3).with_users(against.users(), 0);
        Case { left_out_attempts: rounds, ..Case::charged(setup, 1, 3000) }
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let setup = game.setup();
        let noise_onions = setup.noise_deposits() as f64;
        let kept = without_one_each(game.users(), game.against);
        let user_onions = kept.iter().flatten().filter(|kept| **kept).count() as f64;
        let pairs = game.user_pairs(&kept);
        // Of noise, only cover goes without a complaint.
        let covered = match game.field.network.broken() {
            Some(Broken::NoCover) => 0.0,
            Some(Broken::NoVerification) => noise_onions,
            _ => noise_onions / 2.0,
        };
        let is_users = user_onions / (user_onions + covered);
        for _ in 0..game.attempts {
            let draw = game.rng.next_u64();
            let mut attacker = Oracle { kept: kept.clone(), draw, place: None };
            let view = game.round(&mut attacker);
            // Without a candidate there was no attempt, but the round is opened, and charged.
            let Some(opened) = view.opened else { continue };
            let mate = attacker.place.and_then(|place| {
                let seal_layer = view.trace.layers.len().checked_sub(2)?;
                let last = view.trace.layers[seal_layer].next[place]?;
                let dead_drop = opened.dead_drops[last as usize];
                Some(opened.dead_drops.iter().filter(|other| **other == dead_drop).count() == 2)
            });
            let likely = |world: usize| {
                let count = game.field.noise.plus(pairs[world]).of(opened.counts.pairs);
                let noise_pairs = f64::from(opened.counts.pairs.saturating_sub(pairs[world]));
                let noise_paired = (2.0 * noise_pairs / noise_onions.max(1.0)).min(1.0);
                let users_paired = 2.0 * f64::from(pairs[world]) / user_onions;
                let paired = is_users * users_paired + (1.0 - is_users) * noise_paired;
                count
                    * match mate {
                        None => 1.0,
                        Some(true) => paired,
                        Some(false) => 1.0 - paired,
                    }
            };
            return log_ratio(likely(1), likely(0));
        }
        0.0
    }
}
