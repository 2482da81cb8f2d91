//! The noise that an account is about.

use antiphon_dp_noise::{
    DistributionError, LaplaceNoise, MAX_ACCOUNTED_VOLUME, Mechanism, MechanismError,
    PairDistribution, PoissonNoise, Sigma,
};
use clap::{Args, ValueEnum};
use serde::Serialize;

/// The most honest shards: as many as `plan` takes operators, with 64 shards each.
const MOST_SHARDS: u32 = 64_000;

/// A kind of noise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// A fixed volume, of which a secret number is paired: a cut discrete Gaussian
    Gaussian,
    /// Poisson numbers of singles and pairs, as Stadium adds them
    Poisson,
    /// Rounded and truncated Laplace numbers of singles and pairs, as Vuvuzela adds them
    Laplace,
}

/// Who adds how much.
#[derive(Clone, Debug, Args)]
pub(super) struct NoiseArguments {
    /// The kind of noise
    #[arg(long, value_enum, default_value = "gaussian")]
    pub(super) mechanism: Kind,
    /// Honest shards; only their noise counts
    #[arg(long, value_name = "H", required_unless_present = "shards")]
    honest: Option<u32>,
    /// All shards, in place of --honest
    #[arg(long, value_name = "N", conflicts_with = "honest")]
    shards: Option<u32>,
    /// How many of --shards may be malicious
    #[arg(long, value_name = "M", default_value_t = 1, requires = "shards")]
    malicious_shards: u32,
    /// gaussian: the width of a shard's number of pairs
    #[arg(long, value_name = "PAIRS")]
    pub(super) sigma: Option<f64>,
    /// gaussian: a shard's noise deposits a round, a multiple of 4
    #[arg(long, value_name = "V")]
    pub(super) volume: Option<u32>,
    /// poisson, laplace: a shard's singles on average (for laplace, before rounding)
    #[arg(long, value_name = "SINGLES")]
    pub(super) mean: Option<f64>,
    /// poisson: a shard's pairs on average [default: half of --mean]
    #[arg(long, value_name = "PAIRS")]
    pub(super) mean_pairs: Option<f64>,
    /// laplace: the scale b of the singles; that of the pairs is half of it
    #[arg(long, value_name = "B")]
    pub(super) scale: Option<f64>,
}

/// Reason why noise is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub(crate) enum NoiseError {
    /// There is no honest shard.
    #[error(
        "without an honest shard nothing is hidden: give --honest from 1 to {MOST_SHARDS}, the \
         shards whose noise is certain"
    )]
    NobodyHonest,
    /// More shards than are computed.
    #[error("{0} shards are more than {MOST_SHARDS}")]
    TooMany(u32),
    /// There is a single shard.
    #[error(
        "a single shard has to be trusted with everything: with 2 shards one may be malicious, and \
         the noise of the other counts"
    )]
    OneShard,
    /// As many malicious ones as there are.
    #[error(
        "{malicious} malicious of {shards} shards leave none whose noise counts: at most {most} may \
         be malicious, and the protocol allows fewer than half",
        most = shards - 1
    )]
    AllMalicious {
        /// Number of malicious shards.
        malicious: u32,
        /// Number of all shards.
        shards: u32,
    },
    /// A part is missing.
    #[error("--mechanism {kind} needs {needs}")]
    Missing {
        /// Name of the mechanism that was chosen.
        kind: &'static str,
        /// Options that it needs.
        needs: &'static str,
    },
    /// A part that means nothing here.
    #[error("{option} means nothing for --mechanism {kind}, which takes {takes}")]
    Needless {
        /// Name of the mechanism that was chosen.
        kind: &'static str,
        /// Option that was given.
        option: &'static str,
        /// Options that it takes.
        takes: &'static str,
    },
    /// A width out of range.
    #[error(
        "sigma lies between {least} and {most} pairs, got {0}; the narrower it is, the more the \
         count shows, and without any width it shows everything",
        least = Sigma::MIN.pairs(), most = Sigma::MAX_ACCOUNTED.pairs()
    )]
    Sigma(f64),
    /// A volume that cannot be halved and centred.
    #[error("the volume is a multiple of 4, as its mean number of pairs is a quarter of it: {below} \
             or {above} would do, {0} does not", below = (.0 / 4 * 4).max(4), above = .0 / 4 * 4 + 4)]
    NotDivisible(u32),
    /// A volume out of range.
    #[error(transparent)]
    Volume(DistributionError),
    /// A mean or scale out of range.
    #[error(transparent)]
    Mechanism(#[from] MechanismError),
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Poisson => "poisson",
            Self::Laplace => "laplace",
        }
    }

    fn takes(self) -> &'static str {
        match self {
            Self::Gaussian => "--sigma and --volume",
            Self::Poisson => "--mean, and --mean-pairs if pairs are not half as many",
            Self::Laplace => "--mean and --scale",
        }
    }
}

impl NoiseArguments {
    /// The noise of all honest shards.
    pub(super) fn mechanism(&self) -> Result<Mechanism, NoiseError> {
        let shards = self.honest()?;
        self.no_needless()?;
        let kind = self.mechanism;
        let missing = NoiseError::Missing { kind: kind.name(), needs: kind.takes() };
        // Options of another mechanism were refused above, so what is not matched here lacks one.
        match (kind, self.sigma, self.volume, self.mean, self.scale) {
            (Kind::Gaussian, Some(sigma), Some(volume), ..) => {
                let shard = distribution(sigma, volume)?;
                Ok(Mechanism::ConstantVolume(vec![shard; shards as usize]))
            }
            (Kind::Poisson, _, _, Some(mean), _) => {
                let each = PoissonNoise::new(mean, self.mean_pairs.unwrap_or(mean / 2.0))?;
                Ok(Mechanism::Poisson { shards, each })
            }
            (Kind::Laplace, _, _, Some(mean), Some(scale)) => {
                Ok(Mechanism::Laplace { shards, each: LaplaceNoise::new(mean, scale)? })
            }
            _ => Err(missing),
        }
    }

    /// Returns `true` for the product's own noise.
    pub(super) fn is_gaussian(&self) -> bool {
        self.mechanism == Kind::Gaussian
    }

    /// Number of honest shards.
    pub(super) fn honest(&self) -> Result<u32, NoiseError> {
        let most = self.shards.or(self.honest).unwrap_or(0);
        if most > MOST_SHARDS {
            return Err(NoiseError::TooMany(most));
        }
        // `--honest` names the honest alone; `--shards` names all, of which the malicious add no noise that
        // counts.
        match (self.shards, self.malicious_shards) {
            (None, _) if most == 0 => Err(NoiseError::NobodyHonest),
            (None, _) => Ok(most),
            (Some(1), 1..) => Err(NoiseError::OneShard),
            (Some(shards), malicious) if malicious >= shards => {
                Err(NoiseError::AllMalicious { malicious, shards })
            }
            (Some(shards), malicious) => Ok(shards - malicious),
        }
    }

    fn no_needless(&self) -> Result<(), NoiseError> {
        let kind = self.mechanism;
        let gaussian = kind == Kind::Gaussian;
        // Option, whether it was given, and whether it means anything to this mechanism.
        let given = [
            ("--sigma", self.sigma.is_some(), gaussian),
            ("--volume", self.volume.is_some(), gaussian),
            ("--mean", self.mean.is_some(), !gaussian),
            ("--mean-pairs", self.mean_pairs.is_some(), kind == Kind::Poisson),
            ("--scale", self.scale.is_some(), kind == Kind::Laplace),
        ];
        match given.into_iter().find(|&(_, given, means)| given && !means) {
            Some((option, ..)) => {
                Err(NoiseError::Needless { kind: kind.name(), option, takes: kind.takes() })
            }
            None => Ok(()),
        }
    }
}

/// A shard's distribution, its width rounded to 1/1024 pair as documents hold it.
fn distribution(sigma: f64, volume: u32) -> Result<PairDistribution, NoiseError> {
    let units = (sigma * f64::from(Sigma::UNITS_PER_PAIR)).round();
    // The cast saturates, and then the range is what fails.
    let width = Sigma::accounted(units as u32).map_err(|_| NoiseError::Sigma(sigma))?;
    if !volume.is_multiple_of(4) && volume < MAX_ACCOUNTED_VOLUME {
        return Err(NoiseError::NotDivisible(volume));
    }
    PairDistribution::accounted(volume, width).map_err(NoiseError::Volume)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_rounded_as_in_documents() {
        assert_eq!(distribution(18.85, 304).unwrap().sigma().units(), 19_302);
        for sigma in [0.0, -1.0, f64::NAN, f64::INFINITY, 0.01, 65_537.0] {
            assert!(matches!(distribution(sigma, 304), Err(NoiseError::Sigma(_))));
        }
    }

    #[test]
    fn volumes_nearby_are_offered() {
        let error = distribution(18.85, 302).unwrap_err().to_string();
        assert!(error.contains("300 or 304 would do"), "{error}");
        let error = distribution(0.5, 2).unwrap_err().to_string();
        assert!(error.contains("multiple of 4"), "{error}");
        assert!(matches!(distribution(1.0, 0), Err(NoiseError::Volume(_))));
    }
}
