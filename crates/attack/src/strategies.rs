//! Every strategy, by the kind of thing that it does.

mod aborts;
mod accounts;
mod dropping;
mod equivocation;
mod following;
mod layers;
mod left_out;
mod noise;
mod peek;
mod proposals;
mod replies;
mod stuffing;

use super::{AttackError, Strategy};

/// All strategies, in the order in which they are shown.
pub fn all() -> Vec<&'static dyn Strategy> {
    let mut all: Vec<&'static dyn Strategy> = Vec::new();
    all.extend(following::FOLLOWING.iter().map(|one| one as &dyn Strategy));
    all.extend(dropping::DROPPING.iter().map(|one| one as &dyn Strategy));
    all.push(&layers::DropLayers);
    all.push(&peek::Peek);
    all.push(&noise::DropNoise);
    all.push(&stuffing::FilterStuffing);
    all.push(&left_out::LeftOut);
    all.push(&replies::MissingReplies);
    all.push(&aborts::Aborts);
    all.extend(accounts::UNPAID.iter().map(|one| one as &dyn Strategy));
    all.push(&accounts::Attempts);
    all.push(&equivocation::Equivocation);
    all.extend(proposals::PROPOSALS.iter().map(|one| one as &dyn Strategy));
    all
}

/// The strategy with this name.
///
/// # Errors
/// [`AttackError::UnknownStrategy`] names those there are.
pub fn named(name: &str) -> Result<&'static dyn Strategy, AttackError> {
    all().into_iter().find(|strategy| strategy.profile().name == name).ok_or_else(|| {
        AttackError::UnknownStrategy {
            name: name.to_owned(),
            there: all()
                .iter()
                .map(|strategy| strategy.profile().name)
                .collect::<Vec<_>>()
                .join(", "),
        }
    })
}
