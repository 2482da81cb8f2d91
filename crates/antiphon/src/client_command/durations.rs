//! Times as people write and read them.

use std::time::Duration;

const UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
/// The longest time that is taken: a hundred years.
const MOST_SECONDS: u64 = 36_525 * 86_400;

/// Reads a time such as 90s, 45m, 8h or 7d.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "give a number and a unit: 90s, 45m, 8h or 7d".to_owned();
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(unit)).ok_or_else(wrong)?;
    let number: u64 = text[..text.len() - unit.0.len()].parse().map_err(|_| wrong())?;
    match number.checked_mul(unit.1) {
        Some(seconds @ 1..=MOST_SECONDS) => Ok(Duration::from_secs(seconds)),
        _ => Err("it should be from 1s to 36525d".to_owned()),
    }
}

/// Says about how long a time is.
pub(crate) fn about(time: Duration) -> String {
    match time.as_secs() {
        0 => "a moment".to_owned(),
        seconds @ 1..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds.div_ceil(60)),
        seconds @ 7200..172_800 => format!("{} h", seconds.div_ceil(3600)),
        seconds => format!("{} days", seconds.div_ceil(86_400)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_unit_and_nothing_else_is() {
        for (text, seconds) in [("90s", 90), ("45m", 2700), ("8h", 28_800), ("7d", 604_800)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)));
        }
        for text in ["", "8", "h", "-1h", "1.5h", "0s", "99999999d", "18446744073709551615d"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_said_in_a_unit_that_fits() {
        for (seconds, said) in
            [(0, "a moment"), (40, "40 s"), (1065, "18 min"), (7200, "2 h"), (1_100_000, "13 days")]
        {
            assert_eq!(about(Duration::from_secs(seconds)), said);
        }
    }
}
