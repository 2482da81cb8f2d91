//! The number of attempts behind those that somebody notices.

/// A number of attempts that is exceeded with probability `tail` at most by the time that `counted` of them
/// have been noticed, if each goes `unnoticed` with that probability at most, whatever happened before.
///
/// The number that went unnoticed by then has at most the negative binomial distribution. Its tail is bounded by
/// a geometric series: from its first term on, terms fall at least as fast as there.
pub(super) fn attempts_behind(counted: u32, unnoticed: f64, tail: f64) -> u32 {
    let a = f64::from(counted);
    let (log_unnoticed, log_tail) = (libm::log(unnoticed), libm::log(tail));
    // ln P(k unnoticed), from k = 0 on.
    let mut log_term = a * libm::log1p(-unnoticed);
    for k in 0..u32::MAX - counted {
        let next = log_term + libm::log((f64::from(k) + a) / f64::from(k + 1)) + log_unnoticed;
        let ratio = (f64::from(k + 1) + a) / f64::from(k + 2) * unnoticed;
        if ratio < 1.0 && next - libm::log1p(-ratio) <= log_tail {
            return counted + k;
        }
        log_term = next;
    }
    u32::MAX
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// P(more than `most` go unnoticed before `counted` are noticed): of the first most + counted fewer are.
    fn exceeded(counted: u32, unnoticed: f64, most: u32) -> f64 {
        let n = counted + most;
        let mut log_term = f64::from(n) * libm::log(unnoticed);
        let mut sum = 0.0;
        for noticed in 0..counted {
            sum += libm::exp(log_term);
            let odds = f64::from(n - noticed) / f64::from(noticed + 1);
            log_term += libm::log(odds) + libm::log1p(-unnoticed) - libm::log(unnoticed);
        }
        sum
    }

    #[test]
    fn the_number_is_exceeded_as_rarely_as_it_says_and_one_less_more_often() {
        for (counted, unnoticed) in [(1, 0.5), (500, 0.5), (1000, 0.5), (1000, 0.501), (20, 0.9)] {
            for tail in [1e-3, 1e-12] {
                let most = attempts_behind(counted, unnoticed, tail) - counted;
                assert!(exceeded(counted, unnoticed, most) <= tail, "{counted} {unnoticed}");
                // The geometric series is a little longer than the sum.
                let fewer = most - 1 - most / 200;
                assert!(
                    exceeded(counted, unnoticed, fewer) > tail,
                    "{counted} {unnoticed}: {most}"
                );
            }
        }
        assert_eq!(attempts_behind(500, 0.5, 1e-12), 1247);
        assert_eq!(attempts_behind(1000, 0.5, 1e-12), 2339);
    }

    /// An adversary that attempts on and on until so many have been noticed, leaving out as many onions at once
    /// as it likes: one more than the number must not be seen ten times as often as it should.
    #[test]
    fn nobody_who_tries_until_enough_are_noticed_gets_more_attempts_than_that() {
        const COUNTED: u32 = 40;
        const LIFETIMES: u32 = 20_000;
        const TAIL: f64 = 1e-2;
        let most = attempts_behind(COUNTED, 0.5, TAIL);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut beyond = 0;
        for lifetime in 0..LIFETIMES {
            let (mut tried, mut noticed) = (0, 0);
            while noticed < COUNTED {
                tried += 1;
                // Of several at once all have to be unchecked; somebody bold after luck, or always careful.
                let at_once = if lifetime % 2 == 0 { 1 } else { 1 + tried % 2 };
                noticed += u32::from((0..at_once).any(|_| rng.next_u32() & 1 == 1));
            }
            beyond += u32::from(tried > most);
        }
        let share = f64::from(beyond) / f64::from(LIFETIMES);
        // The careful half reaches it about as often as it may, the other hardly ever.
        assert!(share > TAIL / 4.0 && share < TAIL, "{share}");
    }
}
