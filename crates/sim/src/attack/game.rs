//! A strategy and what it plays with.

use rand_chacha::ChaCha8Rng;

use super::worlds::user_pairs;
use super::{Against, Kept, PairCountLaw, Partners};
use crate::ideal::{Attacker, Broken, IdealNetwork, IdealSetup, View};

/// The network a strategy is tried on, and what its guarantee counts.
#[derive(Clone, Debug)]
pub struct Case {
    /// The network.
    pub setup: IdealSetup,
    /// Rounds that clients are charged in one trial, at most.
    pub charged_rounds: u32,
    /// Rounds in which onions are followed.
    pub followed_rounds: u32,
    /// Attempts to leave an onion out of a filter.
    pub left_out_attempts: u32,
    /// Trials that resolve the bound and take a few seconds.
    pub trials: u64,
}

/// A way to attack.
pub trait Strategy: Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// What it tries, in a line.
    fn about(&self) -> &'static str;

    /// The broken networks that it has to notice.
    fn notices(&self) -> &'static [Broken];

    /// Whether it can also tell patterns of conversations apart.
    fn tells_patterns(&self) -> bool {
        true
    }

    /// Rounds in a trial, unless asked for others.
    fn rounds(&self) -> u32 {
        1
    }

    /// What it is tried on.
    fn case(&self, against: Against, rounds: u32) -> Case;

    /// Networks of parts of the case's roster, if a broken network lets them run beside each other.
    fn parts(&self, case: &Case, broken: Option<Broken>) -> Vec<IdealSetup> {
        let _ = (case, broken);
        Vec::new()
    }

    /// Plays once. Returns how much likelier what it saw is in the second world than in the first, as a
    /// logarithm.
    fn play(&self, game: &mut Game<'_>) -> f64;
}

/// One trial: a network in one of two worlds.
#[derive(Debug)]
pub struct Game<'a> {
    /// The network, whose inner workings a strategy does not look at.
    pub(super) network: &'a IdealNetwork,
    pub(super) against: Against,
    pub(super) worlds: &'a [Partners; 2],
    pub(super) truth: usize,
    pub(super) rounds: u32,
    /// The law of the noise pairs of all honest shards.
    pub(super) noise: &'a PairCountLaw,
    /// Smaller networks that parts of the same roster form, if the case has any.
    pub(super) parts: &'a [IdealNetwork],
    /// Attempts in all, and rounds so far.
    pub(super) attempts: u32,
    pub(super) played: u64,
    pub(super) rng: ChaCha8Rng,
}

impl Game<'_> {
    /// Runs a round.
    pub fn round(&mut self, attacker: &mut impl Attacker) -> View {
        self.played += 1;
        self.network.round(self.played, &self.worlds[self.truth], attacker, &mut self.rng)
    }

    /// The pairs that users' onions make in each world, if these arrive.
    pub fn user_pairs(&self, kept: &Kept) -> [u32; 2] {
        [0, 1].map(|world| user_pairs(&self.worlds[world], kept))
    }
}
