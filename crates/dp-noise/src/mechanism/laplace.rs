//! Laplace noise, as in Vuvuzela (van den Hooff, Lazar, Zaharia and Zeldovich, SOSP 2015).

use super::{MechanismError, within};
use crate::honest_sum::HonestSum;

/// One shard's noise: ceil(max(0, Laplace(mu, b))) singles and, independently,
/// ceil(max(0, Laplace(mu/2, b/2))) pairs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaplaceNoise {
    mean: f64,
    scale: f64,
}

/// The upper tail from which the distribution is cut off and counted as lost.
const TAIL: f64 = 1e-24;

impl LaplaceNoise {
    /// Noise around `mean` (mu) singles and half as many pairs, of `scale` b for the singles.
    ///
    /// # Errors
    /// [`MechanismError`] for one that is out of range; a mean of zero is allowed.
    pub fn new(mean: f64, scale: f64) -> Result<Self, MechanismError> {
        if mean != 0.0 && !within(mean, MechanismError::MOST_MEAN) {
            return Err(MechanismError::Mean(mean));
        }
        if !within(scale, MechanismError::MOST_SCALE) {
            return Err(MechanismError::Scale(scale));
        }
        Ok(Self { mean, scale })
    }

    /// Noise deposits of one shard, on average.
    #[must_use]
    pub fn volume(self) -> f64 {
        average(self.mean, self.scale) + 2.0 * average(self.mean / 2.0, self.scale / 2.0)
    }

    /// The (epsilon, delta) that Vuvuzela's theorem 1 gives one such shard for one round, when
    /// singles move by two and pairs by one: 4/b and exp((2 - mu)/b).
    #[must_use]
    pub fn vuvuzela_bound(self) -> (f64, f64) {
        (4.0 / self.scale, libm::exp((2.0 - self.mean) / self.scale).min(1.0))
    }

    pub(super) fn singles(self) -> HonestSum {
        rounded_up(self.mean, self.scale)
    }

    pub(super) fn pairs(self) -> HonestSum {
        rounded_up(self.mean / 2.0, self.scale / 2.0)
    }
}

/// The distribution of ceil(max(0, Laplace(mean, scale))).
fn rounded_up(mean: f64, scale: f64) -> HonestSum {
    let step = -libm::expm1(-1.0 / scale);
    let below = |x: f64| 0.5 * libm::exp((x - mean) / scale);
    let above = |x: f64| 0.5 * libm::exp((mean - x) / scale);
    let mut pmf = vec![if mean > 0.0 { below(0.0) } else { 1.0 - above(0.0) }];
    let mut n = 0.0;
    // The probability of lying between n and n + 1, without subtracting nearly equal numbers.
    while n < mean || above(n) > TAIL {
        pmf.push(if n + 1.0 <= mean {
            below(n + 1.0) * step
        } else if n >= mean {
            above(n) * step
        } else {
            1.0 - below(n) - above(n + 1.0)
        });
        n += 1.0;
    }
    HonestSum { pmf, lost: above(n) }.trimmed()
}

/// The mean of [`rounded_up`].
fn average(mean: f64, scale: f64) -> f64 {
    // The sum over n >= 0 of P(Laplace > n): geometric beyond the mean, one less the lower tail
    // before it.
    let ratio = libm::exp(-1.0 / scale);
    let first_beyond = mean.ceil();
    let beyond = 0.5 * libm::exp((mean - first_beyond) / scale) / (1.0 - ratio);
    let lower = if first_beyond > 0.0 {
        let nearest = 0.5 * libm::exp((first_beyond - 1.0 - mean) / scale);
        nearest * (1.0 - libm::pow(ratio, first_beyond)) / (1.0 - ratio)
    } else {
        0.0
    };
    first_beyond - lower + beyond
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mass_is_one_and_the_mean_as_computed() {
        for (mean, scale) in [(0.0, 1.0), (3.4, 0.7), (50.0, 10.0), (10.0, 30.0), (0.2, 0.01)] {
            let sum = rounded_up(mean, scale);
            let total: f64 = sum.pmf.iter().sum();
            assert!((total - 1.0).abs() < 1e-12, "{mean}, {scale}: {total}");
            if sum.pmf.len() > 1 {
                let average_of: f64 = sum.pmf.iter().enumerate().map(|(x, p)| x as f64 * p).sum();
                // Trimming may have moved the first entry, unless the lower tail shows.
                if 0.5 * libm::exp(-mean / scale) > 1e-6 {
                    assert!((average_of - average(mean, scale)).abs() < 1e-9);
                }
            }
        }
    }

    #[test]
    fn neighbouring_probabilities_differ_by_the_scale() {
        let sum = rounded_up(40.0, 5.0);
        for pair in sum.pmf[1..].windows(2) {
            assert!((libm::log(pair[0] / pair[1])).abs() < 0.2 + 1e-12);
        }
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        for value in [-1.0, f64::NAN, 1e7] {
            assert!(LaplaceNoise::new(value, 1.0).is_err());
            assert!(LaplaceNoise::new(1.0, value).is_err());
        }
        assert!(LaplaceNoise::new(0.0, 1.0).is_ok());
        assert!(LaplaceNoise::new(1.0, 0.0).is_err());
    }
}
