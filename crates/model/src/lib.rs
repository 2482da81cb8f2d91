#![doc = include_str!("../README.md")]

mod draws;
mod figures;
mod fluid;
mod prediction;
mod scenario;
mod search;
mod separate_machines;
mod shared_machine;
mod speed_report;
mod step_costs;
mod volumes;

#[cfg(test)]
mod tests;

pub use figures::{MachineFigures, Overheads};
pub use prediction::{Phases, Prediction};
pub use scenario::{Placement, Scenario, ScenarioError, Spread};
pub use search::{SearchError, largest_users, users_of_machine};
pub use speed_report::{AtInterval, KernelSpeed, SpeedReport};

/// Predicts a round of `scenario` on machines with `figures`.
///
/// # Errors
/// If the scenario or the figures describe no network.
pub fn predict(scenario: &Scenario, figures: &MachineFigures) -> Result<Prediction, ScenarioError> {
    scenario.check()?;
    figures.check()?;
    let volumes = volumes::Volumes::of(scenario)?;
    let figures = &figures.for_onions(volumes.geometry());
    let steps = step_costs::of_round(scenario, figures, &volumes);
    let timeline = match scenario.placement {
        Placement::Apart { .. } => separate_machines::run(scenario, figures, &steps),
        Placement::Together { .. } => shared_machine::run(scenario, figures, &steps),
    };
    Ok(Prediction::new(scenario, figures, &volumes, &steps, timeline))
}
