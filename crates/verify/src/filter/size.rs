//! The size of a filter, its fullest accepted state, and its rate of false positives then.

/// 36 (1/2 - (1 + ln 2) / 4) = 36 * 0.0767132, rounded up: six standard deviations, squared, of
/// the number of ones, per bit of the filter. In millionths.
const SQUARED_EXCESS_PPM: u128 = 2_761_676;
/// The same as a number.
const SQUARED_EXCESS_PER_BIT: f64 = 2.761_676;

/// The precision of an epoch's filters: an onion that is not in a half-full filter passes with
/// probability 2^-k, and k is also the number of bits that each onion sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilterPrecision(u8);

impl FilterPrecision {
    /// The largest precision, 2^-32.
    pub const MOST: u8 = 32;

    /// A false-positive rate of 2^-`k`, or `None` unless `k` is in 1..=32.
    pub const fn new(k: u8) -> Option<Self> {
        if k >= 1 && k <= Self::MOST { Some(Self(k)) } else { None }
    }

    /// k, the number of bits that each onion sets.
    pub const fn hashes(self) -> u8 {
        self.0
    }
}

impl Default for FilterPrecision {
    /// 2^-20, about 29 bits per onion.
    fn default() -> Self {
        Self(20)
    }
}

/// Bytes of the filter of `onions` onions: n k / ln 2 bits, rounded up to a multiple of 64, so
/// that at most half of them are expected to be set. None at all for no onions.
pub const fn filter_bytes(onions: u32, precision: FilterPrecision) -> u64 {
    // 2^32 / ln 2, rounded up: integers, so that everyone agrees.
    const INVERSE_LN_2: u128 = 6_196_328_019;
    // Below 2^32 * 32 * 2^33 = 2^70, and the quotient below 2^38.
    let scaled = onions as u128 * precision.0 as u128 * INVERSE_LN_2;
    scaled.div_ceil(1 << 32).div_ceil(64) as u64 * 8
}

/// The most ones accepted in a filter of `onions` onions: half of the m bits plus six standard
/// deviations, and never more than n k.
///
/// The ones of an honest filter are the occupied bins after n k balls fell into m = n k / ln 2
/// bins. Their variance is m (e^-c - (1+c) e^-2c) with c = n k / m = ln 2, that is
/// m (1/2 - (1 + ln 2) / 4) = 0.0767 m, far less than the m/4 of independent bits because the
/// number of balls is fixed. (A rounded-up m makes mean and variance smaller still.) The number is
/// a sum of independent indicators, so an honest filter is refused about once in 10^9.
pub const fn most_ones_accepted(onions: u32, precision: FilterPrecision) -> u64 {
    let bits = filter_bytes(onions, precision) * 8;
    let squared = (bits as u128 * SQUARED_EXCESS_PPM).div_ceil(1_000_000);
    let plausible = bits / 2 + squared.isqrt() as u64 + 1;
    let set = onions as u64 * precision.0 as u64;
    if set < plausible { set } else { plausible }
}

/// A bound on the probability that an onion left out passes in the fullest filter accepted for
/// `onions` onions: what the accountant adds per checked onion.
///
/// It holds however the sender places its ones, because an onion's positions are independent. It
/// never grows with `onions`, so call it with the fewest that a filter can hold: the noise that is
/// certain to arrive.
pub fn false_positive_at_worst_fill(onions: u32, precision: FilterPrecision) -> f64 {
    if onions == 0 {
        return 0.0;
    }
    let bits = (filter_bytes(onions, precision) * 8) as f64;
    // At least `most_ones_accepted`, without its rounding and its small cases: those jitter.
    let ones = bits / 2.0 + libm::sqrt(SQUARED_EXCESS_PER_BIT * bits) + 2.0;
    // A position is one given bit with probability at most 1/m + 2^-64.
    let chance = ones * (1.0 / bits + libm::exp2(-64.0));
    libm::pow(chance.min(1.0), f64::from(precision.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_take_about_29_bits_per_onion() {
        let precision = FilterPrecision::default();
        assert_eq!(filter_bytes(0, precision), 0);
        assert_eq!(filter_bytes(1, precision), 8);
        // 28.853900817... bits each.
        assert_eq!(filter_bytes(1_000_000, precision) * 8, 28_853_952);
        assert_eq!(filter_bytes(u32::MAX, precision) % 8, 0);
    }

    #[test]
    fn at_most_half_of_the_bits_are_expected_to_be_set() {
        for k in [1, 8, 20, 32] {
            let precision = FilterPrecision::new(k).unwrap();
            for onions in (1..5000).chain([100_000, 10_000_000, u32::MAX]) {
                let bits = (filter_bytes(onions, precision) * 8) as f64;
                let balls = f64::from(onions) * f64::from(k);
                let empty = libm::exp(balls * libm::log1p(-1.0 / bits));
                assert!(empty > 0.5 - 1.0 / bits, "k={k} n={onions}: {empty}");
            }
        }
    }

    #[test]
    fn the_worst_rate_is_near_the_nominal_one_for_many_onions() {
        let precision = FilterPrecision::default();
        let nominal = 1.0 / f64::from(1 << 20);
        let at = |onions| false_positive_at_worst_fill(onions, precision) / nominal;
        assert!((1.0..1.05).contains(&at(1_000_000)), "{}", at(1_000_000));
        assert!((1.0..1.6).contains(&at(1000)), "{}", at(1000));
        assert_eq!(at(0), 0.0);
    }

    #[test]
    fn the_worst_rate_covers_what_is_accepted_and_never_grows() {
        for k in [1, 8, 20, 32] {
            let precision = FilterPrecision::new(k).unwrap();
            let mut last = 1.0;
            for onions in (1..5000).chain([100_000, 10_000_000]) {
                let ones = most_ones_accepted(onions, precision) as f64;
                let fill = ones / (filter_bytes(onions, precision) * 8) as f64;
                let rate = false_positive_at_worst_fill(onions, precision);
                assert!(rate >= libm::pow(fill, f64::from(k)), "k={k} n={onions}");
                assert!(rate <= last, "k={k} n={onions}");
                last = rate;
            }
        }
    }

    #[test]
    fn precisions_outside_the_digest_are_refused() {
        assert_eq!(FilterPrecision::new(0), None);
        assert_eq!(FilterPrecision::new(33), None);
        assert_eq!(FilterPrecision::new(20), Some(FilterPrecision::default()));
    }
}
