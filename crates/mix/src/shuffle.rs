//! The permutation that hides which onion is which.

use rand::CryptoRng;
use rand::seq::SliceRandom as _;

/// Shuffles `items`: every order is equally likely, if `rng` is uniform.
pub fn shuffle<T>(items: &mut [T], rng: &mut impl CryptoRng) {
    items.shuffle(rng);
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn a_shuffle_is_uniform() {
        let mut rng = ChaCha20Rng::seed_from_u64(2);
        let mut seen = [0u32; 24];
        for _ in 0..24_000 {
            let mut items = [0, 1, 2, 3];
            shuffle(&mut items, &mut rng);
            let lehmer = |i: usize| items[i + 1..].iter().filter(|&&item| item < items[i]).count();
            seen[6 * lehmer(0) + 2 * lehmer(1) + lehmer(2)] += 1;
        }
        // Chi-square with 23 degrees of freedom.
        let chi: f64 = seen.iter().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 60.0, "chi-square {chi}");
    }
}
