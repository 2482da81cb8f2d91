//! Rules for the size and the pace of frames from others.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::limits::Limits;

/// Rules of a link for the frames of its other side.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    /// The longest frame, in bytes. It may change while links live.
    max: Arc<AtomicUsize>,
    /// Further rules for those who are not trusted.
    stranger: Option<Stranger>,
}

/// Rules that those who are not trusted have to keep to besides.
#[derive(Clone, Debug)]
struct Stranger {
    frame_within: Duration,
    budget: Arc<Budget>,
}

/// Unfinished frames of the longest kind that all strangers together may have, where the endpoint's limit is for fewer:
/// as many clients may be handing in their onions at the same time.
const LONGEST_UNFINISHED: usize = 8192;

/// Bytes of unfinished frames, over all strangers of an endpoint.
#[derive(Debug)]
struct Budget {
    used: AtomicUsize,
    /// The endpoint's limit.
    least: usize,
    /// The limit that holds: it follows the longest frame.
    most: AtomicUsize,
}

impl Rules {
    /// Rules for the other side that was dialled.
    pub(crate) fn dialled(limits: &Limits) -> Self {
        Self::trusted(limits.max_frame_bytes)
    }

    /// Rules for all who dial an endpoint.
    pub(crate) fn of_endpoint(limits: &Limits) -> Self {
        let least = limits.max_unfinished_bytes;
        let (used, most) = (AtomicUsize::new(0), AtomicUsize::new(least));
        let budget = Arc::new(Budget { used, least, most });
        let stranger = Some(Stranger { frame_within: limits.frame_within, budget });
        Self { max: Arc::new(AtomicUsize::new(limits.max_received_bytes)), stranger }
    }

    /// Rules for one who is trusted, with frames of `max` bytes.
    pub(crate) fn trusted(max: usize) -> Self {
        Self { max: Arc::new(AtomicUsize::new(max)), stranger: None }
    }

    pub(crate) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes the longest frame of all who have these rules in common, and with it what they may leave unfinished.
    pub(crate) fn set_max(&self, bytes: usize) {
        self.max.store(bytes, Ordering::Relaxed);
        if let Some(Stranger { budget, .. }) = &self.stranger {
            let most = budget.least.max(bytes.saturating_mul(LONGEST_UNFINISHED));
            budget.most.store(most, Ordering::Relaxed);
        }
    }

    /// Longest time that a frame may take, if that is bounded.
    pub(crate) fn frame_within(&self) -> Option<Duration> {
        self.stranger.as_ref().map(|stranger| stranger.frame_within)
    }

    /// The part of the budget that one stream uses.
    pub(crate) fn part(&self) -> Part {
        Part {
            budget: self.stranger.as_ref().map(|stranger| Arc::clone(&stranger.budget)),
            used: 0,
        }
    }
}

/// Bytes that one stream uses of the budget, given back when dropped.
#[derive(Debug)]
pub(crate) struct Part {
    budget: Option<Arc<Budget>>,
    used: usize,
}

impl Part {
    /// Uses `bytes` from now on. Returns `false` if that is more than there is.
    pub(crate) fn set(&mut self, bytes: usize) -> bool {
        let Some(budget) = self.budget.as_ref().filter(|_| bytes != self.used) else { return true };
        // The new part is taken before the old one is given back: nobody else gets what this stream has.
        let used = budget.used.fetch_add(bytes, Ordering::Relaxed) + bytes;
        budget.used.fetch_sub(self.used, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.used, bytes);
        debug_assert!(used >= bytes + before, "the budget has lost this stream's part");
        bytes <= before || used - before <= budget.most.load(Ordering::Relaxed)
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_streams_of_an_endpoint_share_one_budget() {
        let rules = Rules::of_endpoint(&Limits { max_unfinished_bytes: 100, ..Limits::clients() });
        let [mut a, mut b] = [rules.part(), rules.part()];
        assert!(a.set(60) && b.set(40));
        assert!(!b.set(41));
        assert!(b.set(0) && a.set(100));
        drop(a);
        assert!(b.set(100));
        // Longer messages are not to be mistaken for a flood.
        rules.set_max(35_000);
        assert!(b.set(100 * 35_000));
        rules.set_max(0);
        assert!(!b.set(100 * 35_000 + 1) && b.set(0));
        let mut trusted = Rules::trusted(10).part();
        assert!(trusted.set(usize::MAX));
    }
}
