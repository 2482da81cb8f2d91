//! Measurements as JSON.

use antiphon_sim::attack::{CONFIDENCE, Measurement, Strategy};
use antiphon_sim::ideal::Broken;
use serde::Serialize;

/// One measurement.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    strategy: &'static str,
    /// The missing defence; null for an intact network.
    broken: Option<&'static str>,
    /// The worlds told apart: idle or pattern.
    against: String,
    trials: u64,
    /// Rounds a trial.
    rounds: u32,
    /// Right guesses.
    right: u64,
    advantage: f64,
    ci_low: f64,
    ci_high: f64,
    confidence: f64,
    /// The intact network's guarantee: the sum of the two below, at most 1.
    bound: f64,
    /// What the noise leaves over the charged rounds: delta at epsilon 0.
    bound_noise: f64,
    /// `delta_mix`, proven.
    bound_mixing: f64,
    /// Whether `ci_low` exceeds `bound`.
    caught: bool,
}

impl Report {
    pub(super) fn of(measured: &Measurement) -> Self {
        Self {
            strategy: measured.strategy,
            broken: measured.broken.map(Broken::name),
            against: measured.against.to_string(),
            trials: measured.trials,
            rounds: measured.rounds,
            right: measured.right,
            advantage: measured.advantage,
            ci_low: measured.ci_low,
            ci_high: measured.ci_high,
            confidence: CONFIDENCE,
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
}

impl Listed {
    pub(super) fn of(strategy: &'static dyn Strategy) -> Self {
        Self {
            strategy: strategy.name(),
            about: strategy.about(),
            notices: strategy.notices().iter().map(|broken| broken.name()).collect(),
            rounds: strategy.rounds(),
            patterns: strategy.tells_patterns(),
        }
    }
}
