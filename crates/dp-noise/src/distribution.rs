//! The number of pairs among a shard's noise deposits: a discrete Gaussian, cut at both ends.

use core::fmt;

use thiserror::Error;

/// The largest volume a shard may add in a round; bounds tables and the accountant's work.
pub const MAX_VOLUME: u32 = 1 << 15;

/// The largest volume that an account can be of, and no document.
pub const MAX_ACCOUNTED_VOLUME: u32 = 1 << 21;

/// A Gaussian width in units of 1/1024 pair. An integer, because it travels in signed documents.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sigma(u32);

/// The distribution of the number of pairs in one shard's noise.
///
/// With volume V: P(x) is proportional to exp(-(x - V/4)^2 / (2 sigma^2)) for x in 0..=V/2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PairDistribution {
    volume: u32,
    sigma: Sigma,
}

/// Reason why a volume or a width is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum DistributionError {
    /// The volume is no multiple of four, zero, or above [`MAX_VOLUME`].
    #[error("noise volume must be a multiple of 4 between 4 and {MAX_VOLUME}, got {0}")]
    Volume(u32),
    /// The volume of an account is no multiple of four, zero, or above [`MAX_ACCOUNTED_VOLUME`].
    #[error("noise volume must be a multiple of 4 between 4 and {MAX_ACCOUNTED_VOLUME}, got {0}")]
    AccountedVolume(u32),
    /// The width lies outside [`Sigma::MIN`]..=[`Sigma::MAX`].
    #[error("sigma must lie between {min} and {max} (in 1/1024 pairs), got {0}",
        min = Sigma::MIN.units(), max = Sigma::MAX.units())]
    Sigma(u32),
}

impl Sigma {
    /// Units in one pair.
    pub const UNITS_PER_PAIR: u32 = 1024;
    /// The least width: 1/16 pair.
    pub const MIN: Self = Self(64);
    /// The greatest width: a sixteenth of [`MAX_VOLUME`].
    pub const MAX: Self = Self((MAX_VOLUME / 16) * Self::UNITS_PER_PAIR);

    /// The greatest width that an account can be of, and no document: 65,536 pairs.
    pub const MAX_ACCOUNTED: Self = Self((1 << 16) * Self::UNITS_PER_PAIR);

    /// A width of noise that is computed with, and that no document holds, in 1/1024 pair.
    ///
    /// # Errors
    /// [`DistributionError::Sigma`] outside [`Self::MIN`]..=[`Self::MAX_ACCOUNTED`].
    pub const fn accounted(units: u32) -> Result<Self, DistributionError> {
        if units < Self::MIN.0 || units > Self::MAX_ACCOUNTED.0 {
            return Err(DistributionError::Sigma(units));
        }
        Ok(Self(units))
    }

    /// A width from its fixed-point form, in 1/1024 pair.
    ///
    /// # Errors
    /// [`DistributionError::Sigma`] if it is out of range.
    pub const fn from_units(units: u32) -> Result<Self, DistributionError> {
        if units < Self::MIN.0 || units > Self::MAX.0 {
            return Err(DistributionError::Sigma(units));
        }
        Ok(Self(units))
    }

    /// The fixed-point form, in 1/1024 pair.
    #[must_use]
    pub const fn units(self) -> u32 {
        self.0
    }

    /// The width in pairs, exactly.
    #[must_use]
    pub fn pairs(self) -> f64 {
        f64::from(self.0) / f64::from(Self::UNITS_PER_PAIR)
    }
}

impl fmt::Display for Sigma {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.pairs())
    }
}

impl PairDistribution {
    /// The distribution for `volume` noise deposits a round, paired with width `sigma`.
    ///
    /// # Errors
    /// [`DistributionError::Volume`] if the volume is out of range or no multiple of four;
    /// [`DistributionError::Sigma`] for a width that no document holds.
    pub const fn new(volume: u32, sigma: Sigma) -> Result<Self, DistributionError> {
        if volume == 0 || volume > MAX_VOLUME || !volume.is_multiple_of(4) {
            return Err(DistributionError::Volume(volume));
        }
        if sigma.0 > Sigma::MAX.0 {
            return Err(DistributionError::Sigma(sigma.0));
        }
        Ok(Self { volume, sigma })
    }

    /// The distribution of noise that is computed with, and that no document holds.
    ///
    /// # Errors
    /// [`DistributionError::AccountedVolume`] if the volume is out of range or no multiple of four.
    pub const fn accounted(volume: u32, sigma: Sigma) -> Result<Self, DistributionError> {
        if volume == 0 || volume > MAX_ACCOUNTED_VOLUME || !volume.is_multiple_of(4) {
            return Err(DistributionError::AccountedVolume(volume));
        }
        Ok(Self { volume, sigma })
    }

    /// Returns `true` if a document can hold it.
    #[must_use]
    pub const fn is_for_documents(self) -> bool {
        self.volume <= MAX_VOLUME && self.sigma.0 <= Sigma::MAX.0
    }

    /// Noise deposits a round, paired or not.
    #[must_use]
    pub const fn volume(self) -> u32 {
        self.volume
    }

    /// The width before the cut, in 1/1024 pair.
    #[must_use]
    pub const fn sigma(self) -> Sigma {
        self.sigma
    }

    /// The most pairs that a round can hold: half the volume.
    #[must_use]
    pub const fn pairs_max(self) -> u32 {
        self.volume / 2
    }

    /// The mean number of pairs, an integer: a quarter of the volume.
    #[must_use]
    pub const fn centre(self) -> u32 {
        self.volume / 4
    }

    /// Returns `true` if the cut lies at four sigma or beyond.
    #[must_use]
    pub const fn cut_beyond_four_sigma(self) -> bool {
        // V/4 >= 4 sigma, in units of 1/1024.
        self.volume as u64 * (Sigma::UNITS_PER_PAIR as u64) >= 16 * self.sigma.0 as u64
    }

    /// P(0), P(1), ... P(pairs_max), each to a few units in the last place, symmetric to the bit
    /// and the same on every machine.
    #[must_use]
    pub fn pmf(self) -> Vec<f64> {
        let centre = self.centre();
        let sigma = self.sigma.pairs();
        let weights: Vec<f64> = (0..=centre)
            .rev()
            .map(|distance| {
                let z = f64::from(distance) / sigma;
                libm::exp(-0.5 * z * z)
            })
            .collect();
        // The last weight is the centre's; all others occur twice. Smallest first.
        let (tail, middle) = weights.split_at(weights.len() - 1);
        let total = 2.0 * tail.iter().sum::<f64>() + middle.iter().sum::<f64>();
        weights.iter().chain(tail.iter().rev()).map(|weight| weight / total).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dist(volume: u32, units: u32) -> PairDistribution {
        PairDistribution::new(volume, Sigma::from_units(units).unwrap()).unwrap()
    }

    #[test]
    fn volumes_and_widths_out_of_range_are_refused() {
        for volume in [0, 2, 6, 302, MAX_VOLUME + 4] {
            assert_eq!(
                PairDistribution::new(volume, Sigma::MIN),
                Err(DistributionError::Volume(volume))
            );
        }
        assert!(Sigma::from_units(63).is_err());
        assert!(Sigma::from_units(Sigma::MAX.units() + 1).is_err());
    }

    #[test]
    fn accounts_go_further_than_documents() {
        let wide = Sigma::accounted(Sigma::MAX.units() + 1).unwrap();
        assert!(PairDistribution::new(MAX_VOLUME, wide).is_err());
        assert!(!PairDistribution::accounted(MAX_VOLUME, wide).unwrap().is_for_documents());
        assert!(PairDistribution::accounted(MAX_VOLUME, Sigma::MAX).unwrap().is_for_documents());
        assert!(Sigma::accounted(Sigma::MAX_ACCOUNTED.units() + 1).is_err());
        for volume in [0, 6, MAX_ACCOUNTED_VOLUME + 4] {
            assert!(PairDistribution::accounted(volume, wide).is_err());
        }
    }

    #[test]
    fn the_mass_is_one_symmetric_and_of_the_stated_width() {
        for d in [dist(304, 19_302), dist(12, 614), dist(1616, 103_219), dist(4, 64)] {
            let pmf = d.pmf();
            assert_eq!(pmf.len(), d.pairs_max() as usize + 1);
            assert!((pmf.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(pmf.iter().eq(pmf.iter().rev()));
        }
        let d = dist(304, 19_302);
        let variance: f64 = d
            .pmf()
            .iter()
            .zip(0_u32..)
            .map(|(p, x)| p * (f64::from(x) - f64::from(d.centre())).powi(2))
            .sum();
        // The cut at four sigma takes about a thousandth off the variance.
        assert!((variance.sqrt() / d.sigma().pairs() - 1.0).abs() < 1e-3);
    }

    #[test]
    fn the_cut_is_compared_exactly() {
        assert!(dist(304, 304 * 64).cut_beyond_four_sigma());
        assert!(!dist(304, 304 * 64 + 1).cut_beyond_four_sigma());
    }
}
