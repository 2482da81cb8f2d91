//! Waits between attempts, which grow as attempts fail.

use std::time::Duration;

use rand::Rng;

/// The waits between attempts of one kind: each twice as long as the one before, up to a longest, and
/// half of each random, so that those who lost the same peer do not come back together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// The first wait.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
}

impl Waits {
    /// The wait after one more failure than the `failures` before it.
    pub fn after(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let whole = self.first.saturating_mul(2_u32.saturating_pow(failures)).min(self.longest);
        whole.mul_f64(0.5 + 0.5 * f64::from(rng.next_u32()) / f64::from(u32::MAX))
    }
}

/// Waits between attempts, and how many have failed in a row.
#[derive(Clone, Debug)]
pub struct Backoff {
    waits: Waits,
    failures: u32,
}

impl Backoff {
    /// No attempt has failed yet.
    pub const fn new(waits: Waits) -> Self {
        Self { waits, failures: 0 }
    }

    /// The wait after one more failure, which is counted.
    pub fn next_wait(&mut self, rng: &mut impl Rng) -> Duration {
        let wait = self.waits.after(self.failures, rng);
        self.failures = self.failures.saturating_add(1);
        wait
    }

    /// A link was up for `lived`: one that lasted longer than the longest wait starts the waits from
    /// the first again.
    pub fn link_lived(&mut self, lived: Duration) {
        if lived > self.waits.longest {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    const WAITS: Waits =
        Waits { first: Duration::from_millis(500), longest: Duration::from_secs(30) };

    #[test]
    fn waits_grow_up_to_the_longest_and_differ() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (failures, longest) in [(0, 500), (3, 4000), (6, 30_000), (u32::MAX, 30_000)] {
            let longest = Duration::from_millis(longest);
            let (a, b) = (WAITS.after(failures, &mut rng), WAITS.after(failures, &mut rng));
            assert!(a != b && a.min(b) >= longest / 2 && a.max(b) <= longest);
        }
    }

    #[test]
    fn a_link_that_lasted_starts_the_waits_again_and_one_that_did_not_leaves_them() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut backoff = Backoff::new(WAITS);
        assert!((WAITS.first / 2..=WAITS.first).contains(&backoff.next_wait(&mut rng)));
        for _ in 0..40 {
            assert!(backoff.next_wait(&mut rng) <= WAITS.longest);
        }
        backoff.link_lived(WAITS.longest);
        assert!(backoff.next_wait(&mut rng) >= WAITS.longest / 2);
        backoff.link_lived(WAITS.longest * 2);
        assert!(backoff.next_wait(&mut rng) <= WAITS.first);
    }
}
