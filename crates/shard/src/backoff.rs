//! Waits between attempts to open a link.

use std::time::Duration;

use rand::Rng;

/// The first wait. Short: when an epoch begins, a peer may learn of us a moment after we dial it.
const FIRST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(5);

/// Doubling waits, of each of which half is random, so that many shards do not dial at once.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The wait after one more failure.
    pub(crate) fn next_wait(&mut self, rng: &mut impl Rng) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        whole.mul_f64(0.5 + 0.5 * f64::from(rng.next_u32()) / f64::from(u32::MAX))
    }

    /// A link was up for `lived`: one that lasted starts the waits from the first again.
    pub(crate) fn link_lived(&mut self, lived: Duration) {
        if lived > LONGEST {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use antiphon_process::entropy::entropy;

    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_start_again() {
        let mut backoff = Backoff::default();
        let mut rng = entropy();
        assert!((FIRST / 2..=FIRST).contains(&backoff.next_wait(&mut rng)));
        for _ in 0..40 {
            assert!(backoff.next_wait(&mut rng) <= LONGEST);
        }
        assert!(backoff.next_wait(&mut rng) >= LONGEST / 2);
        backoff.link_lived(LONGEST * 2);
        assert!(backoff.next_wait(&mut rng) <= FIRST);
    }
}
