//! Following onions through a round in which nothing is missing.

use super::super::cases::{noise, one_of_four};
use super::super::likelihood::likelier;
use super::dropping::Dropper;
use crate::ideal::{Broken, IdealSetup};
use crate::{Against, Case, Game, Profile, Strategy};

/// A strategy that follows onions.
pub(super) struct Following {
    profile: Profile,
    network: fn() -> IdealSetup,
    bystanders: usize,
    /// True if it blocks all users but those in question.
    blocks: bool,
    trials: u64,
}

/// Mixing hops: few, so that there is something to see.
const HOPS: u8 = 5;

const PASSIVE: Following = Following {
    profile: Profile {
        name: "passive",
        about: "watches a round among other users and follows onions through malicious shards",
        notices: &[Broken::NoShuffle],
        rounds: 1,
        patterns: Some(&[Broken::NoShuffle]),
        scales: true,
    },
    network: || IdealSetup::equal(5, 1, HOPS, noise(64)),
    bystanders: 20,
    blocks: false,
    trials: 4000,
};

/// The strategies that follow onions through malicious shards.
pub(super) static FOLLOWING: [Following; 4] = [
    PASSIVE,
    Following {
        profile: Profile {
            name: "n-minus-one",
            about: "blocks all other users and follows onions through malicious shards",
            ..PASSIVE.profile
        },
        blocks: true,
        ..PASSIVE
    },
    Following {
        profile: Profile {
            name: "sybil",
            about: "an operator with a fifth of the weight runs 60 shards of 64 and follows onions",
            notices: &[Broken::WeightByShard],
            patterns: Some(&[Broken::WeightByShard]),
            ..PASSIVE.profile
        },
        network: sixty_of_sixty_four,
        bystanders: 0,
        ..PASSIVE
    },
    Following {
        profile: Profile {
            name: "joint",
            about: "follows the four onions jointly among little noise: the best guess there is",
            ..PASSIVE.profile
        },
        network: || one_of_four(7),
        bystanders: 0,
        trials: 2000,
        ..PASSIVE
    },
];

fn sixty_of_sixty_four() -> IdealSetup {
    let mut setup = IdealSetup::equal(5, 1, HOPS, noise(64));
    setup.operators[0].shards = 60;
    setup
}

impl Strategy for Following {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = (self.network)().with_users(against.users(), self.bystanders);
        Case::followed(setup, rounds, self.trials)
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let in_question = game.against.users();
        let kept = (0..game.users()).map(|user| [!self.blocks || user < in_question; 2]).collect();
        let mut attacker = Dropper::keeping(kept);
        (0..game.rounds)
            .map(|_| {
                let view = game.round(&mut attacker);
                likelier(game, game.field, &view)
            })
            .sum()
    }
}
