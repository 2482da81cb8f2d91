//! Dead-drop shards that are malicious.

use super::super::cases::two_of_five;
use super::dropping::{Dropper, without_one_each};
use crate::attack::count::log_ratio;
use crate::attack::{Against, Case, Game, Strategy};
use crate::ideal::Broken;

/// Drops one each and looks only at what malicious dead-drop shards hold.
pub(super) struct LastShards;

impl Strategy for LastShards {
    fn name(&self) -> &'static str {
        "last-shards"
    }

    fn about(&self) -> &'static str {
        "drops one each and counts the pairs at malicious dead-drop shards"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoNoise]
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = two_of_five(16, 3).with_users(against.users());
        Case {
            setup,
            charged_rounds: rounds,
            followed_rounds: 0,
            left_out_attempts: 0,
            trials: 20_000,
        }
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let f = game.network.setup().malicious_share().as_f64();
        let kept = without_one_each(game.worlds[0].len());
        let laws = game.user_pairs(&kept).map(|pairs| game.noise.plus(pairs).thinned(f));
        let mut attacker = Dropper { kept, withholds: false };
        let mut sum = 0.0;
        for _ in 0..game.rounds {
            if let Some(opened) = game.round(&mut attacker).opened {
                let seen = opened.at_malicious.pairs;
                sum += log_ratio(laws[1].of(seen), laws[0].of(seen));
            }
        }
        sum
    }
}
