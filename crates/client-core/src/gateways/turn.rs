//! The turn of a client to the gateway of a new epoch.

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{Epoch, IdentityKey, Timestamp};
use rand::{CryptoRng, RngExt as _};

use super::GatewayPolicy;
use super::conduct::Opened;

/// Intervals of an epoch's start within which clients turn, each at a moment of its own, so that links are
/// not made all at once.
const SPREAD_INTERVALS: u64 = 4;
/// Longest such time, in milliseconds.
const MOST_SPREAD_MS: u64 = 30_000;
/// Longest time after a round was opened that its onions are handed in for, in milliseconds.
const MOST_SETTLING_MS: u64 = 10_000;

impl GatewayPolicy {
    /// Time for which the gateway of before may go on serving once it is time to turn, in milliseconds:
    /// whoever keeps a client from reaching the next one must not keep it there.
    pub const TURN_WITHIN_MS: u64 = 20_000;

    /// Time to dial the gateway of an epoch that was adopted, to turn to it from the gateway `present`. One that
    /// serves the epoch as well is left some time after its start. One that does not is left with the epoch's first
    /// round, so the next is dialled before, at a moment in the first half of the time that is left, or of the last
    /// [intervals](SPREAD_INTERVALS) before the start if that is longer.
    ///
    /// The moment follows from the document, the clock and the draw, and from nothing that the client is used for.
    pub fn turns_at(
        epoch: &VerifiedEpoch,
        present: Option<IdentityKey>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Timestamp {
        let document = epoch.document();
        let interval_ms = u64::from(document.parameters.interval_ms);
        let spread_ms = (interval_ms * SPREAD_INTERVALS).min(MOST_SPREAD_MS);
        let starts_at = document.starts_at;
        match present {
            Some(gateway) if epoch.index_of(&gateway).is_some() => {
                now.max(starts_at).plus_ms(rng.random_range(0..=spread_ms))
            }
            Some(_) => {
                let left_ms = starts_at.ms_since(now).min(spread_ms);
                let before_ms = left_ms - rng.random_range(0..=left_ms / 2);
                now.max(Timestamp(starts_at.0.saturating_sub(before_ms)))
            }
            // There is nothing to turn from.
            None => now.max(starts_at),
        }
    }

    /// `true` if a client may dial the gateway of `epoch`: the one in use, `present`, has opened a round of it, or does not
    /// serve it. A gateway waits in an epoch's first round for whoever has linked up before, in vain for those that
    /// have that round from the one in use.
    pub fn may_dial_for(&self, epoch: &VerifiedEpoch, present: &IdentityKey) -> bool {
        let has_opened = |last: Opened| last.epoch >= epoch.epoch();
        epoch.index_of(present).is_none() || self.conduct.last_opened().is_some_and(has_opened)
    }

    /// Time at which a client may turn from the gateway in use to the one of `epoch`, which stands by, if both serve
    /// that epoch: between half an interval and three quarters of one after the former opened a round of it. `None` if
    /// such a round has to be opened first.
    ///
    /// No gateway opens a round then, and none waits for onions. A client that turned while rounds open would hear of
    /// one from neither gateway or too late, and the next one would wait for it in a round that it handed in for at the one
    /// before. Before the epoch's first round, the next gateway may open none at all.
    pub fn turns_between_rounds(&self, epoch: Epoch, now: Timestamp) -> Option<Timestamp> {
        let last = self.conduct.last_opened();
        let Opened { at, interval_ms, .. } = last.filter(|last| last.epoch >= epoch)?;
        let interval_ms = u64::from(interval_ms);
        let from = at.plus_ms((interval_ms / 2).min(MOST_SETTLING_MS));
        let until = at.plus_ms(interval_ms * 3 / 4);
        (now <= until).then_some(now.max(from))
    }
}
