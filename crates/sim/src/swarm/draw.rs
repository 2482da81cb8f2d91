//! Choices of all kinds from one generator.

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

/// A source of choices.
#[derive(Clone, Debug)]
pub(super) struct Draw(ChaCha20Rng);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha20Rng::seed_from_u64(seed))
    }

    /// A number below `bound`.
    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.0.next_u64() % bound.max(1) as u64) as usize
    }

    /// A number from `least` to `most`.
    pub(super) fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.0.next_u64() % (most - least + 1)
    }

    /// Yes, with a chance of so many in a hundred.
    pub(super) fn chance(&mut self, percent: u32) -> bool {
        self.0.next_u32() % 100 < percent
    }

    /// Draws one of `of`, each as likely as the others.
    pub(super) fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// A seed for something else.
    pub(super) fn seed(&mut self) -> u64 {
        self.0.next_u64()
    }
}
