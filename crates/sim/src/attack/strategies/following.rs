//! Following onions through a round in which nothing is missing.

use std::collections::HashMap;

use super::super::cases::noise;
use super::dropping::Dropper;
use crate::attack::count::log_ratio;
use crate::attack::{Against, Case, Game, Strategy};
use crate::ideal::{Attacker, Broken, IdealOperator, IdealSetup, View, Watcher};

/// Watches.
pub(super) struct Passive;
/// Blocks all users but those in question, and watches.
pub(super) struct NMinusOne;
/// Runs many shards, blocks all others, and watches.
pub(super) struct Sybil;

/// Mixing hops: few, so that there is something to see.
const HOPS: u8 = 5;

fn case(setup: IdealSetup, rounds: u32) -> Case {
    Case { setup, charged_rounds: 0, followed_rounds: rounds, left_out_attempts: 0, trials: 4000 }
}

/// Follows the posteriors of the users' onions, as if independent of each other, to the pairs that
/// are seen in the end.
fn follow(game: &mut Game<'_>, attacker: &mut impl Attacker) -> f64 {
    (0..game.rounds)
        .map(|_| {
            let view = game.round(attacker);
            likelier(game, &view)
        })
        .sum()
}

fn likelier(game: &Game<'_>, view: &View) -> f64 {
    let Some(opened) = &view.opened else { return 0.0 };
    let mut met: HashMap<u128, usize> = HashMap::new();
    let mut mates: Vec<Option<usize>> = vec![None; opened.dead_drops.len()];
    for (place, dead_drop) in opened.dead_drops.iter().enumerate() {
        if let Some(other) = met.insert(*dead_drop, place) {
            mates[place] = Some(other);
            mates[other] = Some(place);
        }
    }
    let in_question = game.against.users();
    let posteriors: Vec<[Vec<f64>; 2]> = view.trace.users[..in_question]
        .iter()
        .map(|onions| {
            onions.map(|start| {
                let seen_through = |shard| game.network.sees_through(shard);
                start.map_or_else(Vec::new, |start| view.trace.posterior(start, seen_through))
            })
        })
        .collect();
    // How likely two onions are at the two places of one pair.
    let couple = |x: &[f64], y: &[f64]| -> f64 {
        let of = |(p, mate): (&f64, &Option<usize>)| mate.map_or(0.0, |mate| p * y[mate]);
        x.iter().zip(&mates).map(of).sum()
    };
    let log_likely = |world: usize| -> f64 {
        let mut log = 0.0;
        for (user, partner) in game.worlds[world][..in_question].iter().enumerate() {
            let couples = match partner {
                None => vec![couple(&posteriors[user][0], &posteriors[user][1])],
                Some(partner) if user < *partner => (0..2)
                    .map(|onion| couple(&posteriors[user][onion], &posteriors[*partner][onion]))
                    .collect(),
                Some(_) => Vec::new(),
            };
            log += couples.into_iter().map(|couple| log_ratio(couple, 1.0)).sum::<f64>();
        }
        log
    };
    let difference = log_likely(1) - log_likely(0);
    // Rounding is no evidence.
    if difference.abs() < 1e-9 { 0.0 } else { difference }
}

impl Strategy for Passive {
    fn name(&self) -> &'static str {
        "passive"
    }

    fn about(&self) -> &'static str {
        "watches a round among other users and follows onions through malicious shards"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoShuffle]
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = IdealSetup::equal(5, 1, HOPS, noise(64)).with_users(against.users() + 20);
        case(setup, rounds)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        follow(game, &mut Watcher)
    }
}

impl Strategy for NMinusOne {
    fn name(&self) -> &'static str {
        "n-minus-one"
    }

    fn about(&self) -> &'static str {
        "blocks all other users and follows onions through malicious shards"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoShuffle]
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = IdealSetup::equal(5, 1, HOPS, noise(64)).with_users(against.users() + 20);
        case(setup, rounds)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let users = game.worlds[0].len();
        let kept = (0..users).map(|user| [user < game.against.users(); 2]).collect();
        follow(game, &mut Dropper { kept, withholds: false })
    }
}

impl Strategy for Sybil {
    fn name(&self) -> &'static str {
        "sybil"
    }

    fn about(&self) -> &'static str {
        "an operator with a fifth of the weight runs 60 shards of 64 and follows onions"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::WeightByShard]
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let operator = |malicious| IdealOperator {
            weight: 1,
            shards: if malicious { 60 } else { 1 },
            malicious,
        };
        let operators = [true, false, false, false, false].map(operator).to_vec();
        let setup = IdealSetup::equal(5, 1, HOPS, noise(64)).with_users(against.users());
        case(IdealSetup { operators, ..setup }, rounds)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        follow(game, &mut Watcher)
    }
}
