//! Exact confidence intervals for a proportion.

use statrs::distribution::{Beta, ContinuousCDF as _};

/// The confidence of intervals, of all that are looked at together: two-sided, so that each end is
/// wrong at most half as often as the rest.
pub const CONFIDENCE: f64 = 0.99;

/// From one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// The interval of Clopper and Pearson (Biometrika 26, 1934) for the probability of what happened
/// `happened` times of `trials`. With `comparisons` like it, all cover the truth at once with at least
/// [`CONFIDENCE`], whatever it is, as each misses it that many times more rarely.
pub fn clopper_pearson(happened: u64, trials: u64, comparisons: u32) -> Interval {
    let tail = (1.0 - CONFIDENCE) / 2.0 / f64::from(comparisons.max(1));
    let (k, n) = (happened as f64, trials as f64);
    // P(X >= k) at p is the distribution function of a beta distribution of k, n - k + 1 at p.
    let quantile = |a: f64, b: f64, at: f64| {
        Beta::new(a, b).expect("both shapes are counts from one").inverse_cdf(at)
    };
    let low = if happened == 0 { 0.0 } else { quantile(k, n - k + 1.0, tail) };
    let high = if happened >= trials { 1.0 } else { quantile(k + 1.0, n - k, 1.0 - tail) };
    Interval { low, high }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tails_are_those_of_the_binomial() {
        // By summing the binomial, for 8 of 20.
        let Interval { low, high } = clopper_pearson(8, 20, 1);
        let mass = |k: i32, p: f64| {
            let choose = (1..=k).fold(1.0, |c, i| c * f64::from(21 - i) / f64::from(i));
            choose * p.powi(k) * (1.0 - p).powi(20 - k)
        };
        let above: f64 = (8..=20).map(|k| mass(k, low)).sum();
        let below: f64 = (0..=8).map(|k| mass(k, high)).sum();
        assert!((above - 0.005).abs() < 1e-9 && (below - 0.005).abs() < 1e-9, "{above} {below}");
    }

    #[test]
    fn the_ends_are_closed_and_large_counts_are_normal() {
        assert_eq!(clopper_pearson(0, 10, 1).low, 0.0);
        assert_eq!(clopper_pearson(10, 10, 1).high, 1.0);
        let Interval { low, high } = clopper_pearson(500_000, 1_000_000, 1);
        let expected = 2.575_829 * 0.0005;
        assert!(((high - 0.5) / expected - 1.0).abs() < 0.01, "{high}");
        assert!(((0.5 - low) / expected - 1.0).abs() < 0.01, "{low}");
    }
}
