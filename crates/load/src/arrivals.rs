//! When in a round's submission window clients hand in their onions.

use std::str::FromStr;
use std::time::Duration;

use rand::Rng;
use rand_distr::{Distribution as _, Exp, Normal, Uniform};

/// The share of the time for which a round is open over which clients arrive: what is left is for the
/// links, so that the harness is not late by its own doing.
pub const WINDOW_SHARE: f64 = 0.8;

/// Pattern in which clients' onions are spread over a round's submission window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// All as soon as the round opens.
    AtOnce,
    /// Evenly over the window.
    Uniform,
    /// Most early: exponential, with a mean of a fifth of the window.
    Exponential,
    /// Around the middle: normal, with a standard deviation of a sixth of the window.
    Normal,
}

/// Text that names no pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("give at-once, uniform, exponential or normal")]
pub struct ArrivalsError;

impl FromStr for Arrivals {
    type Err = ArrivalsError;

    fn from_str(text: &str) -> Result<Self, ArrivalsError> {
        Self::ALL.into_iter().find(|arrivals| arrivals.name() == text).ok_or(ArrivalsError)
    }
}

impl Arrivals {
    /// All patterns, in the order in which help lists them.
    pub const ALL: [Self; 4] = [Self::AtOnce, Self::Uniform, Self::Exponential, Self::Normal];

    /// The pattern's name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtOnce => "at-once",
            Self::Uniform => "uniform",
            Self::Exponential => "exponential",
            Self::Normal => "normal",
        }
    }

    /// Draws the time from the opening of a round, open for `open`, at which one client's onions leave. Never
    /// later than [`WINDOW_SHARE`] of it.
    pub fn draw(self, open: Duration, rng: &mut impl Rng) -> Duration {
        // The parameters are finite and positive, so that every distribution exists.
        let at: f64 = match self {
            Self::AtOnce => 0.0,
            Self::Uniform => Uniform::new(0.0, 1.0).map_or(0.0, |all| all.sample(rng)),
            Self::Exponential => Exp::new(5.0).map_or(0.0, |early| early.sample(rng)),
            Self::Normal => Normal::new(0.5, 1.0 / 6.0).map_or(0.0, |middle| middle.sample(rng)),
        };
        open.mul_f64(at.clamp(0.0, 1.0) * WINDOW_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn every_pattern_keeps_to_the_window_and_to_its_mean() {
        let open = Duration::from_secs(10);
        for (arrivals, mean) in [
            (Arrivals::AtOnce, 0.0),
            (Arrivals::Uniform, 4.0),
            // The tail beyond the window is cut off to its end.
            (Arrivals::Exponential, 8.0 * 0.2 * (1.0 - (-5.0_f64).exp())),
            (Arrivals::Normal, 4.0),
        ] {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            let draws: Vec<_> = (0..20_000).map(|_| arrivals.draw(open, &mut rng)).collect();
            assert!(draws.iter().all(|at| *at <= open.mul_f64(WINDOW_SHARE)), "{arrivals:?}");
            let found = draws.iter().map(Duration::as_secs_f64).sum::<f64>() / 20_000.0;
            // Six standard errors of the widest.
            assert!((found - mean).abs() < 6.0 * 2.31 / 20_000_f64.sqrt(), "{arrivals:?}: {found}");
        }
    }

    #[test]
    fn names_are_read_back() {
        for arrivals in Arrivals::ALL {
            assert_eq!(arrivals.name().parse(), Ok(arrivals));
        }
        assert!("poisson".parse::<Arrivals>().unwrap_err().to_string().contains("normal"));
    }
}
