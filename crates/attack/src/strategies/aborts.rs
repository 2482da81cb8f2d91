//! Aborting the rounds one does not like.

use super::super::cases::counting;
use super::dropping::without_one_each;
use crate::ideal::{Attacker, Broken, Opened, Outcome};
use crate::{Against, Case, Game, Kept, Profile, Strategy};

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
    fn profile(&self) -> &Profile {
        &Profile {
            name: "aborts",
            about: "drops one each and aborts 15 rounds in 16 with false complaints, which are free",
            notices: &[Broken::EarlyOpen],
            rounds: 32,
            patterns: Some(&[Broken::EarlyOpen]),
            scales: true,
        }
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = counting(32).with_users(against.users(), 0);
        Case::charged(setup, rounds.div_ceil(TRIES), 1500)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let kept = without_one_each(game.users(), game.against);
        let mut attacker = Complainer { kept, lets_pass: false };
        let mut sum = 0.0;
        let mut charged = 0;
        for round in 0..game.rounds {
            attacker.lets_pass = round % TRIES == 0;
            let view = game.round(&mut attacker);
            charged += u32::from(view.outcome != Outcome::FreeAbort);
            sum += game.weigh_count(game.field, &attacker.kept, &view);
        }
        debug_assert!(charged <= game.rounds.div_ceil(TRIES));
        sum
    }
}
