//! How long to wait before trying again.

use std::time::Duration;

use rand::{Rng, RngExt as _};

/// The longest first wait.
const FIRST: Duration = Duration::from_millis(500);
/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

/// The wait after `failures` failures in a row: twice as long after each, and at random between half
/// of it and all of it, so that clients that lost the same gateway do not come back together.
pub(crate) fn wait(failures: u32, rng: &mut impl Rng) -> Duration {
    let doubled = FIRST.saturating_mul(2_u32.saturating_pow(failures)).min(LONGEST);
    doubled.mul_f64(rng.random_range(0.5..1.0))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn waits_grow_up_to_the_longest_and_differ() {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        for (failures, longest) in [(0, 500), (3, 4000), (6, 30_000), (u32::MAX, 30_000)] {
            let longest = Duration::from_millis(longest);
            let (a, b) = (wait(failures, &mut rng), wait(failures, &mut rng));
            assert!(a != b && a.min(b) >= longest / 2 && a.max(b) <= longest);
        }
    }
}
