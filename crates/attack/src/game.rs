//! A strategy and what it plays with.

use rand_chacha::ChaCha8Rng;

use super::count::log_ratio;
use super::worlds::user_pairs;
use super::{Against, Kept, PairCountLaw, Partners};
use crate::ideal::{Attacker, Broken, Gathered, IdealNetwork, IdealSetup, View};

/// The network a strategy is tried on, and what its guarantee counts.
#[derive(Clone, Debug)]
pub struct Case {
    /// Operators, hops and users of the network.
    pub setup: IdealSetup,
    /// Rounds that clients are charged in one trial, at most.
    pub charged_rounds: u32,
    /// Rounds in which onions are followed, and none is dropped.
    pub followed_rounds: u32,
    /// Rounds in which onions are dropped and others followed.
    pub followed_after_drop: u32,
    /// Rounds that are looked at before it is decided whether to disturb them.
    pub peeked_rounds: u32,
    /// Attempts to leave an onion out of a filter.
    pub left_out_attempts: u32,
    /// Trials that resolve the bound and take a few seconds.
    pub trials: u64,
    /// Advantage that a policy promises, where the networks that come about are chosen by the adversary.
    pub promised: Option<f64>,
}

impl Case {
    /// Rounds that are disturbed, and what the counts say.
    pub(super) fn charged(setup: IdealSetup, charged_rounds: u32, trials: u64) -> Self {
        Self {
            setup,
            charged_rounds,
            followed_rounds: 0,
            followed_after_drop: 0,
            peeked_rounds: 0,
            left_out_attempts: 0,
            trials,
            promised: None,
        }
    }

    /// Rounds that are left alone, and where onions may be.
    pub(super) fn followed(setup: IdealSetup, followed_rounds: u32, trials: u64) -> Self {
        Self { followed_rounds, ..Self::charged(setup, 0, trials) }
    }
}

/// Description of a strategy: its name, its worlds, and the defences that it needs missing.
#[derive(Clone, Copy, Debug)]
pub struct Profile {
    /// Its name on the command line.
    pub name: &'static str,
    /// Line on what it tries, for listings.
    pub about: &'static str,
    /// The broken networks that it has to notice.
    pub notices: &'static [Broken],
    /// Rounds in a trial, unless asked for others.
    pub rounds: u32,
    /// If it can also tell patterns of conversations apart: the broken networks it has to notice then.
    pub patterns: Option<&'static [Broken]>,
    /// True if its network may have another size.
    pub scales: bool,
}

impl Profile {
    /// The broken networks it has to notice, if it can tell these worlds apart.
    pub fn notices_against(&self, against: Against) -> Option<&'static [Broken]> {
        match against {
            Against::Idle => Some(self.notices),
            Against::Pattern => self.patterns,
        }
    }
}

/// A way to attack.
pub trait Strategy: Sync {
    /// The strategy's description.
    fn profile(&self) -> &Profile;

    /// Network and rounds that the strategy is tried on.
    fn case(&self, against: Against, rounds: u32) -> Case;

    /// Networks that can come about beside that of the case, or instead of it: of parts of its
    /// roster, or by documents that somebody proposes.
    fn parts(&self, case: &Case, broken: Option<Broken>) -> Vec<IdealSetup> {
        let _ = (case, broken);
        Vec::new()
    }

    /// Plays once. Returns how much likelier what it saw is in the second world than in the first, as a
    /// logarithm.
    fn play(&self, game: &mut Game<'_>) -> f64;
}

/// A network, its users, and the law of the noise pairs that its honest shards add together.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) network: IdealNetwork,
    /// Whom its users talk to, in each world.
    pub(super) worlds: [Partners; 2],
    pub(super) noise: PairCountLaw,
}

impl Field {
    /// The users of the network.
    pub(super) fn users(&self) -> usize {
        self.worlds[0].len()
    }

    fn user_pairs(&self, kept: &Kept) -> [u32; 2] {
        [0, 1].map(|world| user_pairs(&self.worlds[world], kept))
    }
}

/// One trial: a network in one of two worlds.
#[derive(Debug)]
pub struct Game<'a> {
    /// The network, whose inner workings a strategy does not look at.
    pub(super) field: &'a Field,
    pub(super) against: Against,
    pub(super) truth: usize,
    pub(super) rounds: u32,
    /// Other networks, if the case has any.
    pub(super) parts: &'a [Field],
    /// Attempts in all, and rounds so far.
    pub(super) attempts: u32,
    pub(super) played: u64,
    pub(super) rng: ChaCha8Rng,
}

impl<'a> Game<'a> {
    /// Runs one round against `attacker`.
    pub fn round(&mut self, attacker: &mut impl Attacker) -> View {
        self.round_on(self.field, attacker)
    }

    /// Runs a round of one of several networks.
    pub(super) fn round_on(&mut self, field: &Field, attacker: &mut impl Attacker) -> View {
        self.played += 1;
        field.network.round(self.played, &field.worlds[self.truth], attacker, &mut self.rng)
    }

    /// The users' onions of one more round, before any is passed on.
    pub(super) fn gather(&mut self) -> Gathered {
        self.field.network.gather(&self.field.worlds[self.truth], &mut self.rng)
    }

    /// Runs the round of these onions.
    pub(super) fn pass_on(&mut self, gathered: Gathered, attacker: &mut impl Attacker) -> View {
        self.played += 1;
        self.field.network.pass_on(self.played, gathered, attacker, &mut self.rng)
    }

    pub(super) fn setup(&self) -> &'a IdealSetup {
        self.field.network.setup()
    }

    /// The users of the network.
    pub(super) fn users(&self) -> usize {
        self.field.users()
    }

    /// The pairs that users' onions make in each world, if these arrive.
    pub fn user_pairs(&self, kept: &Kept) -> [u32; 2] {
        self.field.user_pairs(kept)
    }

    /// Logarithm of how much likelier a round's count of pairs is in the second world, if these onions of
    /// users arrive. Without a count it is 0.
    pub(super) fn weigh_count(&self, field: &Field, kept: &Kept, view: &View) -> f64 {
        let pairs = field.user_pairs(kept);
        view.opened.as_ref().map_or(0.0, |opened| {
            let law = |world: usize| match opened.counts.pairs.checked_sub(pairs[world]) {
                Some(of_noise) => field.noise.of(of_noise),
                None => 0.0,
            };
            log_ratio(law(1), law(0))
        })
    }
}
