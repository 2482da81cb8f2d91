//! A client's own bounds on when rounds can open.

use antiphon_wire::{EpochDocument, Round, Timestamp};

use crate::RoundRefusal;

/// Difference that a client's clock and the network's may have, in milliseconds.
pub const CLOCK_SLACK_MS: u64 = 300_000;

/// Rounds that may come at once where links or machines have jitter: those that the network file's
/// least interval allows, and so many besides, over any span.
const AT_ONCE: u64 = 4;

/// Reason why a round comes too soon after others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// It was held up, together with others, as nothing had come for as long as they take.
    Late,
    /// The network opens rounds faster than its file allows, by so many milliseconds.
    TooSoon(u64),
}

/// Holds rounds to the network file's least interval: a bucket of [`AT_ONCE`] rounds, into which each
/// least interval puts one, by the client's own clock.
pub(crate) struct RoundClock {
    least_ms: u64,
    /// Time at which the bucket is full again.
    full: Timestamp,
    /// Time at which a round opened last, admitted or not.
    heard: Option<Timestamp>,
    /// Rounds that should have come in pauses since, and did not.
    missing: u64,
    /// Rounds that came too late, in a burst, since one was admitted.
    late: u64,
}

impl RoundClock {
    pub(crate) fn new(least_ms: u32) -> Self {
        let (full, heard) = (Timestamp(0), None);
        Self { least_ms: least_ms.into(), full, heard, missing: 0, late: 0 }
    }

    /// Admits a round of a network that opens one every `interval_ms`, unless it comes too soon after those
    /// before it. Returns the number of rounds before it that came late, in a burst, and were not admitted.
    pub(crate) fn admit(&mut self, now: Timestamp, interval_ms: u32) -> Result<u64, Haste> {
        let since_last = self.heard.map_or(0, |heard| now.ms_since(heard));
        let due = since_last / u64::from(interval_ms.max(1));
        // A pause accounts for a burst of the rounds that did not come in it; each that comes takes one off.
        self.missing = if due > 1 { due } else { self.missing.saturating_sub(1) };
        self.heard = Some(now);
        let early = self.full.ms_since(now).saturating_sub(AT_ONCE * self.least_ms);
        match early {
            0 => {
                self.full = self.full.max(now).plus_ms(self.least_ms);
                debug_assert!(
                    self.full.ms_since(now) <= (AT_ONCE + 1) * self.least_ms,
                    "the bucket holds more rounds than it has room for"
                );
                Ok(std::mem::take(&mut self.late))
            }
            _ if self.missing > 0 => {
                self.late += 1;
                Err(Haste::Late)
            }
            early => Err(Haste::TooSoon(early)),
        }
    }
}

/// Checks that `round` can be open at `now`: not in an expired epoch, not before its first round's start plus
/// a least interval for each round since, and not after twice the nominal interval for each round up to it.
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
    fn jitter_is_borne_where_rounds_are_as_fast_as_they_may_be() {
        // Up to three intervals late, again and again, on a machine that has much to do.
        let late = [0, 168, 20, 300, 0, 900, 450, 0, 0, 700, 10, 0];
        let mut clock = RoundClock::new(300);
        for round in 0..1200_u64 {
            let now = Timestamp(5000 + 300 * round + late[round as usize % late.len()]);
            assert_eq!(clock.admit(now, 300), Ok(0), "{round}");
        }
    }

    #[test]
    fn over_any_span_no_more_rounds_are_served_than_the_interval_allows_and_five() {
        let mut clock = RoundClock::new(1000);
        let served = (0..10_000).filter(|now| clock.admit(Timestamp(*now), 1000).is_ok()).count();
        assert_eq!(served, 14);
        let mut clock = RoundClock::new(1000);
        clock.admit(Timestamp(0), 1000).unwrap();
        // A pause gives no right to more.
        let served =
            (0..3000).filter(|ms| clock.admit(Timestamp(100_000 + ms), 1000).is_ok()).count();
        assert_eq!(served, 7);
    }

    #[test]
    fn a_burst_after_a_stall_is_told_from_haste_and_counted_once() {
        let mut clock = RoundClock::new(300);
        clock.admit(Timestamp(0), 300).unwrap();
        // Nothing for 14 seconds, then all at once.
        let held_up = (0..46).map(|ms| clock.admit(Timestamp(14_000 + ms), 300));
        let held_up: Vec<_> = held_up.collect();
        let served = held_up.iter().filter(|round| round.is_ok()).count();
        assert_eq!(served, 5);
        assert!(held_up[served..].iter().all(|round| *round == Err(Haste::Late)));
        assert_eq!(clock.admit(Timestamp(14_400), 300), Ok(41));
        assert_eq!(clock.admit(Timestamp(14_700), 300), Ok(0));
        // Without a stall it is haste.
        let hasty = (1..20).map(|i| clock.admit(Timestamp(14_700 + i), 300));
        assert!(hasty.last().is_some_and(|last| matches!(last, Err(Haste::TooSoon(_)))));
    }
}
