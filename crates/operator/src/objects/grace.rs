//! How long pods may take to stop.

use std::time::Duration;

use antiphon_coordinator_core::CoordinatorConfig;
use antiphon_process::grace::termination_grace;
use serde_json::Value;

use crate::resource::OwnCoordinator;

/// The most layers that an epoch is planned with.
const MOST_LAYERS: u8 = 20;
/// What it takes a coordinator to say goodbye.
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
    let mut config = CoordinatorConfig::default();
    if let Some(own) = own {
        let ms = |name: &str, default: u32| {
            let given = own.deadlines.get(name).and_then(Value::as_u64);
            given.and_then(|ms| u32::try_from(ms).ok()).unwrap_or(default)
        };
        config = CoordinatorConfig {
            interval_ms: own.epoch.interval_ms,
            submit_ms: ms("submit_ms", config.submit_ms),
            layer_ms: ms("layer_ms", config.layer_ms),
            verify_ms: ms("verify_ms", config.verify_ms),
            reply_ms: ms("reply_ms", config.reply_ms),
            ..config
        };
    }
    Duration::from_millis(config.longest_round_ms(MOST_LAYERS))
}

fn whole_s(time: Duration) -> u64 {
    time.as_millis().div_ceil(1000) as u64
}
