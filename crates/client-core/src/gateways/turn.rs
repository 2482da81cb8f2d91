//! The turn of a client to the gateway of a new epoch.

use antiphon_routing::VerifiedEpoch;
use antiphon_wire::{IdentityKey, Timestamp};
use rand::{CryptoRng, RngExt as _};

use super::GatewayPolicy;

/// Intervals of an epoch's start within which clients turn, each at a moment of its own, so that links are
/// not made all at once.
const SPREAD_INTERVALS: u64 = 4;
/// Longest such time, in milliseconds.
const MOST_SPREAD_MS: u64 = 30_000;

impl GatewayPolicy {
    /// Time for which the gateway of before may go on serving once it is time to turn, in milliseconds:
    /// whoever keeps a client from reaching the next one must not keep it there.
    pub const TURN_WITHIN_MS: u64 = 20_000;

    /// Time to turn from the gateway `present` to that of an epoch that was adopted.
    pub fn turns_at(
        epoch: &VerifiedEpoch,
        present: Option<IdentityKey>,
        now: Timestamp,
        rng: &mut impl CryptoRng,
    ) -> Timestamp {
        let document = epoch.document();
        let stays = present.is_some_and(|present| epoch.index_of(&present).is_some());
        let spread_ms = match stays {
            true => {
                (u64::from(document.parameters.interval_ms) * SPREAD_INTERVALS).min(MOST_SPREAD_MS)
            }
            // It opens none of the epoch's rounds.
            false => 0,
        };
        now.max(document.starts_at).plus_ms(rng.random_range(0..=spread_ms))
    }
}
