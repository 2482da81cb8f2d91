//! Documents that are weaker than they may be.

use antiphon_wire::{EpochDocument, OperatorIndex};

use super::super::documents::{
    Agreed, Candidate, FIVE, FormerRule, HONEST, Looks, MALICIOUS, Proposer, Roster,
};
use super::super::former_rules::{any_length, any_pairs, by_stated_variance};
use super::super::likelihood::likelier;
use super::dropping::{Dropper, without_one_each};
use crate::ideal::{Broken, IdealSetup, Watcher};
use crate::{Against, Case, Game, Kept, Profile, Strategy};

/// A coordinator that proposes one document after another, each worse for users than the one before, and
/// attacks them in the last that is accepted.
pub(super) struct Proposals {
    profile: Profile,
    roster: Roster,
    candidates: &'static [Candidate],
    /// The rule before it was mended, and the network that has it.
    formerly: Option<(Broken, FormerRule)>,
    does: Does,
    trials: u64,
}

/// Use of the document that was agreed to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    /// One onion of each end is dropped, in each of its pairs, and pairs are counted.
    Drops,
    /// Onions are followed through the network.
    Follows,
    /// All shards are seized when the longest epoch that the policy allows must be over, with the keys that they
    /// still have; onions of what was recorded are followed.
    Seizes,
}

const ALL: &[u16] = &[0, 1, 2, 3, 4, 5];

const fn of_all(change: fn(&mut EpochDocument)) -> Candidate {
    Candidate { present: ALL, change: Some(change) }
}

const THIN_NOISE: Proposals = Proposals {
    profile: Profile {
        name: "thin-noise",
        about: "proposes documents with less noise, or all of it at malicious shards; drops one each",
        notices: &[Broken::NoPolicy],
        rounds: 1,
        patterns: Some(&[Broken::NoPolicy]),
        scales: false,
    },
    roster: FIVE,
    candidates: &[
        HONEST,
        of_all(|document| all_noise(document, 2, 1)),
        of_all(|document| all_noise(document, 1, 4)),
        of_all(move_noise),
    ],
    formerly: None,
    does: Does::Drops,
    trials: 4000,
};

/// The strategies that propose documents.
pub(super) static PROPOSALS: [Proposals; 6] = [
    THIN_NOISE,
    Proposals {
        profile: Profile {
            name: "narrow-noise",
            about: "proposes documents with many shards whose noise is wider on paper; drops one each",
            notices: &[Broken::StatedVariance, Broken::NoPolicy],
            patterns: None,
            ..THIN_NOISE.profile
        },
        roster: SIX,
        candidates: &[HONEST, of_all(wide_on_paper)],
        formerly: Some((Broken::StatedVariance, by_stated_variance)),
        trials: 2000,
        ..THIN_NOISE
    },
    Proposals {
        profile: Profile {
            name: "many-pairs",
            about: "proposes documents with ever more pairs of onions a client; drops one of each",
            notices: &[Broken::AnyPairs, Broken::NoPolicy],
            patterns: None,
            ..THIN_NOISE.profile
        },
        candidates: &[
            HONEST,
            of_all(|document| document.parameters.pairs_per_client = 2),
            of_all(|document| document.parameters.pairs_per_client = 4),
            of_all(|document| document.parameters.pairs_per_client = 16),
        ],
        formerly: Some((Broken::AnyPairs, any_pairs)),
        trials: 2000,
        ..THIN_NOISE
    },
    Proposals {
        profile: Profile {
            name: "seizure",
            about: "proposes an epoch of weeks, and seizes all shards when it should long be over",
            notices: &[Broken::EndlessEpochs, Broken::NoPolicy],
            patterns: None,
            ..THIN_NOISE.profile
        },
        candidates: &[HONEST, of_all(far_apart)],
        formerly: Some((Broken::EndlessEpochs, any_length)),
        does: Does::Seizes,
        trials: 2000,
        ..THIN_NOISE
    },
    Proposals {
        profile: Profile {
            name: "short-paths",
            about: "proposes documents with fewer mixing hops and less noise; follows onions",
            ..THIN_NOISE.profile
        },
        candidates: &[
            HONEST,
            of_all(|document| document.parameters.layers -= 1),
            of_all(|document| document.parameters.layers = 3),
            of_all(shortest),
        ],
        does: Does::Follows,
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

/// Six operators, of which two may be malicious, and one is. It has one shard, the others many.
const SIX: Roster = Roster {
    operators: 6,
    malicious_shards: 1,
    honest_shards: 13,
    malicious_ppm: 340_000,
    delta: 0.4,
};

/// Nearly all noise is the malicious operator's, which states less variance than anybody else; so every set of
/// operators that leaves little, as stated, is one without it. Thirteen shards of the others state as much variance
/// as it does, and hardly ever draw anything but their mean: a quarter of a pair is no width for whole pairs.
fn wide_on_paper(document: &mut EpochDocument) {
    for shard in &mut document.shards {
        (shard.noise_volume, shard.noise_sigma) = match shard.operator {
            MALICIOUS => (16, 896),
            // None like another, so that there are many sets.
            OperatorIndex(other) => (4, 257 - u32::from(other)),
        };
    }
}

/// Each round seven weeks after the last.
fn far_apart(document: &mut EpochDocument) {
    document.parameters.interval_ms = u32::MAX;
    let longest_ms = document.rounds() * 2 * u64::from(u32::MAX);
    document.expires_at = document.starts_at.plus_ms(longest_ms);
}

/// One onion of each end is missing, in each pair of onions that a client has.
fn without_one_of_each(users: usize) -> Kept {
    vec![[false, true]; users]
}

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

impl Proposals {
    fn looks(&self, broken: Option<Broken>) -> Looks {
        match (broken, self.formerly) {
            (Some(Broken::NoPolicy), _) => Looks::AtNothing,
            (Some(broken), Some((former, rule))) if broken == former => Looks::Formerly(rule),
            _ => Looks::AtAll,
        }
    }

    /// The network as it is attacked, with so many users for each pair of onions.
    fn attacked(&self, agreed: Agreed, users: usize) -> IdealSetup {
        let Agreed { document, mut network } = agreed;
        if self.does == Does::Seizes && document.expires_at.ms_since(document.starts_at) > SEIZED_MS
        {
            network.operators.iter_mut().for_each(|operator| operator.malicious = true);
        }
        let pairs = network.users / 2;
        network.with_users(users * pairs, 0)
    }
}

/// When shards are seized, after the epoch's start: a day, and no epoch lasts for longer than two times six hours.
const SEIZED_MS: u64 = 24 * 3600 * 1000;

impl Strategy for Proposals {
    fn profile(&self) -> &Profile {
        &self.profile
    }

    fn case(&self, against: Against, rounds: u32) -> Case {
        let setup = Proposer::new(&self.roster, rounds).honest(against.users());
        if self.does == Does::Drops {
            let promised = Some(self.roster.promised(against.step()));
            Case { promised, ..Case::charged(setup, rounds, self.trials) }
        } else {
            Case::followed(setup, rounds, self.trials)
        }
    }

    fn parts(&self, case: &Case, broken: Option<Broken>) -> Vec<IdealSetup> {
        let rounds = case.charged_rounds.max(case.followed_rounds);
        let mut proposer = Proposer::new(&self.roster, rounds);
        let accepted = proposer.propose(self.candidates, false, self.looks(broken));
        accepted.into_iter().map(|agreed| self.attacked(agreed, case.setup.users)).collect()
    }

    fn play(&self, game: &mut Game<'_>) -> f64 {
        let Some(worst) = game.parts.last() else { return 0.0 };
        let kept = match game.against {
            Against::Idle => without_one_of_each(worst.users()),
            Against::Pattern => without_one_each(worst.users(), game.against),
        };
        let mut dropper = Dropper::keeping(kept);
        (0..game.rounds)
            .map(|_| {
                if self.does == Does::Drops {
                    let view = game.round_on(worst, &mut dropper);
                    game.weigh_count(worst, &dropper.kept, &view)
                } else {
                    let view = game.round_on(worst, &mut Watcher);
                    likelier(game, worst, &view)
                }
            })
            .sum()
    }
}
