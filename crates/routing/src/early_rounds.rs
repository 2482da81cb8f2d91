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

/// Marks of early rounds in [`EarlyRounds::marks`].
pub const EARLY_MARKS: usize = 24;

impl EarlyRounds {
    /// Those that a policy allows, none of them used.
    pub fn of(policy: &Policy) -> Self {
        Self::new(policy.early_rounds_an_hour, policy.early_rounds_a_day)
    }

    /// Those that a policy allows, of which some were used at these times, the oldest first.
    pub fn resumed(policy: &Policy, lately: impl IntoIterator<Item = Timestamp>) -> Self {
        let mut early = Self::of(policy);
        early.lately.extend(lately);
        let too_many = early.lately.len().saturating_sub(early.a_day);
        early.lately.drain(..too_many);
        early
    }

    /// Those that a policy allows, of which some were used by these [marks](Self::marks).
    pub fn of_marks(policy: &Policy, marks: &[Timestamp; EARLY_MARKS]) -> Self {
        let each = Self::of(policy).rounds_a_mark();
        let used = marks.iter().filter(|at| at.0 > 0);
        Self::resumed(policy, used.flat_map(|at| std::iter::repeat_n(*at, each)))
    }

    /// The times of those that still count, the oldest first.
    pub fn lately(&self) -> impl Iterator<Item = Timestamp> {
        self.lately.iter().copied()
    }

    /// The same in as many bytes whatever was used: each mark stands for one round, or for as many as it takes where more
    /// than [`EARLY_MARKS`] are allowed a day, all at the time of the last of them. So none is forgotten by it.
    pub fn marks(&self) -> [Timestamp; EARLY_MARKS] {
        let mut marks = [Timestamp(0); EARLY_MARKS];
        let newest_first = self.lately.iter().rev().step_by(self.rounds_a_mark());
        marks.iter_mut().rev().zip(newest_first).for_each(|(mark, at)| *mark = *at);
        marks
    }

    fn rounds_a_mark(&self) -> usize {
        self.a_day.div_ceil(EARLY_MARKS).max(1)
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
    fn a_restart_gives_no_more_however_many_are_allowed() {
        for (an_hour, a_day) in [(4, 24), (1, 3), (7, 100), (1000, 1000), (0, 0)] {
            let policy = Policy {
                early_rounds_an_hour: an_hour,
                early_rounds_a_day: a_day,
                ..Policy::DEFAULT
            };
            let (mut stays, mut restarts) = (EarlyRounds::of(&policy), EarlyRounds::of(&policy));
            let mut taken = [0, 0];
            for minute in 1..3 * 24 * 60 {
                let now = Timestamp(60_000 * minute);
                restarts = EarlyRounds::of_marks(&policy, &restarts.marks());
                taken[0] += u32::from(stays.take(now));
                taken[1] += u32::from(restarts.take(now));
                assert!(taken[1] <= taken[0], "{a_day} at {minute}");
            }
            if usize::from(a_day) <= EARLY_MARKS {
                assert_eq!(taken[0], taken[1], "as many marks as rounds forget nothing");
            }
            let listed = EarlyRounds::resumed(&policy, stays.lately());
            assert_eq!(listed.free_at(), stays.free_at());
        }
    }

    #[test]
    fn a_clock_that_is_set_back_gives_no_more() {
        let mut early = EarlyRounds::new(2, 24);
        assert!(early.take(Timestamp(10 * DAY_MS)) && early.take(Timestamp(9 * DAY_MS)));
        assert!(!early.take(Timestamp(10 * DAY_MS + HOUR_MS - 1)));
        assert!(early.take(Timestamp(10 * DAY_MS + HOUR_MS)));
    }
}
