//! What networks are given unless they say otherwise where beats follow their rounds.

use antiphon_wire::{Services, Suite};

/// The least time between two rounds with dead drops, in milliseconds.
const WITH_BEATS_MS: u32 = 300_000;
/// The same in a classic network.
const CLASSIC_MS: u32 = 1000;

/// The suite: where one round serves many messages, its onions may be long.
pub(crate) const fn usual_suite(beats: bool) -> Suite {
    if beats { Suite::Hybrid } else { Suite::Classic }
}

/// The mailbox services that are asked for: every twelfth round, or two of three where rounds are far apart.
pub(crate) const fn services(mailboxes: bool, beats: bool) -> Services {
    match (mailboxes, beats) {
        (false, _) => Services::NONE,
        (true, false) => Services::USUAL,
        (true, true) => Services {
            dead_drop_rounds: 1,
            mailbox_rounds: 2,
            invitations_every: 12,
            ..Services::USUAL
        },
    }
}

/// The least time between two rounds, in milliseconds. Those that beats follow are as far apart with mailbox rounds
/// between them as without.
pub(crate) fn least_interval_ms(beats: bool, services: &Services) -> u32 {
    match beats {
        false => CLASSIC_MS,
        true => WITH_BEATS_MS / u32::from(services.mailbox_rounds + 1),
    }
}
