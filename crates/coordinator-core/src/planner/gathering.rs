//! Wait for all shards before a quorum will do.

use antiphon_wire::Timestamp;

/// Wait of a coordinator whose epoch cannot go on for all shards before a quorum will do, in milliseconds.
/// They come back together from what ended it.
const REGATHER_MS: u64 = 5000;
/// Wait of a coordinator that was away for the shards of its epoch, in milliseconds.
const AWAY_MS: u64 = 15_000;

/// State of the wait for all shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gathering {
    /// They have until then.
    Until(Timestamp),
    /// They had time to come.
    Done,
}

impl Gathering {
    /// Waits for shards that come back together, at most `gather_ms`.
    pub(super) fn again(now: Timestamp, gather_ms: u64) -> Self {
        Self::Until(now.plus_ms(REGATHER_MS.min(gather_ms)))
    }

    /// Waits for shards that this side lost sight of, at most `gather_ms`.
    pub(super) fn after_absence(now: Timestamp, gather_ms: u64) -> Self {
        Self::Until(now.plus_ms(AWAY_MS.min(gather_ms)))
    }

    /// Waits for shards of which some are not what they were, no longer than was meant before.
    pub(super) fn once_more(self, now: Timestamp) -> Self {
        let again = now.plus_ms(REGATHER_MS);
        match self {
            Self::Until(at) => Self::Until(at.min(again)),
            Self::Done => Self::Until(again),
        }
    }

    /// Returns `true` if those who are here will do. They do from now on if they are all, or had time.
    pub(super) fn will_do(&mut self, now: Timestamp, complete: bool) -> bool {
        if complete || self.is_over(now) {
            *self = Self::Done;
        }
        *self == Self::Done
    }

    /// Returns `true` once the time is over.
    pub(super) fn is_over(self, now: Timestamp) -> bool {
        match self {
            Self::Until(at) => now >= at,
            Self::Done => true,
        }
    }

    /// When it is over.
    pub(super) fn deadline(self) -> Option<Timestamp> {
        match self {
            Self::Until(at) => Some(at),
            Self::Done => None,
        }
    }
}
