//! Aborting the rounds one does not like.

use super::super::cases::counting;
use super::dropping::without_one_each;
use crate::attack::count::log_ratio;
use crate::attack::{Against, Case, Game, Kept, Strategy};
use crate::ideal::{Attacker, Broken, Opened, Outcome};

/// Rounds it tries for each that it lets pass.
const TRIES: u32 = 16;

/// Drops one each, and complains of nothing in fifteen rounds out of sixteen, which aborts them for free.
/// Where it can see what is open before it has to complain, it complains in all.
pub(super) struct Aborts;

struct Complainer {
    kept: Kept,
    lets_pass: bool,
}

impl Attacker for Complainer {
    fn submits(&mut self, user: usize, onion: usize) -> bool {
        self.kept[user][onion]
    }

    fn complains(&mut self, opened: Option<&Opened>) -> bool {
        opened.is_some() || !self.lets_pass
    }
}

impl Strategy for Aborts {
    fn name(&self) -> &'static str {
        "aborts"
    }

    fn about(&self) -> &'static str {
        "drops one each and aborts 15 rounds in 16 with false complaints, which are free"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::EarlyOpen]
    }

    fn rounds(&self) -> u32 {
        32
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = counting(32).with_users(against.users());
        Case {
            setup,
            charged_rounds: rounds.div_ceil(TRIES),
            followed_rounds: 0,
            left_out_attempts: 0,
            trials: 1500,
        }
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let kept = without_one_each(game.worlds[0].len());
        let laws = game.user_pairs(&kept).map(|pairs| game.noise.plus(pairs));
        let mut attacker = Complainer { kept, lets_pass: false };
        let mut sum = 0.0;
        let mut charged = 0;
        for round in 0..game.rounds {
            attacker.lets_pass = round % TRIES == 0;
            let view = game.round(&mut attacker);
            charged += u32::from(view.outcome != Outcome::FreeAbort);
            if let Some(opened) = view.opened {
                let seen = opened.counts.pairs;
                sum += log_ratio(laws[1].of(seen), laws[0].of(seen));
            }
        }
        debug_assert!(charged <= game.rounds.div_ceil(TRIES));
        sum
    }
}
