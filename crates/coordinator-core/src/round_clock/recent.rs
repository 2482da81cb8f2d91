//! Time that the last rounds took.

use std::collections::VecDeque;

/// Rounds that are looked back on. With twenty, all but one are 95 % of them.
const ROUNDS: usize = 20;

/// Times of the last rounds.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Milliseconds from opening to end, the oldest first.
    times_ms: VecDeque<u64>,
}

impl Recent {
    /// Takes note of a round that is over, however it went.
    pub(super) fn ended(&mut self, latency_ms: u64) {
        if self.times_ms.len() == ROUNDS {
            self.times_ms.pop_front();
        }
        self.times_ms.push_back(latency_ms);
    }

    /// Milliseconds after which all but one of the last rounds were over; 0 before the first.
    pub(super) fn took_ms(&self) -> u64 {
        let mut times: Vec<u64> = self.times_ms.iter().copied().collect();
        times.sort_unstable();
        let but_one = times.len().saturating_sub(2);
        times.get(but_one).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_slow_round_of_twenty_does_not_count_and_two_do() {
        let mut recent = Recent::default();
        assert_eq!(recent.took_ms(), 0);
        recent.ended(900);
        assert_eq!(recent.took_ms(), 900);
        for _ in 0..19 {
            recent.ended(1000);
        }
        recent.ended(9000);
        assert_eq!(recent.took_ms(), 1000);
        recent.ended(8000);
        assert_eq!(recent.took_ms(), 8000);
        for _ in 0..19 {
            recent.ended(1000);
        }
        assert_eq!(recent.took_ms(), 1000);
    }
}
