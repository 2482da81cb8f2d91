//! The stay of a client, if it was fixed when it was started.

use std::time::Duration;

use antiphon_client::Pace;
use tokio::time::Instant;

/// From when a client started until it leaves, whatever its conversation does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    ends_at: Instant,
    time: Duration,
}

impl Stay {
    /// Stays for `time` from now on.
    pub(super) fn begin(time: Duration) -> Self {
        Self { ends_at: Instant::now() + time, time }
    }

    pub(super) fn ends_at(self) -> Instant {
        self.ends_at
    }

    pub(super) fn left(self) -> Duration {
        self.ends_at.saturating_duration_since(Instant::now())
    }

    /// When to close the conversation, so that the other end is told before this one is gone. Closing
    /// changes nothing that anybody sees, and the end does not wait for it.
    pub(super) fn closes_at(self, pace: Pace) -> Instant {
        // Of a short stay, half is for talking.
        self.ends_at - pace.time_to_close().min(self.time / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_closes_before_the_end_and_has_half_of_a_short_stay() {
        let pace = Pace { body_bytes: 222, interval_ms: 5000, pairs: 1 };
        let closes_before_the_end = |seconds| {
            let stay = Stay::begin(Duration::from_secs(seconds));
            stay.ends_at() - stay.closes_at(pace)
        };
        assert_eq!(closes_before_the_end(3600).as_secs(), 20 * 5);
        assert_eq!(closes_before_the_end(60).as_secs(), 30);
    }
}
