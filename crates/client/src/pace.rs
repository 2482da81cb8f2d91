//! The speed at which a conversation moves bytes.

use std::time::Duration;

use antiphon_client_core::{BareMeeting, CLOSING_ROUNDS, Level};
use antiphon_routing::VerifiedEpoch;

/// The round under way when a conversation is closed, the first without it, and two for jitter.
const SPARE_ROUNDS: u64 = 4;

/// Bytes that one pair of onions carries each way, and the interval of rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Bytes of a message in one body; a meeting has two.
    pub body_bytes: u32,
    /// Least time from one round to the next, in milliseconds.
    pub interval_ms: u32,
    /// Pairs of onions that a client has in each round: as many conversations can be open.
    pub pairs: u8,
}

impl Pace {
    pub(crate) fn of(epoch: &VerifiedEpoch) -> Self {
        let body_bytes = BareMeeting::payload_bytes(epoch.geometry()) as u32;
        Self {
            body_bytes,
            interval_ms: epoch.parameters().interval_ms,
            pairs: epoch.parameters().pairs_per_client,
        }
    }

    /// Bytes that a meeting carries each way.
    pub const fn meeting_bytes(self) -> u64 {
        2 * self.body_bytes as u64
    }

    /// The least time that a conversation takes for messages of so many bytes each, if it meets in
    /// every round and none is disturbed.
    pub fn time_for(self, messages: u64, bytes_each: u64) -> Duration {
        let bodies = messages.saturating_mul(bytes_each.div_ceil(self.body_bytes.max(1).into()));
        Duration::from_millis(bodies.div_ceil(2).saturating_mul(self.interval_ms.into()))
    }

    /// The time from when a conversation that meets in every round is closed until both ends have
    /// stopped, in rounds that open on time.
    pub fn time_to_close(self) -> Duration {
        let rounds = CLOSING_ROUNDS + SPARE_ROUNDS;
        Duration::from_millis(rounds.saturating_mul(self.interval_ms.into()))
    }

    /// The longest time until two ends that are both there meet, at this level.
    pub fn longest_wait(self, level: Level) -> Duration {
        // A meeting can be at the beginning of one block of rounds and at the end of the next.
        let rounds = 2 * level.rounds() - 1;
        Duration::from_millis(rounds.saturating_mul(self.interval_ms.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_from_bodies_and_rounds() {
        let pace = Pace { body_bytes: 222, interval_ms: 5000, pairs: 1 };
        assert_eq!(pace.meeting_bytes(), 444);
        // 100 kB: 451 bodies, 226 rounds.
        assert_eq!(pace.time_for(451, 222).as_secs(), 226 * 5);
        assert_eq!(pace.time_for(1, 223).as_secs(), 5);
        assert_eq!(pace.longest_wait(Level::SPARSEST).as_secs(), 255 * 5);
        assert_eq!(pace.longest_wait(Level::DENSEST).as_secs(), 5);
    }
}
