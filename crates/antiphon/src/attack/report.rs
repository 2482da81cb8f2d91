//! Measurements as JSON.

use antiphon_sim::attack::{CONFIDENCE, Measurement, Strategy};
use antiphon_sim::ideal::Broken;
use serde::{Deserialize, Serialize};

/// One measurement.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Report {
    pub(super) strategy: String,
    /// The missing defence; null for an intact network.
    pub(super) broken: Option<String>,
    /// The worlds told apart: idle or pattern.
    pub(super) against: String,
    pub(super) shards: usize,
    pub(super) users: usize,
    pub(super) mixing_hops: u8,
    pub(super) seed: u64,
    pub(super) trials: u64,
    /// Rounds a trial.
    pub(super) rounds: u32,
    /// Right guesses.
    pub(super) right: u64,
    pub(super) advantage: f64,
    pub(super) ci_low: f64,
    pub(super) ci_high: f64,
    /// The advantage that the adversary expects by its own likelihoods.
    pub(super) expected: f64,
    /// Of all intervals of the run at once.
    pub(super) confidence: f64,
    /// How many those are.
    pub(super) comparisons: u32,
    /// The intact network's guarantee: the sum of the two below, at most 1.
    pub(super) bound: f64,
    /// What the noise leaves over the charged rounds: delta at epsilon 0.
    pub(super) bound_noise: f64,
    /// What mixing leaves where onions are followed, proven.
    pub(super) bound_mixing: f64,
    /// Whether `ci_low` exceeds `bound`.
    pub(super) caught: bool,
}

impl Report {
    pub(super) fn of(measured: &Measurement, comparisons: u32) -> Self {
        Self {
            strategy: measured.strategy.to_owned(),
            broken: measured.broken.map(|broken| broken.name().to_owned()),
            against: measured.against.to_string(),
            shards: measured.shards,
            users: measured.users,
            mixing_hops: measured.mixing_hops,
            seed: measured.seed,
            trials: measured.trials,
            rounds: measured.rounds,
            right: measured.right,
            advantage: measured.advantage,
            ci_low: measured.ci_low,
            ci_high: measured.ci_high,
            expected: measured.expected,
            confidence: CONFIDENCE,
            comparisons,
            bound: measured.bound.total(),
            bound_noise: measured.bound.noise,
            bound_mixing: measured.bound.mixing,
            caught: measured.caught(),
        }
    }
}

/// One strategy of the list.
#[derive(Debug, Serialize)]
pub(super) struct Listed {
    strategy: &'static str,
    about: &'static str,
    /// The broken networks it has to notice.
    notices: Vec<&'static str>,
    /// Rounds a trial.
    rounds: u32,
    /// Whether it can tell patterns of conversations apart, too.
    patterns: bool,
    /// Whether its network can have another size.
    scales: bool,
}

impl Listed {
    pub(super) fn of(strategy: &'static dyn Strategy) -> Self {
        let profile = strategy.profile();
        Self {
            strategy: profile.name,
            about: profile.about,
            notices: profile.notices.iter().copied().map(Broken::name).collect(),
            rounds: profile.rounds,
            patterns: profile.patterns.is_some(),
            scales: profile.scales,
        }
    }
}
