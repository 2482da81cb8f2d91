//! Exact confidence intervals for a proportion.

/// The confidence of intervals, of all that are looked at together: two-sided, so that each end is
/// wrong at most half as often as the rest.
pub const CONFIDENCE: f64 = 0.99;

/// From one value to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The interval of Clopper and Pearson (Biometrika 26, 1934) for the probability of what happened
/// `happened` times of `trials`. With `comparisons` like it, all cover the truth at once with at least
/// [`CONFIDENCE`], whatever it is, as each misses it that many times more rarely.
pub fn clopper_pearson(happened: u64, trials: u64, comparisons: u32) -> Interval {
    let tail = (1.0 - CONFIDENCE) / 2.0 / f64::from(comparisons.max(1));
    let (k, n) = (happened as f64, trials as f64);
    // P(X >= k) at p is the regularised incomplete beta function of k, n - k + 1 at p.
    let low =
        if happened == 0 { 0.0 } else { inverse(|p| incomplete_beta(k, n - k + 1.0, p), tail) };
    let high = if happened >= trials {
        1.0
    } else {
        inverse(|p| incomplete_beta(k + 1.0, n - k, p), 1.0 - tail)
    };
    Interval { low, high }
}

/// Where a rising function on 0..1 takes `value`.
fn inverse(rising: impl Fn(f64) -> f64, value: f64) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if rising(middle) < value {
            low = middle;
        } else {
            high = middle;
        }
    }
    0.5 * (low + high)
}

/// The regularised incomplete beta function by its continued fraction (DLMF 8.17.22), evaluated with
/// Lentz's method.
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return if x <= 0.0 { 0.0 } else { 1.0 };
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / away(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        for step in [even, odd] {
            d = 1.0 / away(1.0 + step * d);
            c = away(1.0 + step / c);
            fraction *= c * d;
        }
        if (c * d - 1.0).abs() < 1e-15 {
            break;
        }
    }
    let front = libm::lgamma(a + b) - libm::lgamma(a) - libm::lgamma(b)
        + a * libm::log(x)
        + b * libm::log1p(-x);
    libm::exp(front) * fraction / a
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
