//! A client's own sense of when rounds can be.

use antiphon_wire::{EpochDocument, Round, Timestamp};

use crate::RoundRefusal;

/// How far a client's clock and the network's may be apart, in milliseconds.
pub const CLOCK_SLACK_MS: u64 = 300_000;

/// Holds rounds to the network file's least interval.
///
/// Each round moves the earliest time of the next by the least interval. A round may come before
/// that time by half an interval, as links have jitter, but the time itself does not yield: over any
/// span no more rounds are served than the interval allows, and at most one besides.
pub(crate) struct RoundClock {
    least_ms: u64,
    earliest: Timestamp,
}

impl RoundClock {
    pub(crate) fn new(least_ms: u32) -> Self {
        Self { least_ms: least_ms.into(), earliest: Timestamp(0) }
    }

    /// Admits a round, unless it comes too soon after those before it.
    pub(crate) fn admit(&mut self, now: Timestamp) -> Result<(), RoundRefusal> {
        let early = self.earliest.ms_since(now);
        if early > self.least_ms / 2 {
            return Err(RoundRefusal::TooSoon(early));
        }
        self.earliest = self.earliest.max(now).plus_ms(self.least_ms);
        Ok(())
    }
}

/// Whether `round` can be open at `now`: not in an expired epoch, not before its first round's start
/// plus a least interval for each round since, and not after twice the nominal interval for each
/// round up to it.
pub(crate) fn plausible(
    document: &EpochDocument,
    least_ms: u32,
    round: Round,
    now: Timestamp,
) -> Result<(), RoundRefusal> {
    if now >= document.expires_at {
        return Err(RoundRefusal::Expired);
    }
    let since = round.0.saturating_sub(document.first_round.0);
    let earliest = document.starts_at.plus_ms(since.saturating_mul(least_ms.into()));
    let early = earliest.ms_since(now.plus_ms(CLOCK_SLACK_MS));
    if early > 0 {
        return Err(RoundRefusal::BeforeItsTime(early));
    }
    let nominal = u64::from(document.parameters.interval_ms);
    let longest = since.saturating_add(1).saturating_mul(nominal).saturating_mul(2);
    let latest = document.starts_at.plus_ms(longest).plus_ms(CLOCK_SLACK_MS);
    match now.ms_since(latest) {
        0 => Ok(()),
        late => Err(RoundRefusal::AfterItsTime(late)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_borne_and_haste_is_not() {
        let mut clock = RoundClock::new(1000);
        for now in [5000, 6100, 6900, 8050, 8950] {
            assert_eq!(clock.admit(Timestamp(now)), Ok(()), "{now}");
        }
        let mut clock = RoundClock::new(1000);
        let served = (0..10_000).filter(|now| clock.admit(Timestamp(*now)).is_ok()).count();
        assert!((10..=11).contains(&served), "{served}");
    }

    #[test]
    fn a_pause_gives_no_right_to_haste() {
        let mut clock = RoundClock::new(1000);
        clock.admit(Timestamp(0)).unwrap();
        clock.admit(Timestamp(100_000)).unwrap();
        assert_eq!(clock.admit(Timestamp(100_100)), Err(RoundRefusal::TooSoon(900)));
    }
}
