//! Exactly uniform numbers below a bound, by rejection.

/// Draws numbers below a fixed bound from uniform 64-bit words (Lemire, "Fast random integer
/// generation in an interval", 2019).
#[derive(Clone, Copy, Debug)]
pub(super) struct Below {
    bound: u64,
    /// 2^64 mod bound: as many of the products' lower halves are refused, which leaves every
    /// number equally many words.
    refused: u64,
}

impl Below {
    /// `None` if `bound` is 0.
    pub(super) const fn new(bound: u64) -> Option<Self> {
        if bound == 0 {
            return None;
        }
        Some(Self { bound, refused: bound.wrapping_neg() % bound })
    }

    /// A number below the bound, from as many words as it takes: nearly always one.
    pub(super) fn draw(self, word: &mut impl FnMut() -> u64) -> u64 {
        loop {
            let product = u128::from(word()) * u128::from(self.bound);
            if product as u64 >= self.refused {
                return (product >> 64) as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_words_are_drawn_again() {
        // 2^64 mod 3 is 1: of all words only 0 has a lower half below it.
        let mut words = [0, 0, u64::MAX].into_iter();
        assert_eq!(Below::new(3).unwrap().draw(&mut || words.next().unwrap()), 2);
        assert_eq!(words.next(), None);
    }

    #[test]
    fn a_bound_of_more_than_half_the_words_is_still_exact() {
        // Every result must come from exactly one word: those just past a refusal.
        let below = Below::new((1 << 63) + 1).unwrap();
        assert_eq!(below.refused, (1 << 63) - 1);
        assert!(Below::new(0).is_none());
        let mut words = [1, u64::MAX].into_iter();
        assert_eq!(below.draw(&mut || words.next().unwrap()), 0);
    }
}
