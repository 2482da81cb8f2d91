//! The kinds of noise that shards can add, as the adversary sees the sum of the honest ones.

mod constant_volume;
mod laplace;
mod poisson;

use std::sync::OnceLock;

use thiserror::Error;

use crate::composition::joined;
use crate::distribution::PairDistribution;
use crate::honest_sum::HonestSum;
use crate::privacy_loss::PrivacyLoss;

pub use constant_volume::MAX_LOST_NOISE;
pub use laplace::LaplaceNoise;
pub use poisson::PoissonNoise;

/// The noise of all honest shards in a round.
///
/// The adversary sees how many dead drops hold one deposit and how many hold two. Users' deposits
/// are as many in both worlds, so where one has a pair more, it has two singles less.
#[derive(Clone, Debug, PartialEq)]
pub enum Mechanism {
    /// A fixed, public volume, of which a secret number is paired: one distribution a shard.
    /// Singles and pairs determine each other, so one count is all there is to see.
    ConstantVolume(Vec<PairDistribution>),
    /// Independent Poisson numbers of singles and of pairs, as Stadium adds them. Both counts
    /// are seen.
    Poisson {
        /// Honest shards.
        shards: u32,
        /// Noise of each of them.
        each: PoissonNoise,
    },
    /// Independent, rounded and truncated Laplace numbers of singles and of pairs, as Vuvuzela
    /// adds them. Both counts are seen.
    Laplace {
        /// Honest shards.
        shards: u32,
        /// Noise of each of them.
        each: LaplaceNoise,
    },
}

/// The honest sum of a constant volume, once it is computed.
pub(crate) type Computed = OnceLock<Option<HonestSum>>;

/// Reason why a mechanism is refused.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum MechanismError {
    /// A mean out of range.
    #[error("the mean must lie between {least} and {most}, got {0}",
        least = MechanismError::LEAST, most = MechanismError::MOST_MEAN)]
    Mean(f64),
    /// A scale out of range.
    #[error("the scale must lie between {least} and {most}, got {0}",
        least = MechanismError::LEAST, most = MechanismError::MOST_SCALE)]
    Scale(f64),
}

impl MechanismError {
    /// The least mean or scale: below, nothing is added in practice.
    pub const LEAST: f64 = 1e-3;
    /// The greatest mean of one shard's singles; bounds the accountant's work.
    pub const MOST_MEAN: f64 = 1e6;
    /// The greatest scale of one shard's noise; bounds the accountant's work.
    pub const MOST_SCALE: f64 = 1000.0;
}

impl Mechanism {
    /// Number of honest shards.
    #[must_use]
    pub fn shards(&self) -> u32 {
        match self {
            Self::ConstantVolume(shards) => u32::try_from(shards.len()).unwrap_or(u32::MAX),
            Self::Poisson { shards, .. } | Self::Laplace { shards, .. } => *shards,
        }
    }

    /// Noise deposits that the honest shards add in a round: exactly, or on average.
    #[must_use]
    pub fn volume(&self) -> f64 {
        match self {
            Self::ConstantVolume(shards) => {
                shards.iter().map(|shard| f64::from(shard.volume())).sum()
            }
            Self::Poisson { shards, each } => f64::from(*shards) * each.volume(),
            Self::Laplace { shards, each } => f64::from(*shards) * each.volume(),
        }
    }

    /// The loss of one round in which the count moves by so many pairs, with at most `lost` noise deposits
    /// missing unnoticed from a constant volume. `None` without any honest shard. The honest sum of a constant
    /// volume is taken from `sum`, or put there.
    pub(crate) fn loss(&self, by: u32, lost: u32, sum: &Computed) -> Option<PrivacyLoss> {
        match self {
            Self::ConstantVolume(shards) if lost == 0 => {
                let sum = sum.get_or_init(|| HonestSum::of_shards(shards.iter().copied()));
                sum.as_ref().map(|sum| PrivacyLoss::of_round(sum, by).coarsened())
            }
            Self::ConstantVolume(shards) => constant_volume::loss(shards, by, lost),
            Self::Poisson { shards, each } => {
                (*shards > 0).then(|| both_counts(&each.singles(*shards), &each.pairs(*shards), by))
            }
            Self::Laplace { shards, each } => (*shards > 0).then(|| {
                let singles = each.singles().repeated(*shards);
                both_counts(&singles, &each.pairs().repeated(*shards), by)
            }),
        }
    }
}

impl Mechanism {
    /// The loss of one round with up to so many deposits of a constant volume missing unnoticed, for
    /// ever more of them; empty for the other mechanisms and without any shard.
    pub(crate) fn losses(&self, by: u32) -> Vec<(u32, PrivacyLoss)> {
        match self {
            Self::ConstantVolume(shards) => constant_volume::losses(shards, by),
            Self::Poisson { .. } | Self::Laplace { .. } => Vec::new(),
        }
    }
}

/// The loss of seeing singles and pairs: where pairs move up, singles move down by twice that, or
/// the other way round, as the adversary likes.
fn both_counts(singles: &HonestSum, pairs: &HonestSum, by: u32) -> PrivacyLoss {
    let direction = |up: bool| {
        let gathered = |loss: PrivacyLoss| PrivacyLoss::gathered(loss.atoms, loss.infinite);
        let of_singles = gathered(PrivacyLoss::moved(singles, 2 * by, !up));
        joined(&of_singles, &gathered(PrivacyLoss::moved(pairs, by, up)))
    };
    direction(true).or(direction(false))
}

/// Returns `true` for a number from `least` to `most`.
fn within(value: f64, most: f64) -> bool {
    (MechanismError::LEAST..=most).contains(&value)
}
