//! The self-test: what came back of this client's own onions.
//!
//! Nothing is sent for it. In every round an idle pair is two messages of the client to itself, on two paths through the
//! network, and an onion that met nobody comes back as it left. So each round has tested the path whether anybody asked
//! or not: it costs no unit of the budget, and no onlooker can tell that somebody looks at the outcome.

use std::collections::VecDeque;

use antiphon_wire::{Round, Timestamp};

/// Rounds that are looked back on.
const MOST_ROUNDS: usize = 64;

/// What came back in a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Returned {
    pub(crate) round: Round,
    pub(crate) at: Timestamp,
    pub(crate) sent: u16,
    pub(crate) whole: u16,
    pub(crate) after_ms: Option<u64>,
}

/// Outcome of the self-test over some rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathReport {
    /// Rounds that ended.
    pub rounds: u32,
    /// Rounds of which replies came.
    pub answered: u32,
    /// Onions that left in them.
    pub sent: u32,
    /// Onions that did not come back whole.
    pub lost: u32,
    /// Milliseconds until the replies were there, in the median of the answered rounds.
    pub median_ms: Option<u64>,
    /// Time at which an onion last came back whole.
    pub last_whole: Option<Timestamp>,
}

impl PathReport {
    /// Returns `true` if anything came back whole: the path there and back is alive.
    pub const fn is_alive(&self) -> bool {
        self.sent > self.lost
    }
}

/// What came back in the last rounds.
#[derive(Debug, Default)]
pub(crate) struct PathTest {
    rounds: VecDeque<Returned>,
    /// Rounds that ended since the process began.
    ended: u64,
    last_whole: Option<Timestamp>,
}

impl PathTest {
    /// Takes note of a round's end.
    pub(crate) fn note(&mut self, returned: Returned) {
        if self.rounds.len() == MOST_ROUNDS {
            self.rounds.pop_front();
        }
        if returned.whole > 0 {
            self.last_whole = Some(returned.at);
        }
        self.rounds.push_back(returned);
        self.ended += 1;
    }

    /// Rounds that ended since the process began.
    pub(crate) fn ended(&self) -> u64 {
        self.ended
    }

    /// The report on the last `most` rounds.
    pub(crate) fn report(&self, most: u64) -> PathReport {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let from = self.rounds.len().saturating_sub(most);
        let rounds = || self.rounds.range(from..);
        let mut took: Vec<_> = rounds().filter_map(|round| round.after_ms).collect();
        took.sort_unstable();
        let sum = |count: fn(&Returned) -> u16| rounds().map(|round| u32::from(count(round))).sum();
        PathReport {
            rounds: (self.rounds.len() - from) as u32,
            answered: took.len() as u32,
            sent: sum(|round| round.sent),
            lost: sum(|round| round.sent.saturating_sub(round.whole)),
            median_ms: took.get(took.len() / 2).copied(),
            last_whole: self.last_whole,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(number: u64, whole: u16, after_ms: Option<u64>) -> Returned {
        Returned { round: Round(number), at: Timestamp(1000 * number), sent: 4, whole, after_ms }
    }

    #[test]
    fn a_report_says_whether_the_path_is_alive_how_long_it_takes_and_what_is_lost() {
        let mut test = PathTest::default();
        assert_eq!(test.report(3), PathReport::default());
        assert!(!test.report(3).is_alive());
        for (number, whole, after_ms) in
            [(1, 4, Some(900)), (2, 3, Some(1100)), (3, 0, None), (4, 4, Some(1000))]
        {
            test.note(round(number, whole, after_ms));
        }
        let report = test.report(3);
        let last_whole = Some(Timestamp(4000));
        let expected = PathReport {
            rounds: 3,
            answered: 2,
            sent: 12,
            lost: 5,
            median_ms: Some(1100),
            last_whole,
        };
        assert_eq!(report, expected);
        assert!(report.is_alive());
        test.note(round(5, 0, None));
        assert!(!test.report(1).is_alive());
        assert_eq!(test.report(1).last_whole, last_whole);
    }

    #[test]
    fn no_more_rounds_are_kept_than_are_looked_back_on() {
        let mut test = PathTest::default();
        (0..1000).for_each(|number| test.note(round(number, 4, Some(1))));
        assert_eq!((test.rounds.len(), test.ended()), (MOST_ROUNDS, 1000));
        assert_eq!(test.report(u64::MAX).rounds, 64);
    }
}
