//! Rounds that come sooner than the network file's least interval allows.

use std::collections::VecDeque;

use antiphon_wire::{Policy, Timestamp};

const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// The early rounds of the last day: a network file allows so many in any hour, and so many in any day. Clients hold
/// the network to it by their own clocks, and the coordinator keeps within it by its own.
#[derive(Clone, Debug)]
pub struct EarlyRounds {
    an_hour: usize,
    a_day: usize,
    /// The times of those that still count, the oldest first; at most as many as a day may have.
    lately: VecDeque<Timestamp>,
}

impl EarlyRounds {
    /// Those that a policy allows, none of them used.
    pub fn of(policy: &Policy) -> Self {
        Self::new(policy.early_rounds_an_hour, policy.early_rounds_a_day)
    }

    /// So many in any hour, and so many in any day.
    pub fn new(an_hour: u16, a_day: u16) -> Self {
        Self { an_hour: an_hour.into(), a_day: a_day.into(), lately: VecDeque::new() }
    }

    /// The time from which on there may be another one; `None` if there may never be one.
    pub fn free_at(&self) -> Option<Timestamp> {
        if self.an_hour == 0 || self.a_day == 0 {
            return None;
        }
        let after = |most: usize, ms: u64| {
            // The one that has to be so long ago, if there are as many.
            let at = self.lately.len().checked_sub(most).and_then(|at| self.lately.get(at));
            at.map_or(Timestamp(0), |at| at.plus_ms(ms))
        };
        Some(after(self.an_hour, HOUR_MS).max(after(self.a_day, DAY_MS)))
    }

    /// Uses one up, if there may be one now. Returns whether there may.
    pub fn take(&mut self, now: Timestamp) -> bool {
        if self.free_at().is_none_or(|at| now < at) {
            return false;
        }
        // A clock that was set back does not make those forgotten that it had.
        let now = self.lately.back().map_or(now, |last| now.max(*last));
        self.lately.push_back(now);
        if self.lately.len() > self.a_day {
            self.lately.pop_front();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times of those that are taken as soon as there may be one, over so many hours.
    fn greedy(an_hour: u16, a_day: u16, hours: u64) -> Vec<u64> {
        let mut early = EarlyRounds::new(an_hour, a_day);
        let minutes = 0..60 * hours;
        minutes.filter(|minute| early.take(Timestamp(60_000 * minute))).collect()
    }

    #[test]
    fn whoever_takes_all_gets_no_more_than_are_allowed_in_any_hour_and_any_day() {
        let taken = greedy(4, 24, 72);
        let most_within = |minutes: u64| {
            let within = |first: &u64| {
                taken.iter().filter(|at| (*first..first + minutes).contains(*at)).count()
            };
            taken.iter().map(within).max()
        };
        assert_eq!((most_within(60), most_within(24 * 60)), (Some(4), Some(24)));
        assert_eq!(taken[..6], [0, 1, 2, 3, 60, 61]);
        // Six hours take a day's, and then none is left.
        assert_eq!((taken.len(), taken[23], taken[24]), (72, 5 * 60 + 3, 24 * 60));
        assert_eq!(
            (greedy(0, 24, 48).len(), greedy(4, 0, 48).len(), greedy(4, 2, 48).len()),
            (0, 0, 4)
        );
    }

    #[test]
    fn a_clock_that_is_set_back_gives_no_more() {
        let mut early = EarlyRounds::new(2, 24);
        assert!(early.take(Timestamp(10 * DAY_MS)) && early.take(Timestamp(9 * DAY_MS)));
        assert!(!early.take(Timestamp(10 * DAY_MS + HOUR_MS - 1)));
        assert!(early.take(Timestamp(10 * DAY_MS + HOUR_MS)));
    }
}
