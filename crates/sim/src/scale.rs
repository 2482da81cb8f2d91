//! How long a round takes on machines and links that are described by a few figures.
//!
//! [`predict`] simulates one round in steps. In each step every shard sends a batch to every other, takes
//! in what it is sent as it arrives, and goes on when the last batch is complete: so a shard that is slow,
//! or that was sent more than the others, delays all of them.
//!
//! - With a machine for each shard, the all-to-all is a fluid: a shard's batches of a step leave at the
//!   same time and share its link, and arrive as one curve, which a receiver's link and its cores work off.
//!   For links of one speed this is what fair sharing of every link by all N (N-1) transfers comes to, in
//!   N log N steps a layer instead of N^2 events.
//! - With all shards on one machine, each batch is a piece of work of its own, and as many of them run at
//!   once as there are cores.
//!
//! Speeds and batch sizes vary at random, from a seed: the same seed gives the same round.

mod draws;
mod figures;
mod fluid;
mod prediction;
mod scenario;
mod search;
mod shared;
mod steps;
mod volumes;
mod wide;

#[cfg(test)]
mod tests;

pub use figures::{MachineFigures, Overheads};
pub use prediction::{Phases, Prediction};
pub use scenario::{Placement, Scenario, ScenarioError, Spread};
pub use search::{SearchError, largest_users, users_of_machine};

/// What a round of `scenario` takes on machines with `figures`.
///
/// # Errors
/// If the scenario or the figures describe no network.
pub fn predict(scenario: &Scenario, figures: &MachineFigures) -> Result<Prediction, ScenarioError> {
    scenario.check()?;
    figures.check()?;
    let volumes = volumes::Volumes::of(scenario)?;
    let steps = steps::of_round(scenario, figures, &volumes);
    let timeline = match scenario.placement {
        Placement::Apart { .. } => wide::run(scenario, figures, &steps),
        Placement::Together { .. } => shared::run(scenario, figures, &steps),
    };
    Ok(Prediction::new(scenario, figures, &volumes, &steps, timeline))
}
