//! Two documents for one epoch.

use super::super::cases::counting;
use super::dropping::users_alone;
use crate::attack::count::log_ratio;
use crate::attack::{Against, Case, Game, PairCountLaw, Strategy};
use crate::ideal::{Broken, IdealOperator, IdealSetup};

/// Shows A one document and B another, each with half of the honest operators, and sees in each half
/// whether somebody is missing there.
///
/// Neither half is a quorum of more than (1+f)/2 of the weight, so nobody takes part in either.
pub(super) struct Equivocation;

impl Strategy for Equivocation {
    fn name(&self) -> &'static str {
        "equivocation"
    }

    fn about(&self) -> &'static str {
        "shows A one epoch document and B another, each with half of the honest operators"
    }

    fn notices(&self) -> &'static [Broken] {
        &[Broken::NoQuorum]
    }

    fn tells_patterns(&self) -> bool {
        false
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = counting(16).with_users(against.users());
        Case {
            setup,
            // A is charged one and B another.
            charged_rounds: 2 * rounds,
            followed_rounds: 0,
            left_out_attempts: 0,
            trials: 10_000,
        }
    }

    fn parts(&self, case: &Case, broken: Option<Broken>) -> Vec<IdealSetup> {
        let operators = &case.setup.operators;
        let weight = |list: &[_]| -> u64 {
            list.iter().map(|operator: &IdealOperator| u64::from(operator.weight)).sum()
        };
        let malicious: Vec<_> = operators.iter().copied().filter(|o| o.malicious).collect();
        let honest: Vec<_> = operators.iter().copied().filter(|o| !o.malicious).collect();
        honest
            .chunks(honest.len().div_ceil(2).max(1))
            .map(|half| [&malicious, half].concat())
            .filter(|half| {
                // More than (1+f)/2 of the weight, or it is no document.
                let quorum = 2 * weight(half) > weight(operators) + weight(&malicious);
                quorum || broken == Some(Broken::NoQuorum)
            })
            .map(|half| IdealSetup { operators: half, ..case.setup.clone() })
            .collect()
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let mut sum = 0.0;
        for round in 0..u64::from(game.rounds) {
            for (user, part) in game.parts.iter().enumerate() {
                let setup = part.setup();
                let adding = match part.broken() {
                    Some(Broken::NoNoise) => 0,
                    _ => setup.honest_shards(),
                };
                let noise = PairCountLaw::honest_sum(setup.noise, adding);
                let mut alone = users_alone(game.worlds[0].len(), user);
                let view = part.round(round, &game.worlds[game.truth], &mut alone, &mut game.rng);
                let pairs = game.user_pairs(&alone.kept);
                if let Some(opened) = view.opened {
                    let law = |world: usize| noise.plus(pairs[world]).of(opened.counts.pairs);
                    sum += log_ratio(law(1), law(0));
                }
            }
        }
        sum
    }
}
