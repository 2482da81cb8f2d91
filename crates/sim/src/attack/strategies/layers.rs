//! Dropping users' onions on their way.

use rand::Rng as _;

use super::super::cases::two_of_five;
use crate::attack::count::log_ratio;
use crate::attack::{Against, Case, Game, Kept, Strategy};
use crate::ideal::{Attacker, Broken, Held};

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
    fn name(&self) -> &'static str {
        "drop-layers"
    }

    fn about(&self) -> &'static str {
        "drops an onion of A and one of B at a random mixing layer, where it can follow them"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoNoise]
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = two_of_five(64, 2).with_users(against.users());
        Case {
            setup,
            charged_rounds: rounds,
            followed_rounds: 0,
            left_out_attempts: 0,
            trials: 20_000,
        }
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let users = game.worlds[0].len();
        let hops = u32::from(game.network.setup().mixing_hops);
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            let layer = (1 + game.rng.next_u32() % hops) as u8;
            let mut attacker = AtLayer { layer, kept: vec![[true; 2]; users] };
            let view = game.round(&mut attacker);
            let pairs = game.user_pairs(&attacker.kept);
            if let Some(opened) = view.opened {
                let law = |world: usize| game.noise.plus(pairs[world]).of(opened.counts.pairs);
                sum += log_ratio(law(1), law(0));
            }
        }
        sum
    }
}
