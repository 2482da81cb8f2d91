//! A client's own bounds on when rounds can open.

use antiphon_routing::{EARLY_MARKS, EarlyRounds};
use antiphon_wire::{Decode, DecodeError, Encode, EpochDocument, Policy, Reader, Round, Timestamp};

use crate::RoundRefusal;

/// Difference that a client's clock and the network's may have, in milliseconds.
pub const CLOCK_SLACK_MS: u64 = 300_000;

/// Rounds that may come at once where links or machines have jitter: those that the network file's
/// least interval allows, and so many besides, over any span.
const AT_ONCE: u64 = 4;
/// What each of them is worth at most, in milliseconds: links and machines are no slower where rounds are rarer.
const JITTER_MS: u64 = 5000;

/// Reason why a round comes too soon after others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Haste {
    /// It was held up, together with others, as nothing had come for as long as they take.
    Late,
    /// The network opens rounds faster than its file allows, by so many milliseconds.
    TooSoon(u64),
}

/// How much of what a network may open at once or early it has used. It outlives the client's process: else whoever has
/// clients restarted would have them take part in more rounds than its file allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoundPace {
    /// When as many rounds may come at once again as ever.
    pub full: Timestamp,
    /// The [marks](EarlyRounds::marks) of early rounds.
    pub early: [Timestamp; EARLY_MARKS],
}

impl Default for RoundPace {
    fn default() -> Self {
        Self { full: Timestamp(0), early: [Timestamp(0); EARLY_MARKS] }
    }
}

impl RoundPace {
    /// The pace of a network that has used up all that it may by `now`.
    pub(crate) fn used_up(policy: &Policy, now: Timestamp) -> Self {
        let allowance_ms = RoundClock::of(policy).allowance_ms();
        Self { full: now.plus_ms(allowance_ms), early: [now; EARLY_MARKS] }
    }
}

impl Encode for RoundPace {
    fn encode(&self, out: &mut Vec<u8>) {
        self.full.encode(out);
        self.early.iter().for_each(|at| at.encode(out));
    }
}

impl Decode for RoundPace {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut pace = Self { full: Decode::decode(input)?, ..Self::default() };
        for at in &mut pace.early {
            *at = Decode::decode(input)?;
        }
        Ok(pace)
    }
}

/// Holds rounds to the network file's least interval: a bucket of [`AT_ONCE`] rounds, into which each
/// least interval puts one, by the client's own clock. Rounds that come sooner are early ones, of which the file
/// allows few.
pub(crate) struct RoundClock {
    least_ms: u64,
    early: EarlyRounds,
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
    /// The clock of a network with this policy.
    pub(crate) fn of(policy: &Policy) -> Self {
        Self::resumed(policy, &RoundPace::default())
    }

    /// The same, which has used so much.
    pub(crate) fn resumed(policy: &Policy, pace: &RoundPace) -> Self {
        let early = EarlyRounds::of_marks(policy, &pace.early);
        Self { early, full: pace.full, ..Self::new(policy.least_round_interval_ms) }
    }

    /// What the network has used by now.
    pub(crate) fn pace(&self) -> RoundPace {
        RoundPace { full: self.full, early: self.early.marks() }
    }

    /// A clock that allows no early rounds.
    pub(crate) fn new(least_ms: u32) -> Self {
        let (full, heard, early) = (Timestamp(0), None, EarlyRounds::new(0, 0));
        Self { least_ms: least_ms.into(), early, full, heard, missing: 0, late: 0 }
    }

    /// Time by which rounds may come sooner than they should, all together, in milliseconds.
    fn allowance_ms(&self) -> u64 {
        AT_ONCE * self.least_ms.min(JITTER_MS)
    }

    /// Admits a round of a network that opens one every `interval_ms`, unless it comes too soon after those
    /// before it. Returns the number of rounds before it that came late, in a burst, and were not admitted.
    pub(crate) fn admit(&mut self, now: Timestamp, interval_ms: u32) -> Result<u64, Haste> {
        let since_last = self.heard.map_or(0, |heard| now.ms_since(heard));
        let due = since_last / u64::from(interval_ms.max(1));
        // A pause accounts for a burst of the rounds that did not come in it; each that comes takes one off.
        self.missing = if due > 1 { due } else { self.missing.saturating_sub(1) };
        self.heard = Some(now);
        let early = self.full.ms_since(now).saturating_sub(self.allowance_ms());
        match early {
            0 => {
                self.full = self.full.max(now).plus_ms(self.least_ms);
                debug_assert!(
                    self.full.ms_since(now) <= self.allowance_ms() + self.least_ms,
                    "the bucket holds more rounds than it has room for"
                );
                Ok(std::mem::take(&mut self.late))
            }
            _ if self.missing > 0 => {
                self.late += 1;
                Err(Haste::Late)
            }
            // It comes beside the others, which come when they would.
            _ if self.early.take(now) => Ok(std::mem::take(&mut self.late)),
            early => Err(Haste::TooSoon(early)),
        }
    }
}

/// Checks that `round` can be open at `now`: not in an expired epoch, not before its first round's start plus
/// a least interval for each round since but a day's early ones, and not after twice the nominal interval for each
/// round up to it.
pub(crate) fn plausible(
    document: &EpochDocument,
    policy: &Policy,
    round: Round,
    now: Timestamp,
) -> Result<(), RoundRefusal> {
    if now >= document.expires_at {
        return Err(RoundRefusal::Expired);
    }
    let since = round.0.saturating_sub(document.first_round.0);
    let in_their_time = since.saturating_sub(policy.early_rounds_a_day.into());
    let least_ms = u64::from(policy.least_round_interval_ms);
    let earliest = document.starts_at.plus_ms(in_their_time.saturating_mul(least_ms));
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
    fn rare_rounds_come_early_as_often_as_the_file_allows_and_no_more() {
        const MINUTE: u64 = 60_000;
        let policy = Policy { least_round_interval_ms: 300_000, ..Policy::DEFAULT };
        // Whoever opens a round every ten seconds for two days, and what a client makes of it.
        let served = |mut clock: RoundClock| {
            let times = (0..2 * 24 * 6 * MINUTE / 1000).map(|ten| Timestamp(MINUTE + 10_000 * ten));
            times
                .filter(|now| clock.admit(*now, 300_000).is_ok())
                .map(|now| now.0)
                .collect::<Vec<_>>()
        };
        let held = served(RoundClock::of(&policy));
        assert_eq!(held.len(), 2 * (24 * 12 + 24) + 1, "one every five minutes, and 24 a day");
        let in_first_hour = held.iter().filter(|at| **at < 61 * MINUTE).count();
        assert_eq!(in_first_hour, 12 + 4 + 1);
        // A client that ignored the bucket would serve them all, and one without any has the regular ones.
        let loose =
            Policy { early_rounds_an_hour: 1000, early_rounds_a_day: 1000, ..policy.clone() };
        assert!(served(RoundClock::of(&loose)).len() > 3 * held.len());
        assert_eq!(served(RoundClock::new(300_000)).len(), 2 * 24 * 12 + 1);
    }

    #[test]
    fn whoever_has_a_client_restarted_gets_no_more_rounds() {
        for least_round_interval_ms in [1000, 5000, 300_000] {
            let policy = Policy { least_round_interval_ms, ..Policy::DEFAULT };
            let seconds = (0..12 * 3600_u64).step_by(7);
            let times = || seconds.clone().map(|second| Timestamp(60_000 + 1000 * second));
            let mut stays = RoundClock::of(&policy);
            let stayed = times().filter(|now| stays.admit(*now, 300_000).is_ok()).count();
            // It forgets when it heard of a round last, so that it takes no burst for a late one, and nothing else.
            let mut pace = RoundPace::default();
            let restarted = times().filter(|now| {
                let mut clock = RoundClock::resumed(&policy, &pace);
                let is_served = clock.admit(*now, 300_000).is_ok();
                pace = clock.pace();
                is_served
            });
            assert_eq!(restarted.count(), stayed, "{least_round_interval_ms}");
            let all = times().filter(|now| RoundClock::of(&policy).admit(*now, 300_000).is_ok());
            assert!(all.count() > stayed || least_round_interval_ms < 7000);
        }
    }

    #[test]
    fn a_backup_has_nothing_left() {
        let policy = Policy { least_round_interval_ms: 300_000, ..Policy::DEFAULT };
        let now = Timestamp(1_000_000_000);
        let mut clock = RoundClock::resumed(&policy, &RoundPace::used_up(&policy, now));
        let hour = (0..3600).map(|second| now.plus_ms(1000 * second));
        let served = hour.filter(|at| clock.admit(*at, 300_000).is_ok()).count();
        assert_eq!(served, 12, "one every five minutes, and none early");
    }

    #[test]
    fn a_round_that_comes_early_does_not_hold_the_next_one_up() {
        let policy = Policy { least_round_interval_ms: 300_000, ..Policy::DEFAULT };
        let mut clock = RoundClock::of(&policy);
        for second in [0, 300, 310, 600, 615, 900] {
            assert_eq!(
                clock.admit(Timestamp(1_000_000 + 1000 * second), 300_000),
                Ok(0),
                "{second}"
            );
        }
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
