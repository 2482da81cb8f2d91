//! The time that a shard takes to leave, at most: shards keep to it, and whoever runs them has to grant it.

use std::time::Duration;

/// Longest time for which a shard that leaves waits for an epoch without it to take over.
pub const HAND_OVER: Duration = Duration::from_secs(60);
/// Longest time for all farewells at the end.
const FAREWELLS: Duration = Duration::from_secs(15);

/// The longest from a shard's SIGTERM to its end, where a round takes no longer than this: an epoch without it
/// takes over, or is waited for in vain, the running round ends, and it says goodbye. Whoever kills it earlier costs
/// a round.
pub const fn termination_grace(longest_round: Duration) -> Duration {
    HAND_OVER.saturating_add(longest_round).saturating_add(FAREWELLS)
}
