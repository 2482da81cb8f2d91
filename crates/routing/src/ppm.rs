//! Exact fractions, as whole parts per million.

use std::fmt;

/// A fraction between 0 and 1 in parts per million: exact, so that everyone who recomputes a
/// plan from it gets the same plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ppm(u32);

impl Ppm {
    /// Parts in a whole, a million.
    pub const WHOLE: u32 = 1_000_000;

    /// `parts` millionths, or `None` if that is more than a whole.
    pub const fn new(parts: u32) -> Option<Self> {
        if parts <= Self::WHOLE { Some(Self(parts)) } else { None }
    }

    /// The fraction in millionths, 0..=1,000,000.
    pub const fn parts(self) -> u32 {
        self.0
    }

    /// The fraction as the nearest floating-point number.
    pub fn as_f64(self) -> f64 {
        f64::from(self.0) / f64::from(Self::WHOLE)
    }

    /// Returns `true` if `part` is more than this fraction of `whole`. Exact.
    pub const fn exceeded_by(self, part: u64, whole: u64) -> bool {
        part as u128 * Self::WHOLE as u128 > whole as u128 * self.0 as u128
    }

    /// This fraction of `total`, as a fraction of the part of it that is `present`, rounded up:
    /// an epoch's effective `f` when operators are absent. `None` if it would exceed a whole.
    pub fn over_present(self, total: u64, present: u64) -> Option<Self> {
        if present == 0 {
            return None;
        }
        let parts = (u128::from(self.0) * u128::from(total)).div_ceil(u128::from(present));
        u32::try_from(parts).ok().and_then(Self::new)
    }
}

impl fmt::Display for Ppm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = format!("{}.{:06}", self.0 / Self::WHOLE, self.0 % Self::WHOLE);
        f.write_str(digits.trim_end_matches('0').trim_end_matches('.'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_operators_raise_the_effective_fraction() {
        let f = Ppm::new(200_000).unwrap();
        assert_eq!(f.over_present(5, 4), Ppm::new(250_000));
        assert_eq!(f.over_present(7, 6), Ppm::new(233_334), "rounded up");
        assert_eq!(f.over_present(5, 5), Some(f));
        assert_eq!(f.over_present(5, 1), Ppm::new(Ppm::WHOLE));
        assert_eq!(f.over_present(6, 1), None);
        assert_eq!(f.over_present(5, 0), None);
    }

    #[test]
    fn exceeding_is_strict_and_exact() {
        let f = Ppm::new(200_000).unwrap();
        assert!(!f.exceeded_by(1, 5));
        assert!(f.exceeded_by(2, 9));
        assert!(!f.exceeded_by(u64::MAX / 5, u64::MAX));
        assert!(f.exceeded_by(u64::MAX / 5 + 1, u64::MAX));
    }

    #[test]
    fn fractions_print_as_decimals() {
        assert_eq!(Ppm::new(200_000).unwrap().to_string(), "0.2");
        assert_eq!(Ppm::new(233_334).unwrap().to_string(), "0.233334");
        assert_eq!(Ppm::new(0).unwrap().to_string(), "0");
        assert_eq!(Ppm::new(Ppm::WHOLE).unwrap().to_string(), "1");
        assert_eq!(Ppm::new(Ppm::WHOLE + 1), None);
    }
}
