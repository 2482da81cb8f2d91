//! Dropping users' onions where they enter, and counting pairs.

use crate::attack::count::log_ratio;
use crate::attack::{Against, Case, Game, Kept, Strategy};
use crate::ideal::{Attacker, Broken};

use super::super::cases::counting;

/// Drops one onion of A and the one of B that would meet it.
pub(super) struct DropOneEach;
/// Drops both onions of A, and those of B where a pattern of four is the question.
pub(super) struct DropBoth;
/// [`DropOneEach`], round after round.
pub(super) struct Repeated;
/// [`Repeated`], opening every round for itself alone.
pub(super) struct Withholder;

/// Passes on what is kept, and keeps the last seal key if asked to.
#[derive(Clone, Debug)]
pub(super) struct Dropper {
    pub(super) kept: Kept,
    pub(super) withholds: bool,
}

impl Attacker for Dropper {
    fn submits(&mut self, user: usize, onion: usize) -> bool {
        self.kept[user][onion]
    }

    fn withholds(&mut self) -> bool {
        self.withholds
    }
}

/// Everything but one onion of A and the one of B that would meet it. Without C and D nobody else's
/// onions matter; with them, dropping one each moves the count as well.
pub(super) fn without_one_each(users: usize) -> Kept {
    let mut kept = vec![[true; 2]; users];
    kept[0][0] = false;
    kept[1][0] = false;
    kept
}

pub(super) fn without_both(users: usize, against: Against) -> Kept {
    let mut kept = vec![[true; 2]; users];
    kept[0] = [false; 2];
    if against == Against::Pattern {
        kept[1] = [false; 2];
    }
    kept
}

/// Nobody but one user takes part.
pub(super) fn users_alone(users: usize, user: usize) -> Dropper {
    let kept = (0..users).map(|other| [other == user; 2]).collect();
    Dropper { kept, withholds: false }
}

/// The sum over `rounds` rounds of how much likelier each count is with a conversation.
fn count_pairs(game: &mut Game<'_>, mut dropper: Dropper) -> f64 {
    let pairs = game.user_pairs(&dropper.kept);
    let laws = pairs.map(|pairs| game.noise.plus(pairs));
    (0..game.rounds)
        .map(|_| {
            let view = game.round(&mut dropper);
            view.opened.map_or(0.0, |opened| {
                let seen = opened.counts.pairs;
                log_ratio(laws[1].of(seen), laws[0].of(seen))
            })
        })
        .sum()
}

fn users(game: &Game<'_>) -> usize {
    game.worlds[0].len()
}

/// A small network with little noise, whose bound is easy to resolve.
fn one_round(against: Against, rounds: u32) -> Case {
    let setup = counting(16).with_users(against.users() + 2);
    Case { setup, charged_rounds: rounds, followed_rounds: 0, left_out_attempts: 0, trials: 20_000 }
}

fn many_rounds(against: Against, rounds: u32) -> Case {
    let setup = counting(64).with_users(against.users());
    Case { setup, charged_rounds: rounds, followed_rounds: 0, left_out_attempts: 0, trials: 3000 }
}

impl Strategy for DropOneEach {
    fn name(&self) -> &'static str {
        "drop-one-each"
    }

    fn about(&self) -> &'static str {
        "drops an onion of A and the one of B that would meet it, at the gateway"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoNoise]
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        one_round(against, rounds)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let kept = without_one_each(users(game));
        count_pairs(game, Dropper { kept, withholds: false })
    }
}

impl Strategy for DropBoth {
    fn name(&self) -> &'static str {
        "drop-both"
    }

    fn about(&self) -> &'static str {
        "drops both onions of A (and of B, against patterns), at the gateway"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoNoise]
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        one_round(against, rounds)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let kept = without_both(users(game), game.against);
        count_pairs(game, Dropper { kept, withholds: false })
    }
}

impl Strategy for Repeated {
    fn name(&self) -> &'static str {
        "repeated"
    }

    fn about(&self) -> &'static str {
        "drops one each in many rounds and adds up what the counts say"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoNoise]
    }

    fn rounds(&self) -> u32 {
        16
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        many_rounds(against, rounds)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let kept = without_one_each(users(game));
        count_pairs(game, Dropper { kept, withholds: false })
    }
}

impl Strategy for Withholder {
    fn name(&self) -> &'static str {
        "withholder"
    }

    fn about(&self) -> &'static str {
        "the last shard to release keeps its seal key and opens the rounds alone"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoNoise]
    }

    fn rounds(&self) -> u32 {
        16
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        many_rounds(against, rounds)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let kept = without_one_each(users(game));
        count_pairs(game, Dropper { kept, withholds: true })
    }
}
