//! Documents that are weaker than they may be.

use antiphon_wire::{EpochDocument, OperatorIndex};

use super::super::documents::{Candidate, HONEST, Proposer, promised};
use super::super::likelihood::likelier;
use super::dropping::{Dropper, without_one_each};
use crate::attack::{Against, Case, Game, Profile, Strategy};
use crate::ideal::{Broken, IdealSetup, Watcher};

/// A coordinator that proposes one document after another, each worse for users than the one before, and
/// attacks them in the last that is accepted.
pub(super) struct Proposals {
    profile: Profile,
    candidates: &'static [Candidate],
    /// Whether it follows onions; else it drops one each and counts.
    follows: bool,
    trials: u64,
}

const ALL: &[u16] = &[0, 1, 2, 3, 4];

const THIN_NOISE: Proposals = Proposals {
    profile: Profile {
        name: "thin-noise",
        about: "proposes documents with less noise, or all of it at malicious shards; drops one each",
        notices: &[Broken::NoPolicy],
        rounds: 1,
        patterns: Some(&[Broken::NoPolicy]),
        scales: false,
    },
    candidates: &[
        HONEST,
        Candidate { present: ALL, change: Some(|document| all_noise(document, 2, 1)) },
        Candidate { present: ALL, change: Some(|document| all_noise(document, 1, 4)) },
        Candidate { present: ALL, change: Some(move_noise) },
    ],
    follows: false,
    trials: 4000,
};

/// All of them.
pub(super) static PROPOSALS: [Proposals; 3] = [
    THIN_NOISE,
    Proposals {
        profile: Profile {
            name: "short-paths",
            about: "proposes documents with fewer mixing hops and less noise; follows onions",
            ..THIN_NOISE.profile
        },
        candidates: &[
            HONEST,
            Candidate { present: ALL, change: Some(|document| document.parameters.layers -= 1) },
            Candidate { present: ALL, change: Some(|document| document.parameters.layers = 3) },
            Candidate { present: ALL, change: Some(shortest) },
        ],
        follows: true,
        ..THIN_NOISE
    },
    Proposals {
        profile: Profile {
            name: "absent",
            about: "delays honest operators, so that few add noise; drops one each",
            patterns: Some(&[]),
            ..THIN_NOISE.profile
        },
        candidates: &[
            HONEST,
            // A quorum: hops and noise make up for whom is not there.
            Candidate { present: &[0, 1, 2, 3], change: None },
            Candidate { present: &[0, 1, 2, 3], change: Some(|_| ()) },
            Candidate { present: &[0, 1, 2], change: Some(|_| ()) },
            Candidate { present: &[0, 1], change: Some(|_| ()) },
        ],
        ..THIN_NOISE
    },
];

/// Volumes and widths divided, volumes to the next multiple of four.
fn all_noise(document: &mut EpochDocument, volume: u32, sigma: u32) {
    for shard in &mut document.shards {
        shard.noise_volume = (shard.noise_volume / volume).next_multiple_of(4);
        shard.noise_sigma /= sigma;
    }
}

/// The total is the same, but nearly all of it is the malicious operator's.
fn move_noise(document: &mut EpochDocument) {
    const LEAST: u32 = 4;
    let mut moved = 0;
    for shard in document.shards.iter_mut().filter(|shard| shard.operator != OperatorIndex(0)) {
        moved += shard.noise_volume - LEAST;
        shard.noise_volume = LEAST;
        shard.noise_sigma = 256;
    }
    for shard in document.shards.iter_mut().filter(|shard| shard.operator == OperatorIndex(0)) {
        shard.noise_volume += moved;
    }
}

fn shortest(document: &mut EpochDocument) {
    document.parameters.layers = 3;
    move_noise(document);
}

impl Strategy for Proposals {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let honest = Proposer::new(rounds).propose(&[HONEST], false, true);
        let setup = honest.into_iter().next().expect("an honest document is accepted");
        let setup = setup.with_users(against.users(), 0);
        if self.follows {
            Case::followed(setup, rounds, self.trials)
        } else {
            let promised = Some(promised(against.step()));
            Case { promised, ..Case::charged(setup, rounds, self.trials) }
        }
    }

    fn parts(&self, case: &Case, broken: Option<Broken>) -> Vec<IdealSetup> {
        let checks = broken != Some(Broken::NoPolicy);
        let rounds = case.charged_rounds.max(case.followed_rounds);
        let accepted = Proposer::new(rounds).propose(self.candidates, false, checks);
        accepted.into_iter().map(|setup| setup.with_users(case.setup.users, 0)).collect()
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let Some(worst) = game.parts.last() else { return 0.0 };
        let mut dropper = Dropper::keeping(without_one_each(game.users(), game.against));
        (0..game.rounds)
            .map(|_| {
                if self.follows {
                    let view = game.round_on(worst, &mut Watcher);
                    likelier(game, worst, &view)
                } else {
                    let view = game.round_on(worst, &mut dropper);
                    game.weigh_count(worst, &dropper.kept, &view)
                }
            })
            .sum()
    }
}
