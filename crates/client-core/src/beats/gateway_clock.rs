//! The gateway's clock, by which a client's cells are in time or late.

use antiphon_wire::Timestamp;

use crate::CLOCK_SLACK_MS;

/// How far the gateway's clock is ahead of the client's own.
///
/// Cells are in time by the gateway's clock alone, so a client goes by it, however wrong its own is. What it reads is
/// late by as long as the message was under way, and so is what it sends: both ways together have the lead with which
/// cells leave. Nothing but these messages moves the moments at which cells leave, and gateways send them to all
/// alike, by the rounds' openings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct GatewayClock {
    ahead_ms: i64,
}

impl GatewayClock {
    /// Takes note that it was `theirs` by the gateway's clock when its message came at `own`. A difference beyond
    /// what the network's clocks may have is held to that: so much longer, at most, is a client silent at its next
    /// gateway because the one before lied.
    pub(super) fn heed(&mut self, own: Timestamp, theirs: Timestamp) {
        let (ahead, behind) = (theirs.ms_since(own), own.ms_since(theirs));
        // Below 2^63 by far.
        let held = |ms: u64| ms.min(CLOCK_SLACK_MS) as i64;
        self.ahead_ms = held(ahead) - held(behind);
    }

    /// The gateway's time when it is `own`.
    pub(super) fn theirs(self, own: Timestamp) -> Timestamp {
        Timestamp(own.0.saturating_add_signed(self.ahead_ms))
    }

    /// The client's own time when it is `theirs` at the gateway.
    pub(super) fn own(self, theirs: Timestamp) -> Timestamp {
        Timestamp(theirs.0.saturating_add_signed(-self.ahead_ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_taken_from_one_clock_to_the_other_and_back_within_the_slack() {
        let mut clock = GatewayClock::default();
        let now = Timestamp(10_000_000);
        assert_eq!(clock.theirs(now), now);
        for ahead_ms in [0, 1000, -1000, 299_999, -299_999] {
            clock.heed(now, Timestamp(now.0.saturating_add_signed(ahead_ms)));
            assert_eq!(clock.theirs(now), Timestamp(now.0.saturating_add_signed(ahead_ms)));
            assert_eq!(clock.own(clock.theirs(now)), now);
        }
        clock.heed(now, Timestamp(u64::MAX));
        assert_eq!(clock.theirs(now), now.plus_ms(CLOCK_SLACK_MS));
        clock.heed(Timestamp(u64::MAX), Timestamp(0));
        assert_eq!(clock.own(Timestamp(0)), Timestamp(CLOCK_SLACK_MS));
    }
}
