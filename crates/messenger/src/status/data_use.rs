//! Bytes that the links took, by day and by month.

use std::collections::BTreeMap;

use antiphon_client::Traffic;
use antiphon_wire::{Decode, DecodeError, Encode, Reader, Timestamp};

const DAY_MS: u64 = 86_400_000;
/// Days that are kept: this month and the one before.
const MOST_DAYS: usize = 62;

/// A day of the calendar, in universal time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(u32);

impl Day {
    /// The day at `now`.
    pub fn at(now: Timestamp) -> Self {
        // Days since 1970 have 32 bits for as long as milliseconds have 58.
        Self(u32::try_from(now.0 / DAY_MS).unwrap_or(u32::MAX))
    }

    /// Year, month from 1 to 12, and day of the month, in the Gregorian calendar.
    pub fn date(self) -> (u64, u8, u8) {
        // Years begin in March here, so that a leap day is a year's last: 400 of them have 146,097 days.
        let days = u64::from(self.0) + 719_468;
        let (era, of_era) = (days / 146_097, days % 146_097);
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        // Both are small by now.
        (era * 400 + year + u64::from(month <= 2), month as u8, day as u8)
    }
}

impl std::fmt::Display for Day {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (year, month, day) = self.date();
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

/// Bytes by day.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataUse {
    days: BTreeMap<Day, Traffic>,
    /// What was added so far of what this process's links have carried.
    added: Traffic,
}

impl DataUse {
    /// Adds what links have carried since the last time, at `now`. `so_far` is all since the process began.
    pub(crate) fn add(&mut self, now: Timestamp, so_far: Traffic) {
        let more = so_far.since(self.added);
        self.added = so_far;
        let today = Day::at(now);
        // A clock was ahead: what it wrote down belongs to a day that has been by now.
        let ahead = self.days.split_off(&Day(today.0.saturating_add(1)));
        let sum = self.days.entry(today).or_default();
        ahead.into_values().chain([more]).for_each(|traffic| *sum += traffic);
        while self.days.len() > MOST_DAYS {
            self.days.pop_first();
        }
    }

    /// Days on which the links carried something, and how much, the latest last.
    pub fn days(&self) -> impl DoubleEndedIterator<Item = (Day, Traffic)> {
        self.days.iter().map(|(day, traffic)| (*day, *traffic))
    }

    /// Bytes of the day at `now`.
    pub fn today(&self, now: Timestamp) -> Traffic {
        self.days.get(&Day::at(now)).copied().unwrap_or_default()
    }

    /// Bytes of the calendar month at `now`, so far.
    pub fn month(&self, now: Timestamp) -> Traffic {
        let of = |day: Day| (day.date().0, day.date().1);
        let month = of(Day::at(now));
        let mut sum = Traffic::default();
        self.days().filter(|(day, _)| of(*day) == month).for_each(|(_, traffic)| sum += traffic);
        sum
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (day, traffic) in &self.days {
            day.0.encode(&mut bytes);
            traffic.sent.encode(&mut bytes);
            traffic.received.encode(&mut bytes);
        }
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote. Of more days than are kept, the last are.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut input = Reader::new(bytes);
        let mut days = BTreeMap::new();
        while input.remaining() > 0 {
            let day = Day(Decode::decode(&mut input)?);
            let (sent, received) = (Decode::decode(&mut input)?, Decode::decode(&mut input)?);
            days.insert(day, Traffic { sent, received });
            if days.len() > MOST_DAYS {
                days.pop_first();
            }
        }
        Ok(Self { days, added: Traffic::default() })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(day: u32) -> Timestamp {
        Timestamp(u64::from(day) * DAY_MS + 7)
    }

    fn bytes(sent: u64) -> Traffic {
        Traffic { sent, received: 10 * sent }
    }

    #[test]
    fn days_are_those_of_the_calendar() {
        for (day, date) in [
            (0, "1970-01-01"),
            (58, "1970-02-28"),
            (59, "1970-03-01"),
            (11_016, "2000-02-29"),
            (19_782, "2024-02-29"),
            (20_787, "2026-11-30"),
            (20_788, "2026-12-01"),
            (47_540, "2100-02-28"),
            (47_541, "2100-03-01"),
        ] {
            assert_eq!(Day(day).to_string(), date);
        }
    }

    #[test]
    fn bytes_count_for_the_day_and_the_month_on_which_they_were_carried_over_restarts() {
        let mut data = DataUse::default();
        data.add(at(20_786), bytes(5));
        data.add(at(20_787), bytes(7));
        let mut data = DataUse::from_bytes(&data.to_bytes()).unwrap();
        // Another process counts from the beginning.
        data.add(at(20_787), bytes(1));
        assert_eq!(data.today(at(20_787)), bytes(3));
        assert_eq!(data.month(at(20_787)), bytes(8));
        assert_eq!(data.today(at(20_788)), bytes(0));
        data.add(at(20_788), bytes(2));
        assert_eq!(data.month(at(20_788)), bytes(1));
        assert_eq!(data.days().count(), 3);
    }

    #[test]
    fn a_clock_that_was_ahead_loses_nothing_and_no_more_days_are_kept_than_two_months_have() {
        let mut data = DataUse::default();
        data.add(at(40_000), bytes(5));
        data.add(at(20_787), bytes(5));
        assert_eq!(data.today(at(20_787)), bytes(5));
        for day in 0..200 {
            data.add(at(20_788 + day), bytes(6 + u64::from(day)));
        }
        assert_eq!(data.days().count(), MOST_DAYS);
        assert_eq!(data.days().last(), Some((Day(20_987), bytes(1))));
        assert!(data.to_bytes().len() <= MOST_DAYS * 20);
    }

    proptest! {
        #[test]
        fn whatever_was_kept_is_read_within_bounds(
            bytes in prop::collection::vec(any::<u8>(), 0..3000),
        ) {
            if let Ok(read) = DataUse::from_bytes(&bytes) {
                prop_assert!(read.days().count() <= MOST_DAYS);
                prop_assert_eq!(DataUse::from_bytes(&read.to_bytes()), Ok(read));
            }
        }

        #[test]
        fn each_day_follows_the_one_before(day in 0_u32..3_000_000) {
            let ((y, m, d), next) = (Day(day).date(), Day(day + 1).date());
            let first = next.2 == 1 && (next.0, next.1) == if m == 12 { (y + 1, 1) } else { (y, m + 1) };
            prop_assert!(next == (y, m, d + 1) || first && d >= 28, "{:?} {:?}", (y, m, d), next);
        }
    }
}
