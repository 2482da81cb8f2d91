//! Latencies, as HDR histograms of microseconds.

use std::fmt;

use hdrhistogram::Histogram;
use serde::Serialize;

/// Significant digits that are kept of a latency.
const DIGITS: u8 = 3;
/// The longest latency told apart, in microseconds: an hour.
const LONGEST_US: u64 = 3_600_000_000;

/// Percentiles of latencies, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median latency.
    pub p50: f64,
    /// 90 % are at most this.
    pub p90: f64,
    /// 99 % are at most this.
    pub p99: f64,
    /// The longest latency.
    pub max: f64,
}

/// Histogram of latencies.
#[derive(Clone)]
pub struct Latencies(Histogram<u64>);

impl fmt::Debug for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not its counts, of which most are none.
        f.debug_tuple("Latencies").field(&self.len()).finish()
    }
}

impl Default for Latencies {
    fn default() -> Self {
        let histogram = Histogram::new_with_max(LONGEST_US, DIGITS);
        Self(histogram.expect("an hour in microseconds with three digits is a valid range"))
    }
}

impl Latencies {
    /// Adds a latency in microseconds; one of more than an hour counts as an hour.
    pub fn record_us(&mut self, micros: u64) {
        self.0.saturating_record(micros);
    }

    /// Adds all of `others`.
    pub(crate) fn add(&mut self, others: &Self) {
        // Both have the same bounds.
        let _ = self.0.add(&others.0);
    }

    /// Number of latencies.
    pub fn len(&self) -> u64 {
        self.0.len()
    }

    /// Returns `true` if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The latency that the fraction `quantile` does not exceed, in milliseconds.
    pub fn quantile_ms(&self, quantile: f64) -> f64 {
        self.0.value_at_quantile(quantile) as f64 / 1000.0
    }

    /// The usual percentiles; nothing without a latency.
    pub fn percentiles(&self) -> Option<Percentiles> {
        (!self.is_empty()).then(|| Percentiles {
            p50: self.quantile_ms(0.5),
            p90: self.quantile_ms(0.9),
            p99: self.quantile_ms(0.99),
            max: self.0.max() as f64 / 1000.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_latencies_within_three_digits() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentiles(), None);
        (1..=1000).for_each(|ms| latencies.record_us(ms * 1000));
        let found = latencies.percentiles().unwrap();
        for (found, exact) in
            [(found.p50, 500.0), (found.p90, 900.0), (found.p99, 990.0), (found.max, 1000.0)]
        {
            assert!((found - exact).abs() <= exact * 1e-3, "{found} for {exact}");
        }
        latencies.record_us(u64::MAX);
        assert!(latencies.percentiles().unwrap().max >= 3_600_000.0);
    }
}
