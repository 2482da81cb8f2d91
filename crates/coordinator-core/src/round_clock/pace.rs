//! Pace of rounds: the number that may be open at once.

/// Ratio of a round's time beside others to its time alone up to which it counts as good: half as long again.
/// Rounds that wait for links take no longer beside each other; rounds that wait for processors do, and
/// opening more of them gains nothing.
const SLOWER: (u64, u64) = (3, 2);

/// Works its way up to the most rounds that are wanted, and back when they are in each other's way.
///
/// One more with every round that goes through in good time, one less with every round that others
/// slowed down, and half as many when one does not go through: while something is wrong, few rounds
/// are at stake.
#[derive(Debug)]
pub(super) struct Pace {
    most: usize,
    allowed: usize,
    /// Time that a round took that was alone, in milliseconds.
    alone_ms: Option<u64>,
    /// Time that the last round took that was delivered, in milliseconds.
    last_ms: u64,
}

/// End of a round, as far as the pace of others is concerned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pacing {
    /// True if it was delivered everywhere.
    pub(super) delivered: bool,
    /// True if no other was open beside it.
    pub(super) alone: bool,
    /// Milliseconds from its opening to the last report.
    pub(super) latency_ms: u64,
}

impl Pace {
    /// At most `most` rounds at once, and one at first.
    pub(super) fn new(most: usize) -> Self {
        Self { most, allowed: 1, alone_ms: None, last_ms: 0 }
    }

    /// Number of rounds that may be open at once for now.
    pub(super) fn allowed(&self) -> usize {
        self.allowed
    }

    /// Time that a round takes for now, in milliseconds; 0 before the first.
    pub(super) fn latency_ms(&self) -> u64 {
        self.last_ms
    }

    /// Takes note of how a round went.
    pub(super) fn ended(&mut self, pacing: Pacing) {
        let Pacing { delivered, alone, latency_ms } = pacing;
        if !delivered {
            self.allowed = (self.allowed / 2).max(1);
            return;
        }
        self.last_ms = latency_ms;
        // Measured again whenever a round is alone, as networks change.
        if alone {
            self.alone_ms = Some(latency_ms);
        }
        let in_good_time =
            |alone: u64| latency_ms.saturating_mul(SLOWER.1) <= alone.saturating_mul(SLOWER.0);
        self.allowed = if self.alone_ms.is_none_or(in_good_time) {
            (self.allowed + 1).min(self.most)
        } else {
            (self.allowed - 1).max(1)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(alone: bool, latency_ms: u64) -> Pacing {
        Pacing { delivered: true, alone, latency_ms }
    }

    #[test]
    fn rounds_that_only_wait_for_links_overlap_as_much_as_is_wanted() {
        let mut pace = Pace::new(4);
        let mut seen = vec![pace.allowed()];
        for i in 0..5 {
            pace.ended(round(i == 0, 1000 + 10 * i));
            seen.push(pace.allowed());
        }
        assert_eq!(seen, [1, 2, 3, 4, 4, 4]);
    }

    #[test]
    fn rounds_that_slow_each_other_down_do_not_pile_up() {
        let mut pace = Pace::new(8);
        let mut slowest = 0;
        for _ in 0..100 {
            let at_once = pace.allowed();
            // One processor for all of them.
            let latency_ms = 1000 * at_once as u64;
            slowest = slowest.max(latency_ms);
            pace.ended(round(at_once == 1, latency_ms));
        }
        assert_eq!(slowest, 2000);
    }

    #[test]
    fn more_users_are_no_reason_to_stop_overlapping_for_long() {
        let mut pace = Pace::new(4);
        for _ in 0..4 {
            pace.ended(round(pace.allowed() == 1, 1000));
        }
        for _ in 0..10 {
            pace.ended(round(pace.allowed() == 1, 3000));
        }
        assert_eq!(pace.allowed(), 4);
    }

    #[test]
    fn a_round_that_fails_halves_what_is_at_stake() {
        let mut pace = Pace::new(8);
        for i in 0..8 {
            pace.ended(round(i == 0, 1000));
        }
        let mut seen = Vec::new();
        for _ in 0..4 {
            pace.ended(Pacing { delivered: false, ..round(false, 9000) });
            seen.push(pace.allowed());
        }
        assert_eq!(seen, [4, 2, 1, 1]);
    }
}
