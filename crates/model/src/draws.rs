//! Randomness of the model.

use std::f64::consts::TAU;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// Draws from a seed.
#[derive(Debug)]
pub(super) struct Draws(ChaCha8Rng);

impl Draws {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A standard normal, by Box and Muller's transform.
    pub(super) fn normal(&mut self) -> f64 {
        // Above 0, so that the logarithm is finite.
        let u = 1.0 - self.unit();
        (-2.0 * u.ln()).sqrt() * (TAU * self.unit()).cos()
    }

    /// A factor whose logarithm is normal with mean 0 and deviation `sigma`.
    pub(super) fn factor(&mut self, sigma: f64) -> f64 {
        (sigma * self.normal()).exp()
    }

    /// By how much a number of things that falls by chance differs from the `expected` one, as a
    /// factor: the normal approximation of a binomial with many rare chances.
    pub(super) fn share(&mut self, expected: f64) -> f64 {
        if expected <= 0.0 {
            return 1.0;
        }
        (1.0 + self.normal() / expected.sqrt()).max(0.0)
    }

    /// From 0 to below 1.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}
