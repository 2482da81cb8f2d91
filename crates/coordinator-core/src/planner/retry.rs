//! When to plan again after an epoch did not come about.

use antiphon_wire::Timestamp;

/// The wait after failures in a row doubles this many times at most.
const MOST_DOUBLINGS: u32 = 6;

/// When the next attempt may follow one that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    /// At once: it is another one, since a shard is left out or time was short.
    AtOnce,
    /// Later, and ever later: nothing else would come of it.
    Later,
}

/// The wait between attempts.
#[derive(Debug)]
pub(super) struct Retry {
    /// Attempts that failed in a row for no shard's fault.
    failures: u32,
    at: Timestamp,
}

impl Retry {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { failures: 0, at: now }
    }

    /// When the next attempt may begin.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// An attempt failed, and the first wait for another is `retry_ms`.
    pub(super) fn failed(&mut self, now: Timestamp, again: Again, retry_ms: u64) {
        if again == Again::Later {
            self.at = now.plus_ms(retry_ms.max(1) << self.failures.min(MOST_DOUBLINGS));
            self.failures = self.failures.saturating_add(1);
        }
    }

    /// Forgets failures, after an attempt that succeeded.
    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
    }
}
