//! Poisson noise, as in Stadium (Tyagi, Gilad, Leung, Zaharia and Zeldovich, SOSP 2017).

use super::{MechanismError, within};
use crate::honest_sum::HonestSum;

/// One shard's noise: a Poisson number of singles and, independently, one of pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoissonNoise {
    singles: f64,
    pairs: f64,
}

/// Weights below this, where the greatest is one, are left out and counted as lost.
const LEAST_WEIGHT: f64 = 1e-40;

impl PoissonNoise {
    /// Noise of so many singles and pairs on average.
    ///
    /// # Errors
    /// [`MechanismError::Mean`] for one that is out of range.
    pub fn new(singles: f64, pairs: f64) -> Result<Self, MechanismError> {
        for mean in [singles, pairs] {
            if !within(mean, MechanismError::MOST_MEAN) {
                return Err(MechanismError::Mean(mean));
            }
        }
        Ok(Self { singles, pairs })
    }

    /// Noise deposits of one shard, on average.
    #[must_use]
    pub fn volume(self) -> f64 {
        self.singles + 2.0 * self.pairs
    }

    /// All singles of `shards` shards: Poisson again, of the means added up.
    pub(super) fn singles(self, shards: u32) -> HonestSum {
        poisson(self.singles * f64::from(shards))
    }

    /// All pairs of `shards` shards.
    pub(super) fn pairs(self, shards: u32) -> HonestSum {
        poisson(self.pairs * f64::from(shards))
    }
}

/// The Poisson distribution by its recurrence from the mode outwards, which keeps ratios exact to
/// a few units in the last place.
fn poisson(mean: f64) -> HonestSum {
    let mode = mean.floor();
    let mut down = Vec::new();
    let (mut weight, mut x) = (1.0, mode);
    while x > 0.0 && weight > LEAST_WEIGHT {
        weight *= x / mean;
        x -= 1.0;
        down.push(weight);
    }
    let mut pmf: Vec<f64> = down.into_iter().rev().collect();
    let (mut weight, mut x) = (1.0, mode);
    while weight > LEAST_WEIGHT {
        pmf.push(weight);
        x += 1.0;
        weight *= mean / x;
    }
    let total: f64 = pmf.iter().sum();
    for p in &mut pmf {
        *p /= total;
    }
    // What was left out falls faster than geometrically: at most a few standard deviations of it.
    HonestSum { pmf, lost: LEAST_WEIGHT * (1e3 + mean) }.trimmed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_variances_are_right() {
        for mean in [0.01, 0.5, 1.0, 17.25, 4000.0] {
            let sum = poisson(mean);
            let total: f64 = sum.pmf.iter().sum();
            assert!((total - 1.0).abs() < 1e-12 && sum.lost < 1e-20);
            let at = |x: usize| x as f64;
            let centre: f64 = sum.pmf.iter().enumerate().map(|(x, p)| at(x) * p).sum();
            let variance: f64 =
                sum.pmf.iter().enumerate().map(|(x, p)| (at(x) - centre).powi(2) * p).sum();
            assert!((variance / mean - 1.0).abs() < 1e-9, "{mean}: {variance}");
        }
    }

    #[test]
    fn no_deposit_at_all_has_the_probability_exp_of_minus_the_mean() {
        let sum = poisson(0.25);
        assert!((sum.pmf[0] - libm::exp(-0.25)).abs() < 1e-15);
    }

    #[test]
    fn means_out_of_range_are_refused() {
        for mean in [0.0, -1.0, f64::NAN, 1e7] {
            assert!(PoissonNoise::new(mean, 1.0).is_err());
            assert!(PoissonNoise::new(1.0, mean).is_err());
        }
    }
}
