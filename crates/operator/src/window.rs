//! A time of day in which pods that serve are replaced.

use std::fmt;
use std::str::FromStr;

use antiphon_wire::Timestamp;

const MINUTE_MS: u64 = 60_000;
const DAY_MINUTES: u64 = 24 * 60;

/// A part of each day, in UTC. One that ends before it begins goes on until the next day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Window {
    /// Its first minute, and the first one after it, of the day.
    from: u64,
    to: u64,
}

/// The text is no part of a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoWindow;

impl Window {
    pub(crate) fn holds(self, now: Timestamp) -> bool {
        let minute = now.0 / MINUTE_MS % DAY_MINUTES;
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl FromStr for Window {
    type Err = NoWindow;

    fn from_str(text: &str) -> Result<Self, NoWindow> {
        let minute = |text: &str| {
            let (hours, minutes) = text.split_once(':')?;
            let plain = |part: &&str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            let [hours, minutes] = [hours, minutes]
                .map(|part| Some(part).filter(plain).and_then(|part| part.parse::<u64>().ok()));
            let (hours, minutes) = (hours?, minutes?);
            (hours < 24 && minutes < 60).then_some(60 * hours + minutes)
        };
        let (from, to) = text.split_once('-').ok_or(NoWindow)?;
        match (minute(from), minute(to)) {
            (Some(from), Some(to)) if from != to => Ok(Self { from, to }),
            _ => Err(NoWindow),
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to } = self;
        write!(f, "{:02}:{:02} to {:02}:{:02} UTC", from / 60, from % 60, to / 60, to % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_holds_for_its_part_of_every_day_over_midnight_as_well() {
        let at = |hours: u64, minutes: u64| {
            Timestamp((20_000 * DAY_MINUTES + 60 * hours + minutes) * MINUTE_MS + 59_999)
        };
        let night: Window = "22:30-05:00".parse().unwrap();
        let day: Window = "02:00-05:00".parse().unwrap();
        for (window, hours, minutes, holds) in [
            (day, 1, 59, false),
            (day, 2, 0, true),
            (day, 4, 59, true),
            (day, 5, 0, false),
            (night, 22, 29, false),
            (night, 22, 30, true),
            (night, 0, 0, true),
            (night, 5, 0, false),
        ] {
            assert_eq!(window.holds(at(hours, minutes)), holds, "{window}: {hours}:{minutes}");
        }
        assert_eq!(night.to_string(), "22:30 to 05:00 UTC");
    }

    #[test]
    fn what_is_no_part_of_a_day_is_refused() {
        for text in
            ["", "2:00-05:00", "02:00", "24:00-05:00", "02:60-05:00", "02:00-02:00", "+2:00-05:00"]
        {
            assert_eq!(text.parse::<Window>(), Err(NoWindow), "{text}");
        }
    }
}
