//! When a round's onions leave.

use antiphon_wire::Timestamp;

/// Onions leave this long after their round's opening arrived, in milliseconds, so that the time it
/// takes to make and save them, and what the application does meanwhile, does not show.
const HOLD_MS: u32 = 50;

/// When onions leave for a round that opened at `now` for `closes_in_ms`: the same for every client, and
/// before the round closes.
pub(crate) fn leaves_at(now: Timestamp, closes_in_ms: u32) -> Timestamp {
    now.plus_ms(HOLD_MS.min(closes_in_ms / 4).into())
}
