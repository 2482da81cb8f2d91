//! The hold of a round's onions before they leave.

use antiphon_wire::Timestamp;

/// Onions leave this long after their round's opening arrived, in milliseconds, so that the time it
/// takes to make and save them, and what the application does meanwhile, does not show.
const HOLD_MS: u32 = 50;

/// Milliseconds for which onions are held back in a round that is open for `closes_in_ms`: the same for
/// every client, and at most a quarter.
pub fn hold_ms(closes_in_ms: u32) -> u32 {
    HOLD_MS.min(closes_in_ms / 4)
}

/// Time at which onions leave for a round that opened at `now` for `closes_in_ms`: the same for every client,
/// and before the round closes.
pub(crate) fn leaves_at(now: Timestamp, closes_in_ms: u32) -> Timestamp {
    now.plus_ms(hold_ms(closes_in_ms).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn onions_leave_well_before_the_round_closes() {
        let now = Timestamp(7);
        for (closes_in_ms, after) in [(0, 0), (100, 25), (200, 50), (5000, 50), (u32::MAX, 50)] {
            assert_eq!(leaves_at(now, closes_in_ms), Timestamp(7 + after));
        }
    }
}
