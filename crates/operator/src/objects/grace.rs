//! The time that pods may take to stop.

use std::time::Duration;

use antiphon_process::grace::termination_grace;

use crate::resource::OwnCoordinator;

/// The most layers that an epoch is planned with.
pub(crate) const MOST_LAYERS: u8 = 20;
/// Time that a coordinator takes to say goodbye.
const GOODBYE: Duration = Duration::from_secs(15);

/// A shard serves until an epoch without it takes over, and ends its round. Coordinators elsewhere are taken to have
/// the usual deadlines.
pub(super) fn of_shards_s(own: Option<&OwnCoordinator>) -> u64 {
    whole_s(termination_grace(longest_round(own)))
}

/// A coordinator ends its rounds.
pub(super) fn of_coordinators_s(own: &OwnCoordinator) -> u64 {
    whole_s(GOODBYE + longest_round(Some(own)))
}

fn longest_round(own: Option<&OwnCoordinator>) -> Duration {
    let config = own.map(OwnCoordinator::config).unwrap_or_default();
    Duration::from_millis(config.longest_round_ms(MOST_LAYERS))
}

fn whole_s(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000) as u64
}
