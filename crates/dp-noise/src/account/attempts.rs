//! Gains of an adversary that makes noise onions vanish, or leaves onions out, attempt by attempt.

use super::{AccountError, LeftOut};
use crate::composition::Repeated;
use crate::privacy_loss::PrivacyLoss;

/// Attempts to get a round opened from which onions are missing.
///
/// A missing noise onion goes unnoticed if its coin said not to check it, or if the filter where it
/// should be claims it all the same: with probability (1 + p)/2, p being the rate of false
/// positives. Coins and filters know nothing of the pairing, so a false positive is no failure of
/// its own: it makes one more onion that is as good as unchecked. All that is lost to it is counted
/// as that much less noise.
///
/// Let an attempt drop onions one after the other, as many as the adversary likes. The noise
/// among them goes unnoticed r + 1 times in a row with probability at most b^(r+1), where
/// b = e^(u/M) (1 + p)/2: the factor is for u users' onions among M, which nobody checks and which the
/// adversary may have taken for noise. That holds in each attempt whatever happened before.
/// So in A attempts the number of rounds that open with more than r deposits lost is at most
/// binomial, of A and b^(r+1), and a number is found that is exceeded with a negligible probability,
/// which goes into delta. Within these numbers the adversary has a supply of rounds, so many with
/// none lost, so many with one, and so on, K in all; and A times the loss of [`LeftOut`] for what it
/// is told by a round that opens or does not. In which order it uses them up is its choice: every
/// view is a function of independent draws from the dominating pairs, those it leaves unused included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Attempts {
    number: u32,
    unnoticed: f64,
    told: LeftOut,
}

impl Attempts {
    /// Attempts among `onions` onions that are certain, `users` of them in question, with filters that
    /// claim what they do not hold at a rate of `false_positive`.
    pub(super) fn new(
        number: u32,
        onions: u64,
        users: u32,
        false_positive: f64,
    ) -> Result<Self, AccountError> {
        let told = LeftOut::new(number, onions, users)?.with_false_positives(false_positive)?;
        Ok(Self { number, unnoticed: told.unnoticed(), told })
    }

    /// The same with another number of onions in question.
    pub(super) fn of_users(self, users: u32) -> Result<Self, AccountError> {
        let told = self.told.of_users(users)?;
        Ok(Self { number: self.number, unnoticed: told.unnoticed(), told })
    }

    /// Probability, at most, that a missing noise onion goes unnoticed.
    pub(super) fn unnoticed(self) -> f64 {
        self.unnoticed
    }

    /// The losses of `rounds` disturbed rounds and of all attempts, from those of rounds with ever
    /// more deposits missing; and the probability that it takes more or that something shows
    /// outright, some `tail` of it for the numbers of rounds.
    pub(super) fn losses(
        self,
        levels: &[(u32, PrivacyLoss)],
        rounds: u32,
        tail: f64,
    ) -> (Vec<Repeated>, f64) {
        let each = tail / levels.len().max(1) as f64;
        let mut left = rounds;
        let mut parts = vec![Repeated { loss: self.told.loss(), times: self.number }];
        let mut failing = tail;
        // How many rounds of this level or worse are expected at most.
        let (mut expected, mut outright) = (f64::from(rounds), 0.0_f64);
        for (index, (most, loss)) in levels.iter().enumerate() {
            // That something shows outright is counted as often as it is expected.
            failing += (loss.infinite - outright).max(0.0) * expected.min(f64::from(rounds));
            outright = outright.max(loss.infinite);
            let more = libm::pow(self.unnoticed, f64::from(most + 1));
            let last = index + 1 == levels.len();
            // What is beyond the last level counts as a failure, where it is not negligible.
            // Attempts that lose more than this level holds, of the rounds not yet given to a level.
            let worse = if last { 0 } else { self.number_of(more, each).min(left) };
            if left > worse {
                let times = left - worse;
                let loss = PrivacyLoss { infinite: 0.0, ..loss.clone() };
                parts.push(Repeated { loss, times });
            }
            left = worse;
            expected = f64::from(self.number) * more;
        }
        debug_assert!(levels.is_empty() || left == 0, "a round is on no level");
        debug_assert_eq!(
            parts[1..].iter().map(|part| u64::from(part.times)).sum::<u64>(),
            u64::from(rounds - left),
            "rounds are counted twice"
        );
        (parts, failing + expected)
    }

    /// A number that is exceeded with a probability of at most `tail` by the attempts that succeed,
    /// if each does with `probability`. Chernoff's bound for the binomial distribution.
    fn number_of(self, probability: f64, tail: f64) -> u32 {
        let n = f64::from(self.number);
        let unlikely = |more_than: u32| {
            let share = f64::from(more_than + 1) / n;
            if share > 1.0 {
                return true;
            }
            if share <= probability {
                return false;
            }
            let rest = if share < 1.0 {
                (1.0 - share) * libm::log((1.0 - share) / (1.0 - probability))
            } else {
                0.0
            };
            let divergence = share * libm::log(share / probability) + rest;
            -n * divergence <= libm::log(tail)
        };
        let (mut low, mut high) = (0, self.number);
        while low < high {
            let middle = u32::midpoint(low, high);
            if unlikely(middle) { high = middle } else { low = middle + 1 }
        }
        low
    }
}

#[cfg(test)]
mod simulation;

#[cfg(test)]
mod tests {
    use super::*;

    fn attempts(number: u32, false_positive: f64) -> Attempts {
        Attempts::new(number, 1 << 40, 1, false_positive).unwrap()
    }

    /// P(more than `most` of n succeed) by summing up.
    fn exceeded(n: u32, p: f64, most: u32) -> f64 {
        let mut term = libm::pow(1.0 - p, f64::from(n));
        let mut within = term;
        for k in 0..most {
            term *= f64::from(n - k) / f64::from(k + 1) * p / (1.0 - p);
            within += term;
        }
        1.0 - within
    }

    #[test]
    fn the_number_is_exceeded_as_rarely_as_it_says_and_not_much_less_often() {
        for (n, p) in [(1000, 0.5), (1000, 1.0 / 64.0), (200, 1e-4), (50, 0.9)] {
            for tail in [1e-3, 1e-9] {
                let number = attempts(n, 0.0).number_of(p, tail);
                assert!(exceeded(n, p, number) <= tail + 1e-13, "{n} {p} {tail}: {number}");
                let loose = number.saturating_sub(2 + n / 50);
                assert!(
                    number == 0 || number == n || exceeded(n, p, loose) > tail,
                    "{n} {p} {tail}"
                );
            }
        }
        assert_eq!(attempts(10, 0.0).number_of(1e-12, 1e-9), 0);
        assert_eq!(attempts(10, 0.0).number_of(0.5, 1e-9), 10);
    }

    #[test]
    fn every_round_is_handed_out_once() {
        let levels: Vec<(u32, PrivacyLoss)> = (0..50)
            .map(|most| (most, PrivacyLoss { atoms: vec![(0.0, 1.0)], infinite: 0.0 }))
            .collect();
        for number in [1, 10, 1000, 1_000_000] {
            for rounds in [1, 245, 1000] {
                let (parts, beyond) = attempts(number, 1e-6).losses(&levels, rounds, 1e-11);
                let (told, handed) = parts.split_first().unwrap();
                assert_eq!(told.times, number);
                assert_eq!(handed.iter().map(|part| part.times).sum::<u32>(), rounds);
                assert!(beyond < 1.01e-11 + 1e6 * 1e-15, "{beyond}");
            }
        }
    }
}
