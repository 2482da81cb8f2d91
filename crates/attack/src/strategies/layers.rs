//! Dropping users' onions on their way.

use rand::Rng as _;

use super::super::cases::two_of_five;
use crate::ideal::{Attacker, Broken, Held};
use crate::{Against, Case, Game, Kept, Profile, Strategy};

/// Drops one onion of A and the one of B that would meet it, at a random layer.
///
/// It recognises them as long as no honest shard has had them; others it leaves alone, as they may be
/// noise.
pub(super) struct DropLayers;

struct AtLayer {
    layer: u8,
    kept: Kept,
}

impl Attacker for AtLayer {
    fn keeps(&mut self, held: &Held) -> bool {
        match held.known {
            Some((user @ 0..=1, 0)) if held.layer == self.layer => {
                self.kept[user][0] = false;
                false
            }
            _ => true,
        }
    }
}

impl Strategy for DropLayers {
    fn profile(&self) -> &Profile {
        &Profile {
            name: "drop-layers",
            about: "drops an onion of A and one of B at a random mixing layer, where it can follow them",
            notices: &[Broken::NoNoise],
            rounds: 1,
            patterns: Some(&[]),
            scales: true,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        Case::charged(two_of_five(64, 2).with_users(against.users(), 0), rounds, 20_000)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let hops = u32::from(game.setup().mixing_hops);
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            let layer = (1 + game.rng.next_u32() % hops) as u8;
            let mut attacker = AtLayer { layer, kept: vec![[true; 2]; game.users()] };
            let view = game.round(&mut attacker);
            sum += game.weigh_count(game.field, &attacker.kept, &view);
        }
        sum
    }
}
