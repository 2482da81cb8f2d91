//! Measurements as JSON writes them.

use antiphon_attack::ideal::Broken;
use antiphon_attack::{CONFIDENCE, Measurement, Strategy, Verdict};
use serde::{Deserialize, Serialize};

/// One measurement of a strategy.
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
    /// Rounds of one trial.
    pub(super) rounds: u32,
    /// Guesses that were right.
    pub(super) right: u64,
    pub(super) advantage: f64,
    pub(super) ci_low: f64,
    pub(super) ci_high: f64,
    /// The advantage that the adversary expects by its own likelihoods.
    pub(super) expected: f64,
    /// Of all intervals of the run at once.
    pub(super) confidence: f64,
    /// Number of the intervals.
    pub(super) comparisons: u32,
    /// The intact network's guarantee: the sum of the three below, at most 1.
    pub(super) bound: f64,
    /// The noise's part over the charged rounds: delta at epsilon 0.
    pub(super) bound_noise: f64,
    /// Mixing's part where onions are followed, proven.
    pub(super) bound_mixing: f64,
    /// Gain from looking first, and then deciding whether to disturb a round.
    #[serde(default)]
    pub(super) bound_peek: f64,
    /// exceeded, within or undecided.
    #[serde(default)]
    verdict: String,
    /// About how many trials would decide; null if decided, or if more than can be asked for.
    #[serde(default)]
    pub(super) trials_to_tell: Option<u64>,
    /// `true` if `ci_low` exceeds `bound`.
    pub(super) caught: bool,
}

impl Report {
    pub(super) fn of(measured: &Measurement, comparisons: u32) -> Self {
        let (verdict, trials_to_tell) = match measured.verdict() {
            Verdict::Exceeded => ("exceeded", None),
            Verdict::Within => ("within", None),
            Verdict::Undecided { trials } => ("undecided", trials),
        };
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
            bound_peek: measured.bound.peek,
            verdict: verdict.to_owned(),
            trials_to_tell,
            caught: measured.caught(),
        }
    }
}

impl Report {
    /// By the figures: what was stored by an older program has them, too.
    pub(super) fn verdict(&self) -> &'static str {
        if self.ci_low > self.bound {
            "exceeded"
        } else if self.ci_high <= self.bound {
            "within"
        } else {
            "undecided"
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
    /// Rounds of one trial.
    rounds: u32,
    /// `true` if it can tell patterns of conversations apart, too.
    patterns: bool,
    /// `true` if its network can have another size.
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
