//! All strategies.

mod aborts;
mod dropping;
mod equivocation;
mod following;
mod last_shards;
mod layers;
mod left_out;
mod noise;
mod replies;

use super::{AttackError, Strategy};

/// All strategies, in the order in which they are shown.
pub fn all() -> [&'static dyn Strategy; 14] {
    [
        &following::Passive,
        &following::NMinusOne,
        &following::Sybil,
        &dropping::DropOneEach,
        &dropping::DropBoth,
        &dropping::Repeated,
        &dropping::Withholder,
        &layers::DropLayers,
        &noise::DropNoise,
        &last_shards::LastShards,
        &left_out::LeftOut,
        &replies::MissingReplies,
        &aborts::Aborts,
        &equivocation::Equivocation,
    ]
}

/// The strategy with this name.
///
/// # Errors
/// [`AttackError::UnknownStrategy`] names those there are.
pub fn named(name: &str) -> Result<&'static dyn Strategy, AttackError> {
    all().into_iter().find(|strategy| strategy.name() == name).ok_or_else(|| {
        AttackError::UnknownStrategy {
            name: name.to_owned(),
            there: all().map(Strategy::name).join(", "),
        }
    })
}
